"""First order of the NTK on one input: reference values, other recursions, and high precision."""

import mpmath
import numpy as np
import pytest

from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.tangent_moments import tangent_moments
from finitewidth.theory.mlp.chain import second_order
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.mlp_ntk.ntk_chain import NTKChain, first_order

pytestmark = pytest.mark.fast

X = np.random.default_rng(3).normal(size=(3, 4))

# Computed apart from this project: |x|^2/n_0 = 1, layer 5, equal widths, lambda_b = 1/2,
# lambda_W = 6/5; K, V, G1, Theta, A, B, D, F, H1, P, Q, with n taken out.
REFERENCE = {
    ("tanh", 0.0, 1.0, 1.0): (
        *(0.1279047353, 0.03939844304, -0.06822537136, 2.283534144, 0.5136863282, 4.826078186),
        *(-0.1264286462, 0.2080885359, -0.1071709662, -1.346991996, -0.5964748724),
    ),
    ("sin", 0.0, 1.0, 1.0): (
        *(0.1777992879, 0.08097702475, -0.1159373466, 2.789211399, 0.5182075914, 8.101503819),
        *(-0.1822647679, 0.4030162618, -0.4016560896, -2.190501645, -0.7830289252),
    ),
    ("erf", 0.0, np.pi / 4, 1.0): (
        *(0.1145723959, 0.03213172659, -0.06407054839, 2.439335902, 0.5208756397, 5.709183198),
        *(-0.1152367588, 0.2063353055, -0.1801997766, -1.581255144, -0.6543480088),
    ),
    ("gelu", 0.17292239, 1.98305826, 1.0): (
        *(2.159648474, 88.98364884, 0.4712111154, 8.104778162, 508.114095, 156.7772083),
        *(191.8387504, 71.57869614, -0.3664623961, 8.501195486, 104.1374832),
    ),
    ("silu", 0.55514317, 1.98800468, 1.0): (
        *(2.936667434, 108.3802712, 2.303229145, 7.339725553, 492.3571107, 102.1798061),
        *(210.8643552, 72.05029996, 8.298498607, 14.8709462, 104.4263656),
    ),
    ("relu", 0.0, 2.0, 0.5): (1.0, 20.0, 0.0, 5.5, 116.7, 72.6, 41.0, 22.0, 0.0, 0.0, 26.4),
    ("linear", 0.0, 1.0, 1.0): (1.0, 8.0, 0.0, 8.5, 86.4, 86.7, 24.0, 17.0, 0.0, 0.0, 40.8),
}


@pytest.mark.parametrize("case", REFERENCE)
def test_reference_values(case):
    activation, C_b, C_W, square = case
    mlp = Perceptron.uniform_width(activation, dimension=4, width=10, depth=5, C_b=C_b, C_W=C_W)
    rates = LearningRates((0.5,) * 5, (1.2,) * 5)
    found = first_order(mlp, rates, np.full((1, 4), np.sqrt(square)), [5])
    n = {"K": 1, "Theta": 1}
    values = [n.get(name, 10) * value.item() for name, value in found._asdict().items()]
    assert values == pytest.approx(REFERENCE[case], rel=1e-9, abs=1e-12)


def varied(activation, bias=0.2, factor=1):
    widths = (4, 9 * factor, 6 * factor, 8 * factor, 5)
    mlp = Perceptron(activation, widths, (bias, 2 * bias, 0.5 * bias, bias), (1.5, 1.7, 1.2, 1.4))
    return mlp, LearningRates((0.3, 0.7, 0.2, 0.4), (1.0, 0.5, 2.0, 1.3))


@pytest.mark.parametrize("activation", [*TABLE, "leaky_relu(0.2)"])
def test_kernels_against_other_recursions(activation):
    mlp, rates = varied(activation)
    found = first_order(mlp, rates, X, [3, 1, 4])
    theta = infinite_width_ntk(mlp, rates, X, [3, 1, 4])
    assert found.Theta == pytest.approx(np.einsum("taa->ta", theta), rel=1e-10)
    plain = second_order(mlp, X, [3, 1, 4])
    assert pytest.approx(plain.K, rel=1e-11) == found.K
    assert pytest.approx(plain.variance_1, rel=1e-9, abs=1e-14) == found.V
    assert pytest.approx(plain.mean_1, rel=1e-8, abs=1e-11) == found.G1


@pytest.mark.parametrize("activation", ["tanh", "gelu", "leaky_relu(0.2)"])
def test_theta_as_a_derivative(activation):
    # With lambda = dC/dt in every layer the recursion of Theta is dK/dt at first order where
    # <s'^2> = d<s^2>/dK, as it is for two slopes; else their difference is <s s''>.
    mlp, _ = varied(activation)
    t = 1e-5
    ends = []
    for sign in (1, -1):
        C_b = tuple(c + sign * t * b for c, b in zip(mlp.C_b, (1, 2, 3, 4), strict=True))
        C_W = tuple(c + sign * t * w for c, w in zip(mlp.C_W, (2, 1, 0, 3), strict=True))
        moved = Perceptron(activation, mlp.widths, C_b, C_W)
        ends.append(first_order(moved, LearningRates(C_b, C_W), X, [2, 4]).K)
    growth = (ends[0] - ends[1]) / (2 * t)
    theta = first_order(
        mlp, LearningRates((1.0, 2.0, 3.0, 4.0), (2.0, 1.0, 0.0, 3.0)), X, [2, 4]
    ).Theta
    same = np.allclose(growth, theta, rtol=1e-7)
    assert same == (mlp.activation.slopes is not None)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sin"])
def test_widths_enter_as_one_over_n(activation):
    mlp, rates = varied(activation)
    wide, _ = varied(activation, factor=7)
    found, less = (first_order(w, rates, X, [2, 3, 4]) for w in (mlp, wide))
    for name, value in found._asdict().items():
        factor = 1 if name in ("K", "Theta") else 7
        assert value == pytest.approx(factor * getattr(less, name), rel=1e-12, abs=1e-18), name


def test_the_first_layer_does_not_fluctuate():
    mlp, rates = varied("gelu")
    found = first_order(mlp, rates, X, [1])
    assert found.Theta[0] == pytest.approx(0.3 + np.mean(X**2, axis=1), rel=1e-14)
    assert not np.any([getattr(found, name) for name in set(NTKChain._fields) - {"K", "Theta"}])


# sigma and sigma'.
HIGH = {
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + mpmath.exp(-z)), lambda z: mpmath.sech(z / 2) ** 2 / 4),
    "cos": (mpmath.cos, mpmath.sin),
}
PAIRS = [(name, K) for name in HIGH for K in (1e-3, 3.0, 1e3) if name != "cos" or K < 10]


@pytest.mark.parametrize(("activation", "K"), PAIRS)
def test_means_in_high_precision(activation, K):
    sd = mpmath.sqrt(K)
    points = {s * p for p in (0, 1 / sd, 4 / sd, 12 / sd, 3, 7, 14) for s in (1, -1)}
    points = sorted(p for p in points if abs(p) <= 14)

    def mean(g):
        return mpmath.quad(lambda u: g(sd * u) * mpmath.npdf(u), points)

    found = tangent_moments(get(activation), K)
    for f, values in zip(
        HIGH[activation],
        [
            (found.square, found.square_variance, found.square_2, found.square_4),
            (found.slope, found.slope_variance, found.slope_2, found.slope_4),
        ],
        strict=True,
    ):
        with mpmath.workdps(30):
            level = f(mpmath.mpf(0)) ** 2
            one = mean(lambda z: f(z) ** 2 - level)  # noqa: B023
            two = mean(lambda z: (f(z) ** 2 - level) ** 2)  # noqa: B023
            second = mean(lambda z: f(z) ** 2 * (z * z / K - 1)) / K  # noqa: B023
            fourth = mean(lambda z: f(z) ** 2 * ((z * z / K - 6) * z * z / K + 3))  # noqa: B023
            exact = [one + level, two - one**2, second, fourth / mpmath.mpf(K) ** 2]
            exact = np.array([float(v) for v in exact])
        assert np.array(values, dtype=float) == pytest.approx(exact, rel=1e-9, abs=0)


def test_bad_input():
    mlp, rates = varied("tanh")
    with pytest.raises(ValueError, match="normal weights"):
        first_order(Perceptron("tanh", (4, 5), (0.0,), (1.0,), "uniform"), rates, X, [1])
    with pytest.raises(ValueError, match="rates need 4 values"):
        first_order(mlp, LearningRates((1.0,), (1.0,)), X, [1])
    with pytest.raises(ValueError, match="layers are numbered"):
        first_order(mlp, rates, X, [0])
