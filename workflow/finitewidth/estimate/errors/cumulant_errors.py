"""Errors of second and third cumulants of a kernel that no controls were taken from.

What one network adds to a variance or a third cumulant is skew even where the kernel is not. The
jackknife's error is then small just where the estimate is, and z spreads more than it should. How
much more follows from one number, the kernel's skewness, and that is known from few networks if it
is read off L-moments: an ensemble that lacks its tail has nearly the same. Symptoms of what single
networks add are not asked: those who see none are the ensembles that lack their tail, and to trust
just these made z of what was trusted spread up to three times as widely as that of all.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: Largest believable skewness of the estimate; its error is widened up to there.
_LIMIT = 1.0
#: Fewest networks that a third cumulant is believed of: what they add has a kurtosis of 93 even
#: where the kernel is Gaussian, and their skewness is not told from that of others.
_THIRD = 250
#: Skewness over L-skewness t: 6 for gamma variables where small. Kernels of narrow layers are on
#: their way to log-normal ones, and have 6 (1 + 2 t^2).
_GAMMA, _BENT = 6.0, 2.0
#: What the next order of the expansion adds to the mean square of z, over skewness^4: a fit.
_NEXT = 2.0
#: Reasons that stay, whatever the skewness is.
FIRM = (Reason.NOT_FINITE, Reason.NO_SPREAD)


def kernel_skewness(kernel: Array, widths: Array) -> Array:
    """Skewness of each layer's kernel over networks, by L-moments (Hosking 1990, Journal of the
    Royal Statistical Society B 52, 105).

    It falls as 1/sqrt(n) with the width, up to a fifth over the widths of a ladder, and is taken
    from all rungs together: this is steadier, and less in league with the cumulants of one rung.

    Parameters
    ----------
    kernel : array, shape (network, rung, ...)
    widths : array of int, shape (rung,)

    Returns
    -------
    array, shape (rung, ...)
        Absolute values; 0 where nothing varies.
    """
    count = len(kernel)
    rank = np.arange(count).reshape(-1, *(1,) * (kernel.ndim - 1)) / (count - 1)
    inner = (rank * (count - 1) - 1) / (count - 2)
    ordered = np.sort(kernel - kernel.mean(axis=0), axis=0)
    one, two = np.mean(rank * ordered, axis=0), np.mean(rank * inner * ordered, axis=0)
    with np.errstate(all="ignore"):
        bent = 3 * two / one - 3
        own = _GAMMA * bent * (1 + _BENT * bent**2)
    root = np.sqrt(np.reshape(widths, (-1, *(1,) * (own.ndim - 1))))
    varies = np.isfinite(own) & (one > 0)
    pooled = np.sum(np.where(varies, own * root, 0.0), axis=0) / np.maximum(varies.sum(axis=0), 1)
    return np.where(varies, np.abs(pooled / root), 0.0)


def cumulant_skewness(skewness: Array, order: int) -> Array:
    """The skewness of what one network adds to the second or third cumulant of a number.

    The number counts as a gamma variable of its skewness: with variance 1 this has the cumulants
    (j - 1)! (skewness/2)^(j - 2), and x^2 - 1, or x^3 - 3x less its mean, is what x adds.
    """
    half = np.abs(np.asarray(skewness, float)) / 2
    cumulants = [0.0, 0.0, *(math.factorial(j - 1) * half ** (j - 2) for j in range(2, 10))]
    moments = [np.ones_like(half)]
    for n in range(1, 10):
        parts = (math.comb(n - 1, j - 1) * cumulants[j] * moments[n - j] for j in range(2, n + 1))
        moments.append(sum(parts, np.zeros_like(half)))
    adds = {2: np.array([0.0, 0, 1]), 3: np.array([0.0, -3, 0, 1])}[order]

    def mean(polynomial: Array) -> Array:
        return sum(c * m for c, m in zip(polynomial, moments, strict=False))

    one, two, three = (mean(np.polynomial.polynomial.polypow(adds, k)) for k in (1, 2, 3))
    variance = two - one**2
    return (three - 3 * one * variance - one**3) / variance**1.5


def widened(
    estimate: Estimate, rungs: Array, skewness: Array, order: int, networks: int, plain: Array
) -> tuple[Estimate, Array]:
    """The estimate of a cumulant with an error that z is 1 in the mean square of.

    For the mean of N numbers of skewness s, E[t^2] = 1 + (3 + 2 s^2)/N + ... (Gayen 1949,
    Biometrika 36, 353).

    Parameters
    ----------
    estimate : Estimate, shape (rung, ...)
    rungs : array, shape (rung, rung, ...)
        Covariances of the estimates.
    skewness : array, shape (rung, ...)
        Of the kernel.
    order : int
        Of the cumulant, 2 or 3.
    networks : int
    plain : array of bool, shape (rung, ...)
        Where no controls were taken; the others stay as they are.

    Returns
    -------
    Estimate and array
        Not trusted where the estimate's own skewness is more than this expansion bears.
    """
    own = np.abs(cumulant_skewness(skewness, order)) / np.sqrt(networks)
    square = np.minimum(own, _LIMIT) ** 2
    factor = np.where(plain, np.sqrt(1 + 3 / networks + 2 * square + _NEXT * square**2), 1.0)
    firm = np.isin(estimate.reason, FIRM) | ~plain
    found = replace(
        estimate,
        stderr=estimate.stderr * factor,
        reason=np.where(firm, estimate.reason, np.int8(Reason.NONE)),
        diagnostic=np.where(firm, estimate.diagnostic, np.nan),
    )
    asked = found.trusted & plain
    few = asked & (order == 3) & (networks < _THIRD)
    found = found.doubted(few, Reason.TOO_FEW_NETWORKS, networks)
    found = found.doubted(asked & ~few & ~(own < _LIMIT), Reason.UNSEEN_TAIL, own)
    return found, rungs * factor * factor[:, None]
