"""The look ahead of the largest network: against loops and scipy, and what it is for."""

import numpy as np
import pytest
from scipy import stats

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, block_bounds
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead, thinness
from finitewidth.estimate.preactivations import moments
from finitewidth.estimate.preactivations.pooled import Pooled

pytestmark = pytest.mark.fast


def by_loops(sizes, order, thin):
    """Skewness of the mean, from the weighted spread of log x over the living, by scipy."""
    x = [s**order for s in sizes if s > 0]
    weights = [value**0.75 for value in x]
    mean = sum(w * np.log(value) for w, value in zip(weights, x, strict=True)) / sum(weights)
    square = sum(w * (np.log(v) - mean) ** 2 for w, v in zip(weights, x, strict=True))
    spread = np.sqrt(square / sum(weights))
    few = np.sqrt(sum(w * w for w in weights)) / sum(weights)
    return max(thin * stats.lognorm.stats(spread, moments="s") / np.sqrt(len(sizes)), few)


@pytest.mark.parametrize("order", [-1, 1, 2, 3])
def test_the_skewness_is_that_of_loops(order):
    rng = np.random.default_rng(order + 5)
    sizes = np.exp(0.4 * rng.standard_normal((60, 2, 3))) * 1e5
    sizes[::7, 0, 1] = 0
    found = skewness_ahead(sizes, order, 0.5)
    for place in np.ndindex(2, 3):
        expected = by_loops(sizes[(slice(None), *place)], order, 0.5)
        assert found[place] == pytest.approx(expected, rel=1e-9)


def test_units_do_not_matter_nor_do_powers_out_of_range():
    sizes = np.exp(np.random.default_rng(1).standard_normal(80))
    np.testing.assert_allclose(
        [skewness_ahead(sizes * unit, 3) for unit in (1e-200, 1e200)],
        skewness_ahead(sizes, 3),
        rtol=1e-9,
    )
    # So wide a spread that a single network counts.
    assert skewness_ahead(np.exp(50 * np.log(sizes)), 3) == pytest.approx(1, abs=0.1)


def test_dead_lost_and_equal_networks():
    sizes = np.ones((50, 4))
    sizes[:, 1] = 0
    sizes[3, 2] = np.nan
    sizes[3, 3] = np.inf
    np.testing.assert_array_equal(skewness_ahead(sizes, 2), [0, 0, np.nan, np.nan])


def test_of_a_log_normal_variable_the_skewness_is_its_own():
    # Of 10^6 the weighted spread is known to a few per mille, the skewness 6.2 to 2 %.
    sizes = np.exp(0.5 * np.random.default_rng(2).standard_normal(10**6))
    expected = stats.lognorm.stats(1.0, moments="s") / 1000
    assert skewness_ahead(sizes, 2) == pytest.approx(expected, rel=0.05)


def test_only_what_is_trusted_gets_the_reason():
    reason = np.array([Reason.NONE, Reason.SKEW, Reason.NONE, Reason.NONE], np.int8)
    value = np.arange(4.0)
    given = Estimate(value, value + 1, reason, np.full(4, np.nan))
    found = doubt_unseen(given, np.array([0.9, 0.9, 0.1, np.nan]))
    assert found.reason.tolist() == [Reason.UNSEEN_TAIL, Reason.SKEW, Reason.NONE, Reason.NONE]
    assert found.diagnostic[0] == pytest.approx(0.9)
    np.testing.assert_array_equal(found.value, value)


def test_narrow_layers_have_thinner_tails():
    widths = [1, 4, 16, 17, 4096]
    assert [thinness(n) for n in widths] == pytest.approx([0.25, 0.5, 1, 1, 1])


def test_each_power_of_a_layer_looks_further_ahead():
    """What is enough for a mean need not be for a square, nor that for a cube."""
    rng = np.random.default_rng(3)
    g = np.exp(0.55 * rng.standard_normal((400, 1, 1)))
    z = np.sqrt(g) * rng.standard_normal((400, 2, 32))
    kernel = np.einsum("nai,nbi->nab", z, z) / 32
    pooled = Pooled(32, block_bounds(400), kernel)
    same = [pooled.ahead(np.array([[0] * k, [1] * k])) for k in (2, 4, 6)]
    assert (same[0] < same[1]).all()
    assert (same[1] < same[2]).all()
    # Of two inputs the worse counts.
    mixed = pooled.ahead(np.array([[0, 1]]))
    assert mixed == pytest.approx(max(same[0]))
    assert moments.covariance(pooled).trusted.all()
