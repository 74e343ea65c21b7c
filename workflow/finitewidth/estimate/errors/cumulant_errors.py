"""Errors of the second and third cumulants of a kernel, with controls and, above all, without.

What one network adds to a variance or a third cumulant is skew even where the kernel is not. The
jackknife's error is then small just where the estimate is, and z spreads more than it should. A
second error follows from the law of the kernel: in the second layer it is a mean over neurons, near
to a gamma variable, and every layer more brings it nearer to a log-normal one, a product. Which of
them follows from one number, the kernel's skewness, and that is known from few networks if it is
read off L-moments. This error depends less on which networks were drawn, but it assumes a law; few
networks take it, many the jackknife's. Symptoms of what single networks add are not asked: those
who see none are the ensembles that lack their tail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: Errors of this share of an estimate are rounding: controls have left nothing else.
ROUNDING = 1e-6
#: Largest believable skewness of the estimate, by the order of the cumulant.
_LIMIT = {2: 0.8, 3: 1.0}
#: Fewest networks that a third cumulant is believed of. What they add has a kurtosis of 93 even
#: where the kernel is Gaussian, and to pick kernels whose skewness is small picks small cumulants.
_THIRD = 250
#: With this many networks the jackknife's error and the law's have equal weights.
EVEN = 1000
#: What is added to the square of the error, relative to it: in units of the estimate's skewness
#: squared, of the jackknife's (Gayen) and of the law's; and, of the law's alone, in units of
#: 1/networks and of this skewness squared over networks, for the skewness itself is read off few
#: (fits; by the order where they differ).
GAYEN, _OF_LAW, _OF_FEW = 2.0, {2: 1.0, 3: 0.2}, {2: 10.0, 3: 0.0}
_OF_SKEW_FEW = 80.0
#: Largest spread of a log-normal variable's logarithm: beyond it nothing is believed in any case.
_WIDEST = 1.5
_HIGHEST = 9
_NODE, _WEIGHT = hermegauss(60)
#: Reasons that stay, whatever the skewness is.
FIRM = (Reason.NOT_FINITE, Reason.NO_SPREAD)


def l_skewness(values: Array) -> Array:
    """The ratio of the third to the second L-moment (Hosking 1990, Journal of the Royal Statistical
    Society B 52, 105) of values (network, ...); 0 where nothing varies."""
    count = len(values)
    rank = np.arange(count).reshape(-1, *(1,) * (values.ndim - 1)) / (count - 1)
    inner = (rank * (count - 1) - 1) / (count - 2)
    ordered = np.sort(values - values.mean(axis=0), axis=0)
    one, two = np.mean(rank * ordered, axis=0), np.mean(rank * inner * ordered, axis=0)
    with np.errstate(all="ignore"):
        return np.where(one > 0, np.nan_to_num(3 * two / one - 3), 0.0)


def gamma_moments(skewness: Array) -> Array:
    """Moments 0 to 9 of a gamma variable of mean 0 and variance 1, in front of ``skewness``' axes.

    Its cumulants are (j - 1)! (skewness/2)^(j - 2).
    """
    half = np.abs(np.asarray(skewness, float)) / 2
    cumulants = [math.factorial(j - 1) * half ** (j - 2) for j in range(2, _HIGHEST + 1)]
    moments = [np.ones_like(half), np.zeros_like(half)]
    for n in range(2, _HIGHEST + 1):
        parts = (
            math.comb(n - 1, j - 1) * cumulants[j - 2] * moments[n - j] for j in range(2, n + 1)
        )
        moments.append(sum(parts, np.zeros_like(half)))
    return np.stack(moments)


def lognormal_moments(spread: Array) -> Array:
    """The same of a log-normal variable, by the standard deviation of its logarithm."""
    k = np.clip(np.asarray(spread, float), 1e-3, _WIDEST)[..., None]
    x = np.expm1(k * _NODE - k**2 / 2) / np.sqrt(np.expm1(k**2))
    weight = _WEIGHT / _WEIGHT.sum()
    return np.stack([x**j @ weight for j in range(_HIGHEST + 1)])


def added(moments: Array, order: int) -> tuple[Array, Array]:
    """Variance and skewness of what one network adds to a cumulant of order 1, 2 or 3.

    Of a kernel x of mean 0 and variance 1 this is x, x^2 or x^3 - 3x, less its mean.
    """
    adds = {1: np.array([0.0, 1]), 2: np.array([0.0, 0, 1]), 3: np.array([0.0, -3, 0, 1])}[order]

    def mean(polynomial: Array) -> Array:
        return sum(c * m for c, m in zip(polynomial, moments, strict=False))

    one, two, three = (mean(np.polynomial.polynomial.polypow(adds, k)) for k in (1, 2, 3))
    variance = two - one**2
    return variance, (three - 3 * one * variance - one**3) / variance**1.5


@dataclass(frozen=True)
class KernelLaw:
    """What the law of a kernel says of the estimate of one of its cumulants.

    Attributes
    ----------
    ratio : array, shape (rung, layer, ...)
        Its standard error over the jackknife's.
    skewness : array, shape (rung, layer, ...)
        Of the estimate.
    """

    ratio: Array
    skewness: Array

    @classmethod
    def of(cls, kernel: Array, widths: Array, layers: Array, order: int) -> KernelLaw:
        """From kernels (network, rung, layer, ...) of single inputs.

        Skewness falls as 1/sqrt(n) with the width, up to a fifth over the widths of a ladder, and
        is taken from all rungs together: this is steadier, and less in league with the cumulants of
        one rung. Rungs that do not vary, or hold a number that is not finite, tell nothing of it.
        """
        varies = np.std(kernel, axis=0) > 0
        t = np.clip(l_skewness(kernel), -0.95, 0.95)
        root = np.sqrt(np.reshape(widths, (-1, *(1,) * (t.ndim - 1))))

        def pooled(values: Array) -> Array:
            told = np.sum(np.where(varies, values * root, 0.0), axis=0)
            return np.abs(told / np.maximum(varies.sum(axis=0), 1)) / root

        gamma = added(gamma_moments(pooled(6 * t)), order)
        product = added(lognormal_moments(pooled(_log_spread(t))), order)
        later = 1 - 1 / np.maximum(np.asarray(layers) - 1, 1)
        later = later.reshape(-1, *(1,) * (t.ndim - 2))
        variance, skewness = (
            (1 - later) * a + later * b for a, b in zip(gamma, product, strict=True)
        )
        x = kernel - kernel.mean(axis=0)
        square = np.mean(x**2, axis=0)
        adds = {1: x, 2: x**2, 3: x**3 - 3 * x * square}[order]
        with np.errstate(all="ignore"):
            ratio = square ** (order / 2) * np.sqrt(variance) / np.std(adds, axis=0)
        ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
        return cls(ratio, np.where(square > 0, skewness, 0.0) / np.sqrt(len(kernel)))

    def over(self, index: Array) -> KernelLaw:
        """Of products of several inputs' kernels: the mean ratio, and the largest skewness.

        Parameters
        ----------
        index : array of int, shape (product, factor)
            The inputs, of the last axis.
        """
        ratio = np.exp(np.mean(np.log(self.ratio[..., index]), axis=-1))
        return KernelLaw(ratio, np.max(self.skewness[..., index], axis=-1))


def widened(
    estimate: Estimate, rungs: Array, law: KernelLaw, order: int, networks: int, plain: Array
) -> tuple[Estimate, Array]:
    """As :func:`with_law`, of shape (rung, ...), and its covariances (rung, rung, ...) like it."""
    found, factor = with_law(estimate, law, order, networks, plain)
    return found, rungs * factor * factor[:, None]


def with_law(
    estimate: Estimate, law: KernelLaw, order: int, networks: int, plain: Array | bool = True
) -> tuple[Estimate, Array]:
    """The estimate of a cumulant with an error such that z has mean square 1.

    The error is a geometric mean of the jackknife's and the law's. For the mean of N numbers of
    skewness s, E[t^2] = 1 + (3 + 2 s^2)/N + ... (Gayen 1949, Biometrika 36, 353), and it is less
    where the error does not come from the same numbers.

    Parameters
    ----------
    estimate : Estimate, shape (...)
    law : KernelLaw, of the estimate's shape
    order : int
        Of the cumulant, 2 or 3.
    networks : int
    plain : array of bool, shape (...)
        Where no controls were taken; the others keep their error.

    Returns
    -------
    Estimate and array
        Not trusted where the estimate is too skew for this expansion, unless controls leave nothing
        but rounding. And by what the error was multiplied.
    """
    jackknife = networks / (networks + EVEN)
    # Tails thinner than the law's are also less skew, if there are enough networks to tell.
    own = np.minimum(law.skewness, 1) * np.minimum(1 / law.ratio, 1) ** jackknife
    more = (jackknife * GAYEN + (1 - jackknife) * _OF_LAW[order]) * own**2
    of_few = _OF_FEW[order] + _OF_SKEW_FEW * own**2
    more = more + (1 - jackknife) * of_few / networks
    factor = np.where(plain, law.ratio ** (1 - jackknife) * np.sqrt(1 + more), 1.0)
    found = without_symptoms(estimate, estimate.stderr * factor, plain)
    few = found.trusted & plain & (order == 3) & (networks < _THIRD)
    found = found.doubted(few, Reason.TOO_FEW_NETWORKS, networks)
    # What controls leave has the same tail; to ask symptoms alone would pick the lucky again.
    left = plain | (estimate.stderr > ROUNDING * np.abs(estimate.value))
    unseen = found.trusted & left & ~(law.skewness < _LIMIT[order])
    return found.doubted(unseen, Reason.UNSEEN_TAIL, law.skewness), factor


def without_symptoms(estimate: Estimate, stderr: Array, where: Array | bool = True) -> Estimate:
    """The estimate with other errors; ``where`` says of which no symptom is asked any more.

    Reasons that are ``FIRM`` stay. All arrays have the estimate's shape.
    """
    firm = np.isin(estimate.reason, FIRM) | ~np.asarray(where)
    return replace(
        estimate,
        stderr=stderr,
        reason=np.where(firm, estimate.reason, np.int8(Reason.NONE)),
        diagnostic=np.where(firm, estimate.diagnostic, np.nan),
    )


def _log_spread(t: Array) -> Array:
    """The standard deviation of the logarithm of a log-normal variable of L-skewness t.

    By a rational approximation (Hosking and Wallis 1997, Regional Frequency Analysis, A.8)."""
    up = np.polynomial.polynomial.polyval(t**2, [2.0466534, -3.6544371, 1.8396733, -0.20360244])
    down = np.polynomial.polynomial.polyval(t**2, [1, -2.0182173, 1.2420401, -0.21741801])
    return t * up / down
