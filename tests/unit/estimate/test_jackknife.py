"""The jackknife against loops, against formulas for the mean, and its sense of heavy tails."""

import numpy as np
import pytest

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import (
    Estimate,
    block_bounds,
    block_sums,
    from_replicates,
    jackknife,
    stack,
)
from finitewidth.estimate.errors.trust import doubts, skewness_limit

pytestmark = pytest.mark.fast


def of_mean(x, blocks, **options):
    bounds = block_bounds(len(x), blocks)
    sums = block_sums(lambda at: {"x": x[at].reshape(len(x[at]), -1)}, bounds)
    return jackknife(sums, bounds, lambda s, count: s["x"] / count, **options)


@pytest.mark.parametrize("networks", [50, 73, 99, 1000, 1031])
def test_blocks_cover_all_networks_in_equal_parts(networks):
    bounds = block_bounds(networks, 50)
    assert bounds[0] == 0
    assert bounds[-1] == networks
    assert set(np.diff(bounds)) <= {networks // 50, networks // 50 + 1}


def test_fewer_networks_than_blocks_are_blocks_of_one():
    np.testing.assert_array_equal(block_bounds(60), np.arange(61))


@pytest.mark.parametrize("networks", [50, 1031, 20_000])
def test_sums_over_blocks_are_sums_over_their_networks(networks):
    x = np.random.default_rng(9).standard_normal((networks, 3))
    bounds = block_bounds(networks)
    sums = block_sums(lambda at: {"x": x[at], "any": x[at] > 0}, bounds)
    for b in (0, 1, len(bounds) // 2, len(bounds) - 2):
        np.testing.assert_allclose(sums["x"][b], x[bounds[b] : bounds[b + 1]].sum(axis=0))
        np.testing.assert_array_equal(sums["any"][b], (x[bounds[b] : bounds[b + 1]] > 0).sum(0))


@pytest.mark.parametrize(("networks", "blocks"), [(49, 50), (49, 500), (10, 2), (4, 5)])
def test_too_few_networks_or_blocks_are_refused_in_a_sentence(networks, blocks):
    with pytest.raises(ValueError, match="at least") as error:
        block_bounds(networks, blocks)
    assert "\n" not in str(error.value)


def test_the_error_of_a_mean_is_that_of_the_block_means():
    x = np.random.default_rng(0).standard_normal((120, 6))
    estimate = of_mean(x, 10)
    means = np.array([x[12 * b : 12 * (b + 1)].mean(axis=0) for b in range(10)])
    np.testing.assert_allclose(estimate.value, x.mean(axis=0))
    np.testing.assert_allclose(estimate.stderr, means.std(axis=0, ddof=1) / np.sqrt(10))


def test_unequal_blocks_give_the_right_variance_on_average():
    # 50 blocks of one or two networks: wrong weights would be off by a third. The mean of 4000
    # estimated variances, each known to 20 %, is right within 0.4 %; 5 sigma are 2 %.
    x = np.random.default_rng(1).standard_normal((75, 4000))
    stderr = of_mean(x, 50).stderr
    assert np.mean(stderr**2) == pytest.approx(1 / 75, rel=0.02)


def test_bias_of_order_one_over_n_is_removed():
    rng = np.random.default_rng(2)
    x = 1 + rng.standard_normal((60, 20000))
    bounds = block_bounds(60, 20)
    sums = block_sums(lambda at: {"x": x[at]}, bounds)

    def square(s, count):
        return (s["x"] / count) ** 2

    plain = jackknife(sums, bounds, square)
    corrected = jackknife(sums, bounds, square, correct_bias=True)
    # E[mean^2] = 1 + 1/60; standard deviation of one 0.26, of the mean over 20000 0.0018.
    assert plain.value.mean() == pytest.approx(1 + 1 / 60, abs=0.008)
    assert corrected.value.mean() == pytest.approx(1, abs=0.008)


def test_a_large_value_that_hardly_varies_keeps_the_digits_of_its_error():
    small = np.random.default_rng(3).standard_normal(500)
    large = of_mean(1e9 + small, 50)
    assert large.stderr == pytest.approx(of_mean(small, 50).stderr, rel=1e-4)


def test_flags_are_rare_for_gaussian_pseudo_values():
    # With 50 blocks measured: 4e-5 of a million numbers; with 500, none.
    rng = np.random.default_rng(4)
    x = rng.standard_normal((50, 200_000))
    assert np.mean(doubts(x - x.mean(axis=0))[0] != Reason.NONE) < 2e-4


@pytest.mark.parametrize("blocks", [10, 20, 100, 500])
def test_flags_stay_rare_with_other_numbers_of_blocks(blocks):
    x = np.random.default_rng(5).standard_normal((blocks, 20_000))
    assert np.mean(doubts(x - x.mean(axis=0))[0] != Reason.NONE) < 1e-3


def test_the_limit_lies_between_typical_and_largest_possible_values():
    for blocks in (10, 50, 500):
        assert 1 < skewness_limit(blocks) < (blocks - 2) / np.sqrt(blocks - 1)


def test_the_third_cumulant_of_a_broad_lognormal_is_not_believed():
    # Its z-scores are nonsense: more than half lie beyond 3, nearly all of them flagged.
    rng = np.random.default_rng(6)
    x = np.exp(1.5 * rng.standard_normal((1000, 500)))
    bounds = block_bounds(1000)
    sums = block_sums(lambda at: {k: x[at] ** i for i, k in enumerate("abc", 1)}, bounds)

    def third(s, count):
        a, b, c = (s[k] / count for k in "abc")
        return c - 3 * a * b + 2 * a**3

    estimate = jackknife(sums, bounds, third)
    w = np.exp(1.5**2)
    truth = np.exp(1.5 * 1.5**2) * (w - 1) ** 2 * (w + 2)
    misleading = np.abs(estimate.value - truth) > 3 * estimate.stderr
    assert misleading.mean() > 0.5
    assert not estimate.trusted[misleading].any()


@pytest.mark.parametrize("size", [1e-100, 1.0, 1e100])
def test_a_spread_at_the_level_of_rounding_is_none(size):
    noise = np.random.default_rng(8).standard_normal(500)
    found = of_mean(size * (1 + 1e-13 * noise), 500)
    assert found.reason.item() == Reason.NO_SPREAD
    assert of_mean(size * (1 + 1e-11 * noise), 500).trusted.all()


@pytest.mark.parametrize("kind", ["constant", "nan", "inf", "one block"])
def test_what_says_nothing_about_the_spread_is_not_trusted(kind):
    x = np.random.default_rng(7).standard_normal(500)
    if kind == "constant":
        x[:] = 0.1
    else:
        x[17] = {"nan": np.nan, "inf": np.inf, "one block": 1e3}[kind]
    assert not of_mean(x, 50).trusted


def test_estimates_stack_scale_and_select():
    nothing = np.zeros(2, np.int8), np.full(2, np.nan)
    one = Estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2]), *nothing)
    both = stack([one, one.times(np.array([2.0, np.inf]))])
    np.testing.assert_array_equal(both.value[1], [2, np.inf])
    np.testing.assert_array_equal(both.trusted, [[True, True], [True, False]])
    assert one.take(1).stderr == 0.2
    few = one.doubted(np.array([False, True]), Reason.RARE_EVENT, np.array([7, 8]))
    assert few.reason.tolist() == [Reason.NONE, Reason.RARE_EVENT]
    assert few.diagnostic[1] == 8
    assert np.isnan(few.diagnostic[0])
    unknown = Estimate.unknown((3,), Reason.DEAD, 5)
    assert not unknown.trusted.any()
    assert unknown.diagnostic.tolist() == [5] * 3


def test_replicates_may_have_any_shape():
    bounds = block_bounds(10, 5)
    estimate = from_replicates(np.zeros((2, 3)), np.arange(30.0).reshape(5, 2, 3), bounds)
    assert estimate.stderr.shape == estimate.trusted.shape == (2, 3)
