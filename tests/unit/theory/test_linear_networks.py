"""Linear networks on several inputs: against explicit networks, closed forms and single inputs."""

import numpy as np
import pytest

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.exact import pair_ratios
from finitewidth.theory.mlp.expansions import leading_order
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp.linear import double_scaling, first_order, four_point, infinite_same
from finitewidth.theory.mlp.mean_squares import log_mean_square

pytestmark = pytest.mark.fast

X = np.array([[1.0, -0.5, 2.0], [0.2, 1.1, -0.4], [0.0, 2.0, 1.0]])
LAYERS = [1, 2, 3, 4]


def varied(weights, bias=True, factor=1):
    C_b = (0.3, 0.1, 0.2, 0.4) if bias else (0.0,) * 4
    widths = (3, 5 * factor, 4 * factor, 6 * factor, 4)
    return Perceptron("linear", widths, C_b, (1.4, 0.9, 1.1, 1.3), weights)


@pytest.mark.parametrize("weights", ["normal", "uniform"])
@pytest.mark.parametrize("bias", [True, False])
def test_explicit_networks(weights, bias, simulate, assert_mean):
    mlp = varied(weights, bias)
    exact = four_point(mlp, X, LAYERS)
    G = infinite_width(mlp, X, LAYERS)
    for k, z in enumerate(simulate(mlp, X, 60_000, seed=21)):
        n = z.shape[1]
        quartic = np.einsum("rna,rnb,rnc,rnd->rabcd", z, z, z, z, optimize=True) / n
        kernel = np.einsum("rna,rnb->rab", z, z) / n
        pairs = (n * np.einsum("rab,rcd->rabcd", kernel, kernel) - quartic) / (n - 1)
        product = np.multiply.outer(G[k], G[k])
        wick = product + product.transpose(0, 2, 1, 3) + product.transpose(0, 2, 3, 1)
        assert_mean(pairs, exact.pairs[k] + product)
        assert_mean(quartic, exact.same[k] + wick)


@pytest.mark.parametrize("weights", ["normal", "uniform"])
@pytest.mark.parametrize("bias", [True, False])
def test_one_input_is_the_diagonal(weights, bias):
    mlp = varied(weights, bias)
    square = np.exp(2 * log_mean_square(mlp, X, LAYERS))
    pair, same = pair_ratios(mlp, X, LAYERS)
    first = leading_order(mlp, X, LAYERS)
    a = range(3)
    for tensors, V, S in (
        (four_point(mlp, X, LAYERS), pair - 1, same - 3),
        (first_order(mlp, X, LAYERS), first.four_point, first.kurtosis),
    ):
        assert tensors.pairs[:, a, a, a, a] == pytest.approx(V * square, rel=1e-10, abs=1e-12)
        assert tensors.same[:, a, a, a, a] == pytest.approx(S * square, rel=1e-10, abs=1e-12)


def test_closed_form_of_normal_weights_without_bias():
    # PDLT section 3.3 in closed form: symmetric part and rest are multiplied, layer by layer.
    mlp = varied("normal", bias=False)
    exact = four_point(mlp, X, [4]).pairs[0]
    G1 = 1.4 * X @ X.T / 3
    M = np.multiply.outer(G1, G1)
    mean = sum(np.einsum(f"{i}->abcd", M) for i in ("abcd", "acbd", "adbc")) / 3
    n = np.array([5, 4, 6])
    factor = (0.9 * 1.1 * 1.3) ** 2
    total = factor * (mean * np.prod(1 + 2 / n) + (M - mean) * np.prod(1 - 1 / n))
    assert exact == pytest.approx(total - factor * M, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("weights", ["normal", "uniform"])
@pytest.mark.parametrize("bias", [True, False])
def test_first_order_is_that_of_the_exact_tensors(weights, bias):
    mlp = varied(weights, bias, factor=10**5)
    exact, first = four_point(mlp, X, LAYERS), first_order(mlp, X, LAYERS)
    infinite = infinite_same(mlp, X, LAYERS)
    assert 1e5 * exact.pairs == pytest.approx(1e5 * first.pairs, rel=1e-4, abs=1e-4)
    assert 1e5 * (exact.same - infinite) == pytest.approx(
        1e5 * (first.same - infinite), rel=1e-4, abs=1e-4
    )


def test_double_scaling_is_the_limit():
    mlp = Perceptron.uniform_width("linear", dimension=3, width=4000, depth=2001)
    exact = four_point(mlp, X, [2001]).pairs
    assert double_scaling(mlp, X, [2001]) == pytest.approx(exact, rel=2e-3, abs=1e-3)


def test_errors():
    with pytest.raises(ValueError, match="not linear"):
        four_point(Perceptron("relu", (3, 4), (0.0,), (1.0,)), X, [1])
    with pytest.raises(ValueError, match="without bias"):
        double_scaling(varied("normal"), X, [1])
