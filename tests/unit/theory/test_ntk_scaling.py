"""Limits of the NTK's fluctuations, against exact moments and against the recursion at depth."""

import numpy as np
import pytest

from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.criticality import AT_ZERO, critical_point
from finitewidth.theory.mlp_ntk.ntk_chain import first_order
from finitewidth.theory.mlp_ntk.ntk_exact import second_moments
from finitewidth.theory.mlp_ntk.scaling_limits import (
    Asymptotics,
    asymptotics,
    bare_growth,
    ratio,
    ratio_of,
)


def square(activation, n, depth):
    C_W = critical_point(get(activation)).C_W
    mlp = Perceptron.uniform_width(activation, dimension=3, width=n, depth=depth, C_b=0.0, C_W=C_W)
    return mlp, LearningRates((0.0,) * depth, (1.0,) * depth)


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu(0.3)"])
@pytest.mark.parametrize("tau", [0.25, 1])
def test_exact_moments_converge(activation, tau):
    gaps = []
    for n in (400, 800):
        depth = int(tau * n) + 1
        mlp, rates = square(activation, n, depth)
        exact = second_moments(mlp, rates, np.ones((1, 3)), [depth]).ratio.item()
        gaps.append(exact / ratio(get(activation), tau).item() - 1)
        assert ratio_of(mlp, rates, [depth]).item() == pytest.approx(exact, rel=14 / n)
    assert abs(gaps[1]) < 0.025
    # What is left falls like 1/n.
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)


def test_unequal_widths_and_rates_converge():
    gaps = []
    for n in (200, 400, 800):
        widths = (3, *(n,) * n, *(2 * n,) * n, 5)
        depth = len(widths) - 1
        mlp = Perceptron("relu", widths, (0.0,) * depth, (*(2.0,) * n, *(1.0,) * (n + 1)))
        rates = LearningRates((0.0,) * depth, (*(1.0,) * n, *(0.2,) * (n + 1)))
        exact = second_moments(mlp, rates, np.ones((1, 3)), [n, depth]).ratio[:, 0]
        gaps.append(ratio_of(mlp, rates, [n, depth]) / exact - 1)
    assert gaps[0] / gaps[1] == pytest.approx(2 * np.ones(2), rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(2 * np.ones(2), rel=0.1)


def test_prefactor_of_the_bare_growth():
    relu = get("relu")
    assert bare_growth(relu, 0.4) == pytest.approx(np.exp(2))
    tau = np.array([0.0, 1e-9, 1e-3, 1.0, 1e4])
    with np.errstate(over="ignore"):
        prefactor = ratio(relu, tau[:4]) / bare_growth(relu, tau[:4])
    assert prefactor[0] == 1
    assert np.all(np.diff(prefactor) < 0)
    assert ratio(relu, 100.0) / bare_growth(relu, 100.0) == pytest.approx(1 / 3, rel=0.01)
    # Both forms of it meet.
    below, above = ratio(relu, np.array([0.99, 1.01]) * 1e-4 / 6)
    assert above - below == pytest.approx(11 / 3 * 0.02e-4 / 6, rel=1e-2)


CASES = [
    ("relu", 0.0),
    ("relu", 0.3),
    ("linear", 0.0),
    ("leaky_relu(0.3)", 0.5),
    ("tanh", 0.0),
    ("tanh", 0.4),
    ("sin", 0.2),
    ("gelu", 0.3),
    ("silu", 0.3),
]


def at_criticality(activation, share, depth):
    """Critical networks, 1000 wide, whose Theta is to this share from the rates of biases."""
    critical = critical_point(get(activation))
    K = critical.K_star or 1.0
    mlp = Perceptron.uniform_width(
        activation, dimension=1, width=1000, depth=depth, C_b=critical.C_b, C_W=critical.C_W
    )
    fall = np.arange(1, depth + 1) if critical.universality_class == AT_ZERO else 1.0
    # What the weights put in: lambda_W <s^2> = (K - C_b)/C_W a layer, or 1/(-a1 C_W) in all.
    weights = (K - critical.C_b if critical.a1 is None else -1 / critical.a1) / critical.C_W
    biases = np.broadcast_to(share / (1 - share) * weights / fall, depth)
    x = np.array([[np.sqrt((K - critical.C_b) / critical.C_W)]])
    return mlp, LearningRates(tuple(biases), (1.0,) * depth), x


@pytest.mark.parametrize(("activation", "share"), CASES)
def test_slopes_at_depth(activation, share):
    expected = asymptotics(get(activation), share)
    depths = [1000, 3000]
    mlp, rates, x = at_criticality(activation, share, depths[-1])
    found = first_order(mlp, rates, x, depths)
    squares, mixed = found.Theta**2, found.K * found.Theta
    ratios = {
        "variance": (found.A + 2 * found.B) / squares,
        "A": found.A / squares,
        "B": found.B / squares,
        "D": found.D / mixed,
        "F": found.F / mixed,
        "H1": found.H1 / found.Theta,
        "P": found.P / squares,
        "Q": found.Q / squares,
    }
    for name, (coefficient, power) in expected._asdict().items():
        rows = [
            value.item() * 1000 / depth ** (1 + power)
            for value, depth in zip(ratios[name], depths, strict=True)
        ]
        gaps = [abs(row - coefficient) for row in rows]
        # Corrections are of order 1/l, or log(l)/l for K* = 0.
        assert gaps[1] <= max(0.06 * abs(coefficient), 1e-3), (name, rows, coefficient)
        assert gaps[1] < 0.6 * gaps[0] or gaps[1] < 1e-4, (name, rows, coefficient)


def test_known_slopes():
    slopes = {name: asymptotics(get(name)).variance for name in ("relu", "linear", "tanh", "gelu")}
    assert slopes["relu"] == pytest.approx((11 / 3, 0))
    assert slopes["linear"] == pytest.approx((4 / 3, 0))
    assert slopes["tanh"] == pytest.approx((2 / 3, 0))
    assert slopes["gelu"].power == 2
    assert isinstance(asymptotics(get("abs")), Asymptotics)


def test_bad_input():
    mlp, rates = square("relu", 5, 3)
    with pytest.raises(ValueError, match="two slopes"):
        ratio(get("tanh"), 1.0)
    with pytest.raises(ValueError, match="at least 0"):
        ratio(get("relu"), -1.0)
    with pytest.raises(ValueError, match="without biases"):
        ratio_of(mlp, LearningRates((1.0,) * 3, (1.0,) * 3), [3])
    with pytest.raises(ValueError, match="no two slopes"):
        ratio_of(square("tanh", 5, 3)[0], rates, [3])
    with pytest.raises(ValueError, match="between 0 and 1"):
        asymptotics(get("relu"), 1.5)
    with pytest.raises(ValueError, match="susceptibilities"):
        asymptotics(get("softplus"))
