"""When a jackknife standard error can be believed: a diagnosis of its pseudo-values.

A standard error describes a statistic only while the central limit theorem holds over the blocks.
Where a few networks decide the result (high moments of a deep, narrow network), an ensemble that
has not met its rarest networks is wrong and says with a small error that it is right. What it did
meet still gives it away: pseudo-values with a long tail. Four symptoms are looked for: a block that
carries most of the spread; a variance that is itself hardly known; skewness of the estimate, which
makes its error and its deviation go together; and the tail index. The first three follow from the
largest values, which an unlucky ensemble lacks; the last from how a tenth of the blocks grows,
which hardly depends on luck. docs/estimates.md says how often they err.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv, stdtrit

from finitewidth.core.reasons import Reason

Array = np.ndarray

#: Largest believable skewness of the estimate itself: that of its pseudo-values over sqrt(blocks).
#: Beyond it, deviations of more than 3 standard errors are some four times as frequent as they
#: should be, and with long tails far more frequent.
_SKEWNESS = 0.25
#: A skewness of pseudo-values may be chance up to this many standard deviations, those of normal
#: values.
_CHANCE = 4.2
#: Largest believable share of one block in the variance, and largest believable relative error of
#: the variance. Where blocks are few, larger ones are excused by a test for an outlier of this
#: level.
_SHARE, _VARIANCE = 0.5, 0.3
_LEVEL = 2e-4
#: A tail index below _TAIL is not believed. With few blocks the limit is lower: so low that a tail
#: of index _SHORT is found below it with probability _LEVEL only. The index is read off the largest
#: tenth of the blocks, if there are _LEAST_BLOCKS of them.
_TAIL, _SHORT = 1.3, 3
_TENTH, _LEAST_BLOCKS = 10, 50


def skewness_limit(blocks: int) -> float:
    """Largest believable |skewness| of ``blocks`` pseudo-values: 5.6 with 500, 1.8 with 50.

    The exact variance of the sample skewness of B normal values is 6(B-2)/((B+1)(B+3)) (Cramer
    1946, Mathematical Methods of Statistics, section 29.3).
    """
    deviation = np.sqrt(6 * (blocks - 2) / ((blocks + 1) * (blocks + 3)))
    return max(_CHANCE * deviation, _SKEWNESS * np.sqrt(blocks))


def share_limit(blocks: int) -> float:
    """Largest believable share of one of ``blocks`` pseudo-values in their sum of squares: 0.5.

    With fewer than 30, the critical value of Grubbs' test for one outlier.
    """
    return max(_outlier(blocks), _SHARE)


def variance_limit(blocks: int) -> float:
    """Largest believable relative error of the variance: 0.3.

    With fewer than 70 blocks it is larger: the error when one value has Grubbs' critical share and
    the others have kurtosis 4. Normal values seldom exceed that.
    """
    share = _outlier(blocks)
    return max(np.sqrt(share**2 + 4 * (1 - share) ** 2 / blocks), _VARIANCE)


def tail_limit(blocks: int) -> float:
    """Least believable tail index: 1.3; less with fewer than 150 blocks, and 0 with fewer than 50.

    Of k values beyond a threshold Hill's estimate of the index is k times the true one over a gamma
    variable of shape k.
    """
    if blocks < _LEAST_BLOCKS:
        return 0.0
    k = blocks // _TENTH
    return min(_TAIL, _SHORT * k / gammaincinv(k, 1 - _LEVEL))


def doubts(residuals: Array, *, events: bool = False) -> tuple[Array, Array]:
    """Why pseudo-values do not look like those of a statistic with a trustworthy standard error.

    Parameters
    ----------
    residuals : array, shape (block, ...)
        Pseudo-values minus their mean.
    events : bool
        Whether they count events: few values then occur, which have no tail index.

    Returns
    -------
    reason, diagnostic : array, shape (...)
        Flags of :class:`finitewidth.core.reasons.Reason`, and the number that each was read off.
        Where a residual is not finite, where all are zero (no spread was seen, so nothing is known
        of it), and where one of the symptoms is seen.
    """
    blocks = len(residuals)
    with np.errstate(all="ignore"):
        sizes = np.abs(residuals)
        largest = np.max(sizes, axis=0)
        unit = residuals / largest
        squares = np.sum(unit**2, axis=0)
        share = 1 / squares
        variance = np.sqrt(np.sum(unit**4, axis=0)) / squares
        skewness = np.sum(unit**3, axis=0) / squares**1.5
    reason = np.zeros(largest.shape, np.int8)
    diagnostic = np.full(largest.shape, np.nan)
    symptoms = [
        (~np.isfinite(largest), Reason.NOT_FINITE, np.nan),
        (largest == 0, Reason.NO_SPREAD, np.nan),
        (share >= share_limit(blocks), Reason.ONE_BLOCK, share),
        (variance >= variance_limit(blocks), Reason.UNKNOWN_VARIANCE, variance),
        (np.abs(skewness) >= skewness_limit(blocks) / np.sqrt(blocks), Reason.SKEW, skewness),
    ]
    if not events and blocks >= _LEAST_BLOCKS:
        index = tail_index(sizes)
        symptoms.append((index <= tail_limit(blocks), Reason.HEAVY_TAIL, index))
    for seen, why, number in symptoms:
        new = seen & (reason == Reason.NONE)
        reason = np.where(new, np.int8(why), reason)
        diagnostic = np.where(new, number, diagnostic)
    return reason, diagnostic


def tail_index(sizes: Array) -> Array:
    """Hill's estimate of alpha in P(size > x) ~ x^-alpha, from the largest tenth of the sizes.

    Parameters
    ----------
    sizes : array, shape (block, ...)

    Returns
    -------
    array, shape (...)
        (Hill 1975, Annals of Statistics 3, 1163). Infinite where the tenth is all of one size.
    """
    k = len(sizes) // _TENTH
    top = np.partition(sizes, len(sizes) - k - 1, axis=0)[len(sizes) - k - 1 :]
    with np.errstate(all="ignore"):
        return 1 / np.mean(np.log(top[1:] / top[0]), axis=0)


def _outlier(blocks: int) -> float:
    """Critical share of one of normal values in their sum of squares (Grubbs 1950, Annals of
    Mathematical Statistics 21, 27)."""
    t2 = stdtrit(blocks - 2, _LEVEL / (2 * blocks)) ** 2
    return (blocks - 1) / blocks * t2 / (blocks - 2 + t2)
