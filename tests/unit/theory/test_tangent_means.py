"""Means of derivatives at several inputs, as differences of means of the activations themselves."""

import numpy as np
import pytest

from finitewidth.core.indices import quads
from finitewidth.models.activations.table import TABLE, get
from finitewidth.theory.gaussian import four_factors as module
from finitewidth.theory.gaussian import trapezoidal_products
from finitewidth.theory.gaussian.covariance_derivatives import pair_derivatives
from finitewidth.theory.gaussian.derivative_means import ORDERS, derivative_means
from finitewidth.theory.gaussian.expectations import covariance
from finitewidth.theory.gaussian.four_activations import quartic
from finitewidth.theory.gaussian.four_factors import FourMeans, four_means

pytestmark = pytest.mark.fast

RNG = np.random.default_rng(5)
ROOT = RNG.normal(size=(4, 6)) / np.sqrt(6)
NAMES = [*TABLE, "leaky_relu(-0.3)"]


@pytest.mark.parametrize("scale", [1e-2, 1.0, 20.0])
@pytest.mark.parametrize("activation", NAMES)
def test_pairs(activation, scale):
    a, b = np.triu_indices(3, 1)
    K = scale * ROOT[:3] @ ROOT[:3].T
    found = derivative_means(get(activation), K)
    three = K[a, a], K[b, b], K[a, b]
    exact = pair_derivatives(get(activation), *three)

    def check(mine, theirs, rel=1e-8):
        assert mine[a, b] == pytest.approx(theirs, rel=rel, abs=rel * np.abs(theirs).max())

    check(found[0, 0], exact.value)
    for order, column in (((2, 0), 0), ((0, 2), 2)):
        check(found[order] / 2, exact.first[:, column])
    check(found[1, 1], exact.first[:, 1])
    check(found[4, 0] / 4, exact.second[:, 0, 0])
    check(found[3, 1] / 2, exact.second[:, 0, 1])
    check(found[1, 3] / 2, exact.second[:, 2, 1])
    check(found[2, 2], exact.second[:, 1, 1])
    # The sixth order, as differences of the fourth.
    h = 1e-4 * scale

    def change(first, mixed, row, column):
        moved = [
            pair_derivatives(
                get(activation), three[0] + s * first * h, three[1], three[2] + s * mixed * h
            ).second[:, row, column]
            for s in (1, -1)
        ]
        return (moved[0] - moved[1]) / (2 * h)

    check(found[3, 3], change(0, 1, 1, 1), 3e-5)
    check(found[4, 2] / 2, change(1, 0, 1, 1), 3e-5)
    check(found[5, 1] / 4, change(1, 0, 0, 1), 3e-5)


@pytest.mark.parametrize("activation", NAMES)
def test_one_input_twice(activation):
    # On the diagonal, where a and b move together: d<f^2>/dK of f = sigma.
    K = np.array([0.1, 1.0, 9.0])
    found = derivative_means(get(activation), np.diag(K))
    h = 1e-5 * K
    ends = [covariance(get(activation), k, k, k) for k in (K + h, K - h)]
    slope = np.diagonal(found[1, 1] + found[2, 0])
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-9)
    assert all(found[q, p] == pytest.approx(found[p, q].T, rel=1e-12) for p, q in ORDERS)


def differences(activation, K, index):
    """The means of :class:`FourMeans` for one quadruple, from <s s s s> and its changes with K."""
    at = np.ix_(index, index)
    h = 1e-3

    def moved(*changes):
        block = K[at].copy()
        for i, j, step in changes:
            block[i, j] += step
            block[j, i] += step
        position = [tuple(q) for q in quads(4)].index((0, 1, 2, 3))
        return quartic(get(activation), block, estimate=False).values[position]

    def second(one, two):
        return sum(
            s * t * moved((*one, s * h), (*two, t * h)) for s in (1, -1) for t in (1, -1)
        ) / (4 * h * h)

    def pair(i, j):
        a, b = index[i], index[j]
        found = pair_derivatives(get(activation), K[[a], a], K[[b], b], K[[a], b])
        return found.value[0], found.first[0, 1]

    (s1, d1), (s2, d2) = pair(0, 1), pair(2, 3)
    return FourMeans(
        moved() - s1 * s2,
        (moved((2, 3, h)) - moved((2, 3, -h))) / (2 * h) - s1 * d2,
        second((0, 1), (2, 3)) - d1 * d2,
        second((0, 1), (0, 2)),
    )


# Their closed forms hold for any matrix that is positive with a half on the diagonal: so inputs may
# be equal, and covariances of equal inputs moved apart.
@pytest.mark.parametrize("activation", ["erf", "gelu"])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_four_factors_with_equal_inputs(activation, inputs):
    K = ROOT[:inputs] @ ROOT[:inputs].T
    found = four_means(get(activation), K)
    chosen = RNG.integers(0, inputs, size=(8, 4))
    for index in chosen:
        expected = differences(activation, K, index)
        for name, value in expected._asdict().items():
            assert getattr(found, name)[tuple(index)] == pytest.approx(value, rel=3e-5, abs=3e-6), (
                name
            )


@pytest.mark.parametrize("activation", ["erf", "sin", "relu", "leaky_relu(-0.3)"])
def test_four_different_inputs(activation):
    K = ROOT @ ROOT.T + 0.3 * np.eye(4)
    found = four_means(get(activation), K)
    for index in ([0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0], [1, 3, 0, 2]):
        expected = differences(activation, K, index)
        for name, value in expected._asdict().items():
            if name == "curved" and get(activation).slopes:
                continue
            assert getattr(found, name)[tuple(index)] == pytest.approx(value, rel=3e-4, abs=1e-5), (
                name
            )


@pytest.mark.parametrize("activation", ["tanh", "silu", "arctan", "softplus", "cos", "abs"])
@pytest.mark.parametrize("scale", [1e-2, 3.0])
def test_four_factors_of_networks(activation, scale, assert_mean):
    K = scale * ROOT[:3] @ ROOT[:3].T
    found = four_means(get(activation), K)
    two = derivative_means(get(activation), K)
    z = np.random.default_rng(7).normal(size=(200_000, 6)) @ ROOT[:3].T * np.sqrt(scale)
    s, d = get(activation).function(z), get(activation).derivative(z)
    bend = 0 * z if get(activation).slopes else get(activation).derivatives(z)[2]
    for a, b, c, e in RNG.integers(0, 3, size=(6, 4)):
        assert_mean(
            s[:, a] * s[:, b] * s[:, c] * s[:, e],
            found.squares[a, b, c, e] + two[0, 0][a, b] * two[0, 0][c, e],
        )
        assert_mean(
            s[:, a] * s[:, b] * d[:, c] * d[:, e],
            found.mixed[a, b, c, e] + two[0, 0][a, b] * two[1, 1][c, e],
        )
        assert_mean(
            d[:, a] * d[:, b] * d[:, c] * d[:, e],
            found.slopes[a, b, c, e] + two[1, 1][a, b] * two[1, 1][c, e],
        )
        assert_mean(bend[:, a] * d[:, b] * d[:, c] * s[:, e], found.curved[a, b, c, e])


@pytest.mark.parametrize(
    ("activation", "K", "name", "value"),
    [("tanh", 60.0, "_PLANE", 0), ("silu", 90.0, "_PLANE", 0), ("sin", 3.0, "_WAVES", np.inf)],
)
def test_two_ways_agree(activation, K, name, value, monkeypatch):
    # Grids against panels for two inputs, and against exponentials for sin.
    K = K * np.array([[1.0, 0.3], [0.3, 0.8]])
    one = four_means(get(activation), K)
    monkeypatch.setattr(trapezoidal_products if name == "_PLANE" else module, name, value)
    other = four_means(get(activation), K)
    for field in FourMeans._fields:
        first, second = getattr(one, field), getattr(other, field)
        assert not np.array_equal(first, second)
        assert first == pytest.approx(second, rel=1e-7, abs=1e-8 * np.abs(first).max())


def test_what_takes_too_many_points_is_nan():
    K = 1000 * ROOT[:3] @ ROOT[:3].T
    found = four_means(get("tanh"), K)
    pair = four_means(get("tanh"), K[:2, :2])
    for name in FourMeans._fields:
        value = getattr(found, name)
        assert np.isnan(value[0, 1, 2, 0])
        # Of two inputs everything is known.
        assert value[:2, :2, :2, :2] == pytest.approx(getattr(pair, name), rel=1e-12)
