"""Two inputs from 1e-12 rad apart to opposite: eigenvalues in 60 digits, and their limits."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

from finitewidth.models.activations.table import TABLE
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp_ntk import ntk_vertex
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.mlp_ntk.near_singular import moments_of_gap, two_inputs
from finitewidth.theory.predict.predict_ntk import predict_ntk

EVERY = [*TABLE, "leaky_relu(0.3)", "leaky_relu(-0.4)"]
ANGLES = [1e-12, 1e-9, 3e-7, 1e-5, 1e-3, 0.05, 0.6, 2.0, 3.1, np.pi - 1e-4, np.pi - 1e-7, np.pi]


def both(name, C_b, depth=3):
    mlp = Perceptron.uniform_width(name, dimension=3, width=8, depth=depth, C_b=C_b, C_W=1.6)
    return mlp, LearningRates((0.5, 0.3, 0.9)[:depth], (1.2, 0.8, 1.1)[:depth])


def at(angle, stretch=1.0, size=1.5):
    return size * np.array([[1, 0, 0], [stretch * np.cos(angle), stretch * np.sin(angle), 0]])


def slopes_means(plus, minus):
    def means(a, b, c):
        size = mp.sqrt(a * b)
        t = mp.acos(max(-1, min(1, c / size)))
        relu = size / (2 * mp.pi) * (mp.sin(t) + (mp.pi - t) * mp.cos(t))
        both = (mp.pi - t) / (2 * mp.pi)
        return plus * minus * c + (plus - minus) ** 2 * relu, plus * minus + (
            plus - minus
        ) ** 2 * both

    return means


def erf_means(a, b, c):
    root = (1 + 2 * a) * (1 + 2 * b)
    return 2 / mp.pi * mp.asin(2 * c / mp.sqrt(root)), 4 / mp.pi / mp.sqrt(root - 4 * c * c)


def sin_means(a, b, c):
    size = mp.exp(-(a + b) / 2)
    return size * mp.sinh(c), size * mp.cosh(c)


#: <s s> and <s' s'> of what has closed forms (Cho and Saul 2009; Williams 1997; Euler's formula).
IN_HIGH_PRECISION = {
    "linear": lambda a, b, c: (c, mp.mpf(1)),
    "relu": slopes_means(1, 0),
    "abs": slopes_means(1, -1),
    "leaky_relu(0.3)": slopes_means(1, mpmath.mpf(0.3)),
    "leaky_relu(-0.4)": slopes_means(1, mpmath.mpf(-0.4)),
    "erf": erf_means,
    "sin": sin_means,
    "cos": lambda a, b, c: sin_means(a, b, c)[::-1],
}


def exact_eigenvalues(mlp, rates, x, means):
    """Of the tangent kernel at infinite width, by the recursion as it stands."""
    pairs = [(0, 0), (1, 1), (0, 1)]
    x = [[mp.mpf(float(v)) for v in row] for row in x]
    start = [sum(p * q for p, q in zip(x[i], x[j], strict=True)) / len(x[i]) for i, j in pairs]
    number = [[mp.mpf(v) for v in values] for values in (mlp.C_b, mlp.C_W)]
    rate = [[mp.mpf(v) for v in values] for values in (rates.lambda_b, rates.lambda_W)]
    K = [number[0][0] + number[1][0] * v for v in start]
    theta = [rate[0][0] + rate[1][0] * v for v in start]
    for k in range(1, mlp.depth):
        found = [means(K[0], K[0], K[0]), means(K[1], K[1], K[1]), means(*K)]
        theta = [
            rate[0][k] + rate[1][k] * square + number[1][k] * slope * old
            for (square, slope), old in zip(found, theta, strict=True)
        ]
        K = [number[0][k] + number[1][k] * square for square, _ in found]
    total, det = theta[0] + theta[1], theta[0] * theta[1] - theta[2] ** 2
    most = (total + mp.sqrt((theta[0] - theta[1]) ** 2 + 4 * theta[2] ** 2)) / 2
    return most, det / most


@pytest.mark.parametrize("C_b", [0.0, 0.2])
@pytest.mark.parametrize("name", IN_HIGH_PRECISION)
def test_closed_forms_in_60_digits(name, C_b):
    mlp, rates = both(name, C_b)
    with mp.workdps(60):
        for angle in ANGLES:
            for stretch in (1.0, 1.3) if 1e-6 < angle < 3.14 else (1.0,):
                x = at(angle, stretch)
                most, least = exact_eigenvalues(mlp, rates, x, IN_HIGH_PRECISION[name])
                found = two_inputs(mlp, rates, x).eigenvalues()
                assert found[0] == pytest.approx(float(most), rel=1e-10)
                # Rounding of the inputs themselves is 1e-16 of them.
                close = 1e-7 if min(angle, np.pi - angle) < 1e-8 else 1e-9
                assert found[1] == pytest.approx(float(least), rel=close), (angle, stretch)


@pytest.mark.parametrize("C_b", [0.0, 0.2])
@pytest.mark.parametrize("name", EVERY)
def test_wide_angles_and_the_limit_of_small_ones(name, C_b):
    mlp, rates = both(name, C_b)
    for angle in (0.05, 0.6, 2.0, 2.8):
        for stretch in (1.0, 1.3):
            x = at(angle, stretch)
            plain = np.linalg.eigvalsh(infinite_width_ntk(mlp, rates, x, [3])[0])[::-1]
            assert two_inputs(mlp, rates, x).eigenvalues() == pytest.approx(plain, rel=1e-9)
    # A smooth function keeps what is of order t^2; gates add what is of order t, which rules.
    power = 1 if TABLE.get(name, TABLE["relu"]).derivatives is None else 2
    small = np.array([1e-12, 1e-10, 1e-8])
    least = [two_inputs(mlp, rates, at(t)).eigenvalues()[1] / t**power for t in small]
    assert least == pytest.approx([least[0]] * 3, rel=1e-3)


def gate(z):
    return 1 / (1 + mp.exp(-z))


#: Functions and their derivatives.
SMOOTH = {
    "tanh": (mp.tanh, lambda z: mp.sech(z) ** 2),
    "arctan": (mp.atan, lambda z: 1 / (1 + z * z)),
    "erf": (mp.erf, lambda z: 2 * mp.exp(-z * z) / mp.sqrt(mp.pi)),
    "gelu": (lambda z: z * mp.ncdf(z), lambda z: mp.ncdf(z) + z * mp.npdf(z)),
    "silu": (lambda z: z * gate(z), lambda z: gate(z) * (1 + z * (1 - gate(z)))),
    "softplus": (lambda z: mp.log(1 + mp.exp(z)), gate),
    "sigmoid": (gate, lambda z: gate(z) * (1 - gate(z))),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_squares_of_differences_in_high_precision(name):
    """By a rule of many points in 40 digits, for gaps of any size."""
    sigma, slope = SMOOTH[name]
    u, w = np.polynomial.hermite_e.hermegauss(60)
    for gap in (1e-20, 1e-6, 0.01, 0.2):
        K = np.array([0.3, 0.3])
        M, S = moments_of_gap(TABLE[name], K, gap)
        with mp.workdps(40):
            a, b = mp.sqrt(mp.mpf(0.3) - mp.mpf(gap) / 4), mp.sqrt(mp.mpf(gap))
            v, o = np.polynomial.hermite_e.hermegauss(6 if gap < 0.1 else 12)
            total = [mp.mpf(0), mp.mpf(0)]
            for x, p in zip(u, w, strict=True):
                if p < 1e-13:
                    continue
                for y, q in zip(v, o, strict=True):
                    high, low = a * x + b * y / 2, a * x - b * y / 2
                    total[0] += p * q * (sigma(high) - sigma(low)) ** 2
                    total[1] += p * q * (slope(high) - slope(low)) ** 2
            expected = [float(t / (2 * mp.pi)) for t in total]
        assert pytest.approx(expected[0], rel=1e-6) == M
        assert pytest.approx(expected[1], rel=1e-6) == S


@pytest.mark.parametrize("name", EVERY)
def test_predictions_are_right_or_nan_or_infinite(name):
    for C_b in (0.0, 0.2):
        mlp, rates = both(name, C_b)
        last = {}
        for angle in (0.0, 1e-12, 1e-6, 1e-3, 0.5, np.pi):
            x = at(angle)
            x[1] = {0.0: x[0], np.pi: -x[0]}.get(angle, x[1])
            found = predict_ntk(mlp, rates, x, [3], ("ntk_spectrum",))
            of = {
                order: found["ntk_log_condition"].sel(order=order).values[-1]
                for order in ("infinite_width", "1/n")
            }
            last[angle] = of
            if angle == 0:
                assert of["infinite_width"] == np.inf
                assert found["ntk_eigenvalue"].sel(order="infinite_width").values[-1, -1] == 0
            elif angle < np.pi:
                assert of["infinite_width"] == pytest.approx(
                    np.log(np.divide(*two_inputs(mlp, rates, x).eigenvalues())), rel=1e-12
                )
            if mlp.activation.derivatives is not None:
                # Gates of inputs t apart differ in n t neurons: their coefficient grows like 1/t.
                assert not abs(of["1/n"] - of["infinite_width"]) > 30
        assert np.isnan([last[t]["1/n"] for t in (0.0, 1e-12, 1e-6)]).all()
        assert np.isfinite(last[0.5]["1/n"])
    # Opposite inputs without bias, of an odd or an even activation.
    if name in ("linear", "tanh", "erf", "arctan", "sin", "cos", "abs"):
        mlp = Perceptron.uniform_width(name, dimension=3, width=8, depth=3, C_W=1.6)
        x = np.stack([at(0.3)[1], -at(0.3)[1]])
        found = predict_ntk(mlp, LearningRates.named("ntk", mlp), x, [3], ("ntk_spectrum",))
        silent = found["ntk_log_condition"].sel(order="infinite_width").values[-1]
        assert silent == (np.inf if not any(LearningRates.named("ntk", mlp).lambda_b) else silent)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_of_three_inputs_what_is_rounding_is_not_told(name):
    mlp, rates = both(name, 0.2)
    for angle, expected in ((0.0, 0.0), (1e-9, np.nan), (0.4, None)):
        x = np.concatenate([at(angle), [[0.3, -0.5, 1.0]]])
        found = predict_ntk(mlp, rates, x, [3], ("ntk_spectrum",)).sel(order="infinite_width")
        least = found["ntk_eigenvalue"].values[-1, -1]
        condition = found["ntk_log_condition"].values[-1]
        if expected is None:
            assert least > 0
            assert np.isfinite(condition)
        elif expected == 0:
            assert least == 0
            assert condition == np.inf
        elif name != "relu":
            assert np.isnan([least, condition]).all()


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("cos", "sin", "softplus")])
def test_tensors_of_close_inputs_are_those_of_equal_ones_or_nan(name):
    """They differ by t^2, or by t at a kink; near opposite inputs too. sin, cos and softplus take
    the way of the others."""
    rates = LearningRates((0.5, 0.3, 0.9), (1.2, 0.8, 1.1))
    power = 1 if TABLE.get(name, TABLE["relu"]).derivatives is None else 2
    for sign, C_b in ((1, 0.1), (-1, 0.0)):
        mlp = Perceptron.uniform_width(name, dimension=3, width=8, depth=3, C_b=C_b, C_W=1.6)
        x = at(0.0) * np.array([[1], [sign]])
        limit = ntk_vertex.first_order(mlp, rates, x, [3])
        told = []
        for t in (1e-2, 1.2e-3, 3e-4, 1e-5, 1e-6, 1e-7, 1e-9):
            y = at(t) * np.array([[1], [sign]])
            found = ntk_vertex.first_order(mlp, rates, y, [3])
            for tensor in ("V", "G1", "A", "B", "D", "F", "P", "Q", "H1"):
                one, other = getattr(found, tensor)[0], getattr(limit, tensor)[0]
                size = np.abs(limit.Theta[0]).max()
                size = max(np.abs(other).max(), 1e-3 * size ** (2 if other.ndim == 4 else 1))
                known = np.isfinite(one)
                told.append(known.mean())
                assert (
                    np.abs(one - other)[known].max(initial=0) < 100 * t**power * size + 1e-8 * size
                )
        # Entries of one input alone are always there.
        assert min(told) > 0
        assert power == 1 or min(told) == 1
