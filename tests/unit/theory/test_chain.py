"""Second order in 1/n: against exact results, an independent expansion, and networks."""

from itertools import pairwise
from math import comb, factorial

import numpy as np
import pytest

from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.mlp import exact
from finitewidth.theory.mlp.chain import second_order

pytestmark = pytest.mark.fast

# K, n G1, n V in layer 5 at |x|^2/n_0 = 1 (relu: 1/2), from quadrature by other code.
GOLDEN = {
    ("tanh", 1.0, 0.0, 1.0): (0.1279047353, -0.06822537136, 0.03939844304),
    ("sin", 1.0, 0.0, 1.0): (0.1777992879, -0.1159373466, 0.08097702475),
    ("gelu", 1.98305826, 0.17292239, 1.0): (2.159648474, 0.4712111154, 88.98364884),
    ("silu", 1.98800468, 0.55514317, 1.0): (2.936667434, 2.303229145, 108.3802712),
    ("relu", 2.0, 0.0, 0.5): (1.0, 0.0, 20.0),
    ("linear", 1.0, 0.0, 1.0): (1.0, 0.0, 8.0),
}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case[0])
def test_first_order_has_the_golden_values(case):
    name, C_W, C_b, square = case
    mlp = Perceptron.uniform_width(name, dimension=1, width=10, depth=5, C_b=C_b, C_W=C_W)
    found = second_order(mlp, np.full((1, 1), np.sqrt(square)), [5])
    values = found.K[0, 0], 10 * found.mean_1[0, 0], 10 * found.variance_1[0, 0]
    assert values == pytest.approx(GOLDEN[case], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu(0.4)", "abs"])
@pytest.mark.parametrize("C_b", [0.0, 0.3])
def test_what_is_left_of_the_exact_moments_is_of_third_order(name, C_b):
    x = np.array([[1.1, 0.2]])
    left = []
    for n in (200, 400):
        widths = (2, n, 2 * n, n, 3 * n, n)
        mlp = Perceptron(name, widths, (C_b,) * 5, (1.3, 1.1, 1.7, 1.2, 1.4))
        orders = second_order(mlp, x, [2, 5])
        _, two, three, _ = exact.moment_ratios(mlp, x, [2, 5])
        variance = (two - 1) * orders.K**2
        third = (three - 3 * two + 2) * orders.K**3
        assert np.allclose(orders.mean_1, 0, atol=1e-12)
        assert np.allclose(orders.mean_2, 0, atol=1e-12)
        rest = variance - orders.variance_1 - orders.variance_2, third - orders.third_2
        assert np.allclose(variance, orders.variance_1, rtol=0.1)
        left.append([r[1, 0] for r in rest])
    assert np.array(left[0]) / np.array(left[1]) == pytest.approx(8, rel=0.1)


def series(name, C_b, C_W, square, depth):
    """Coefficients of n^-1 and n^-2 in mean, variance and third cumulant, by truncated series.

    Another way to the same end: raw moments of g - K as polynomials in 1/n up to n^-2, propagated
    term by term with the conditional moments of the next layer; cumulants only at the end.
    """
    sigma, order, degree = get(name).function, 2, 4
    K = C_b + C_W * square
    M = np.zeros((degree + 1, order + 1))
    M[0, 0] = 1

    def taylor(power):
        """Coefficients in d of <sigma^power>_(K + d), by Hermite polynomials of degree 2 j."""
        rows = []
        for j in range(degree + 1):
            he = np.polynomial.hermite_e.HermiteE.basis(2 * j)
            f = lambda z, he=he: sigma(z) ** power * he(z / np.sqrt(K))  # noqa: E731
            rows.append(float(expectation(f, K)) / (2 * K) ** j / factorial(j))
        return np.array(rows)

    def times(a, b):
        return np.convolve(a, b)[: degree + 1]

    for _ in range(depth - 1):
        p1, p2, p3 = (taylor(power) for power in (2, 4, 6))
        D = C_W * p1
        K_next, D = C_b + D[0], D - np.eye(degree + 1)[0] * D[0]
        var = C_W**2 * (p2 - times(p1, p1))
        cube = C_W**3 * (p3 - 3 * times(p1, p2) + 2 * times(times(p1, p1), p1))
        # Conditional central moments of g' and their power of 1/n; the fifth begins at n^-3.
        central = {0: (0, np.eye(degree + 1)[0]), 2: (1, var), 3: (2, cube),
                   4: (2, 3 * times(var, var))}  # fmt: skip
        new = np.zeros_like(M)
        for k in range(degree + 1):
            for i, (power, moment) in central.items():
                if i > k:
                    continue
                poly = moment
                for _ in range(k - i):
                    poly = times(poly, D)
                for r in range(order + 1 - power):
                    new[k, r + power] += comb(k, i) * poly @ M[:, r]
        K, M = K_next, new
    mean, second, third = M[1], M[2], M[3]
    square_of_mean = np.convolve(mean, mean)[: order + 1]
    mixed = np.convolve(mean, second)[: order + 1]
    cubed = np.convolve(square_of_mean, mean)[: order + 1]
    return K, mean, second - square_of_mean, third - 3 * mixed + 2 * cubed


@pytest.mark.parametrize(
    ("name", "C_b", "C_W"),
    [("tanh", 0.0, 1.0), ("gelu", 0.17, 1.98), ("softplus", 0.2, 1.0), ("sin", 0.1, 1.5)],
)
def test_another_expansion_of_the_same_chain_agrees(name, C_b, C_W):
    depth, n = 6, 3.0
    mlp = Perceptron(name, (1, *(3,) * depth), (C_b,) * depth, (C_W,) * depth)
    found = second_order(mlp, np.full((1, 1), 0.9), [depth])
    K, mean, variance, third = series(name, C_b, C_W, 0.81, depth)
    assert found.K[0, 0] == pytest.approx(K)
    assert found.mean_1[0, 0] * n == pytest.approx(mean[1], rel=1e-9)
    assert found.mean_2[0, 0] * n**2 == pytest.approx(mean[2], rel=1e-9)
    assert found.variance_1[0, 0] * n == pytest.approx(variance[1], rel=1e-9)
    assert found.variance_2[0, 0] * n**2 == pytest.approx(variance[2], rel=1e-9)
    assert found.third_2[0, 0] * n**2 == pytest.approx(third[2], rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "softplus"])
def test_networks_side_with_the_second_order(name):
    # 10^6 networks of widths 12, 20, 12: the variance is known to 0.15 %. Second orders are 1 to
    # 10 % of the first here, thirds a few tenths of a percent: bounds of 5 standard errors and 1 %
    # raise a false alarm with a probability below 1e-6.
    widths, networks = (1, 12, 20, 12, 1), 10**6
    mlp = Perceptron(name, widths, (0.0,) * 4, (1.0,) * 4)
    stream, sigma = np.random.default_rng(4), get(name).function
    g = np.ones(networks)
    for n, _ in pairwise(widths[1:]):
        square = np.zeros(networks)
        for _ in range(n):
            square += sigma(np.sqrt(g) * stream.standard_normal(networks)) ** 2
        g = square / n
    found = second_order(mlp, np.ones((1, 1)), [4])
    first = (found.K + found.mean_1)[0, 0], found.variance_1[0, 0]
    both = first[0] + found.mean_2[0, 0], first[1] + found.variance_2[0, 0]
    spread = np.sqrt(np.mean((g - g.mean()) ** 4) - g.var() ** 2)
    error = g.std() / 1e3, spread / 1e3
    assert abs(g.mean() - both[0]) < 5 * error[0] + 0.01 * abs(found.mean_1[0, 0])
    assert abs(g.var() - both[1]) < 5 * error[1] + 0.01 * both[1]
    assert abs(g.var() - first[1]) > 5 * error[1]
