"""When a jackknife standard error can be believed: a diagnosis of its pseudo-values.

A standard error describes a statistic only while the central limit theorem holds over the blocks.
Where a few networks decide the result (high moments of a deep, narrow network), an ensemble that
has not met its rarest networks is wrong and says with a small error that it is right. What it did
meet still gives it away: pseudo-values with a long tail. Two symptoms are looked for, and each
must be something that Gaussian pseudo-values hardly ever show (with 50 blocks, 4 in 10^4 numbers).
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

Array = np.ndarray

#: Skewness beyond this many of its standard deviations under normality is none of chance.
_SKEWNESS_DEVIATIONS = 4.2
#: An estimate whose own skewness (that of its pseudo-values over sqrt(blocks)) is less does no harm.
_HARMLESS_SKEWNESS = 0.19
#: Level of the outlier test on the block with the largest share of the variance.
_OUTLIER_LEVEL = 2e-4
#: A share of the variance that one block may have, however many there are.
_HARMLESS_SHARE = 1 / 3


def skewness_limit(blocks: int) -> float:
    """Largest believable |skewness| of ``blocks`` pseudo-values: 1.37 with 50.

    The exact variance of the sample skewness of B normal values is 6(B-2)/((B+1)(B+3)) (Cramer
    1946, Mathematical Methods of Statistics, section 29.3).
    """
    deviation = np.sqrt(6 * (blocks - 2) / ((blocks + 1) * (blocks + 3)))
    return max(_SKEWNESS_DEVIATIONS * deviation, _HARMLESS_SKEWNESS * np.sqrt(blocks))


def share_limit(blocks: int) -> float:
    """Largest believable share of one of ``blocks`` pseudo-values in their squares: 0.35 with 50.

    The critical value of Grubbs' test for one outlier (Grubbs 1950, Annals of Mathematical
    Statistics 21, 27), or a third.
    """
    t2 = stdtrit(blocks - 2, _OUTLIER_LEVEL / (2 * blocks)) ** 2
    return max((blocks - 1) / blocks * t2 / (blocks - 2 + t2), _HARMLESS_SHARE)


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
