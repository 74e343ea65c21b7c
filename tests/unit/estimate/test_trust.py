"""Reasons against loops and scipy, and what each of them is for."""

import numpy as np
import pytest
from scipy import stats

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.trust import (
    doubts,
    share_limit,
    skewness_limit,
    tail_index,
    tail_limit,
    variance_limit,
)

pytestmark = pytest.mark.fast


def by_loops(values):
    """Reason and diagnostic of one list of residuals, from its moments by scipy."""
    blocks = len(values)
    if not np.all(np.isfinite(values)):
        return Reason.NOT_FINITE, np.nan
    if not np.any(values):
        return Reason.NO_SPREAD, np.nan
    second, third, fourth = (stats.moment(values, k, center=0) for k in (2, 3, 4))
    share = max(v * v for v in values) / (blocks * second)
    variance = np.sqrt(fourth / second**2 / blocks)
    skewness = third / second**1.5 / np.sqrt(blocks)
    if share >= share_limit(blocks):
        return Reason.ONE_BLOCK, share
    if variance >= variance_limit(blocks):
        return Reason.UNKNOWN_VARIANCE, variance
    if abs(skewness) * np.sqrt(blocks) >= skewness_limit(blocks):
        return Reason.SKEW, skewness
    if blocks >= 50:
        falling = sorted(np.abs(values), reverse=True)
        k = blocks // 10
        index = 1 / np.mean([np.log(size / falling[k]) for size in falling[:k]])
        if index <= tail_limit(blocks):
            return Reason.HEAVY_TAIL, index
    return Reason.NONE, np.nan


@pytest.mark.parametrize("blocks", [10, 49, 50, 73, 500])
def test_reasons_are_those_of_loops(blocks):
    rng = np.random.default_rng(blocks)
    x = np.concatenate(
        [
            rng.standard_normal((blocks, 20)),
            rng.standard_t(1.2, (blocks, 60)),
            np.exp(rng.uniform(0.5, 2, 60) * rng.standard_normal((blocks, 60))),
            np.exp(np.linspace(0.5, 1.5, 60) * rng.standard_exponential((blocks, 60)))
            * rng.choice([-1, 1], (blocks, 60)),
        ],
        axis=1,
    )
    x -= x.mean(axis=0)
    x[:, 0] = 0
    x[3, 1] = np.nan
    x[5, 2] = np.inf
    reason, diagnostic = doubts(x)
    expected = [by_loops(column) for column in x.T]
    assert reason.tolist() == [why for why, _ in expected]
    np.testing.assert_allclose(diagnostic, [number for _, number in expected], rtol=1e-9)
    # Each of them occurs.
    least = {Reason.NONE, Reason.NO_SPREAD, Reason.NOT_FINITE, Reason.ONE_BLOCK}
    assert least <= set(reason.tolist())
    if blocks == 500:
        assert {Reason.UNKNOWN_VARIANCE, Reason.HEAVY_TAIL} <= set(reason.tolist())


def test_each_reason_has_its_own_kind_of_tail():
    quantiles = stats.norm.ppf((np.arange(500) + 0.5) / 500)
    one = quantiles.copy()
    one[-1] = 30
    two = quantiles.copy()
    two[[0, -1]] = -25, 25
    # Two values, of which one is rare: skewness (1 - 2p)/sqrt(p(1 - p)), over sqrt(500).
    skew = np.where(np.arange(500) < 14, 1 - 0.028, -0.028)
    tail = stats.gamma.ppf((np.arange(500) + 0.5) / 500, 0.15) - 0.15
    found, number = doubts(np.stack([quantiles, one, two, skew, tail], axis=1))
    assert number[3] == pytest.approx((1 - 0.056) / np.sqrt(0.028 * 0.972 * 500))
    assert found.tolist() == [
        Reason.NONE, Reason.ONE_BLOCK, Reason.UNKNOWN_VARIANCE, Reason.SKEW, Reason.HEAVY_TAIL,
    ]  # fmt: skip


def test_counts_of_events_are_not_asked_for_a_tail():
    """Fifty networks of five hundred in a bin are enough, and fifty-one, too."""
    for hits in (49, 50, 51, 60):
        x = (np.arange(2000) < hits).astype(float).reshape(4, 500).sum(axis=0)
        x[:1] += 1
        assert doubts(x[:, None] - x.mean(), events=True)[0].item() == Reason.NONE
    assert doubts(x[:, None] - x.mean())[0].item() in (Reason.NONE, Reason.HEAVY_TAIL)


@pytest.mark.parametrize("alpha", [0.8, 1.5, 3.0])
def test_the_tail_index_is_that_of_a_power_law(alpha):
    # Hill's estimate from 500 of 5000 values is known to 4.5 %: 5 of these.
    x = np.random.default_rng(1).pareto(alpha, (5000, 1)) + 1
    assert tail_index(x).item() == pytest.approx(alpha, rel=0.23)


def test_a_tail_of_index_3_is_hardly_ever_flagged_whatever_the_number_of_blocks():
    """The stated 2e-4 a number for 50 blocks: more than 20 of 30,000 once in 10^5 seeds."""
    rng = np.random.default_rng(2)
    sizes = rng.pareto(3, (50, 30_000)) + 1
    assert np.sum(tail_index(sizes) <= tail_limit(50)) <= 20
    assert tail_limit(49) == 0
    assert tail_limit(50) < tail_limit(100) < tail_limit(500) == 1.3
