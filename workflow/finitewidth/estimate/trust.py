"""When a jackknife standard error can be believed: a diagnosis of its pseudo-values.

A standard error describes a statistic only while the central limit theorem holds over the blocks.
Where a few networks decide the result (high moments of a deep, narrow network), an ensemble that
has not met its rarest networks is wrong and says with a small error that it is right. What it did
meet still gives it away: pseudo-values with a long tail. Two symptoms are looked for: skewness
of the estimate, which makes its error and its deviation go together, and a block that carries most
of the spread.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

Array = np.ndarray

#: Believable skewness of the estimate itself, which is that of its pseudo-values over sqrt(blocks):
#: beyond it, deviations of more than 3 standard errors are some four times as frequent as they
#: should be, with long tails far more.
_SKEWNESS = 0.25
#: Skewness of pseudo-values within this many of its standard deviations under normality is chance.
_CHANCE = 4.2
#: Believable share of one block in the variance, and the level of the outlier test that excuses a
#: larger one where blocks are few.
_SHARE = 0.5
_LEVEL = 2e-4


def skewness_limit(blocks: int) -> float:
    """Largest believable |skewness| of ``blocks`` pseudo-values: 5.6 with 500, 1.8 with 50.

    The exact variance of the sample skewness of B normal values is 6(B-2)/((B+1)(B+3)) (Cramer
    1946, Mathematical Methods of Statistics, section 29.3).
    """
    deviation = np.sqrt(6 * (blocks - 2) / ((blocks + 1) * (blocks + 3)))
    return max(_CHANCE * deviation, _SKEWNESS * np.sqrt(blocks))


def share_limit(blocks: int) -> float:
    """Largest believable share of one of ``blocks`` pseudo-values in their sum of squares: 0.5.

    With fewer than 30, the critical value of Grubbs' test for one outlier (Grubbs 1950, Annals of
    Mathematical Statistics 21, 27).
    """
    t2 = stdtrit(blocks - 2, _LEVEL / (2 * blocks)) ** 2
    return max((blocks - 1) / blocks * t2 / (blocks - 2 + t2), _SHARE)


def believable(residuals: Array) -> Array:
    """Whether pseudo-values look like those of a statistic with a trustworthy standard error.

    Parameters
    ----------
    residuals : array, shape (block, ...)
        Pseudo-values minus their mean.

    Returns
    -------
    array of bool, shape (...)
        False where a residual is not finite, where all are zero (no spread was seen, so nothing
        is known of it), where they are too skew, or where one block carries the spread.
    """
    blocks = len(residuals)
    with np.errstate(all="ignore"):
        unit = residuals / np.max(np.abs(residuals), axis=0)
        squares = np.sum(unit**2, axis=0)
        skewness = np.sqrt(blocks) * np.sum(unit**3, axis=0) / squares**1.5
        share = np.max(unit**2, axis=0) / squares
        # Comparisons with NaN are false: what cannot be computed is not believed.
        return (np.abs(skewness) < skewness_limit(blocks)) & (share < share_limit(blocks))
