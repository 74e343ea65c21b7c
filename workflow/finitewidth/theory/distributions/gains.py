"""Laws of log X, X the relative gain of one hidden layer: its mean of sigma(g)^2 over n neurons.

For slopes a_+, a_- a layer of n neurons has B ~ Bin(n, 1/2) neurons on the positive side and
X = (a_+^2 chi^2_B + a_-^2 chi^2_{n-B})/(n A2), of mean 1 (Hanin and Nica 2018 for ReLU).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from finitewidth.theory.distributions.fourier import LogLaw, total
from finitewidth.theory.gaussian.expectations import panels


def log_chi_square(n: int) -> LogLaw:
    """Law of log(chi^2_n/n)."""
    half = n / 2
    digamma = float(special.digamma(half))
    return LogLaw(
        digamma - np.log(half),
        float(special.polygamma(1, half)),
        lambda u: special.loggamma(half + u) - special.gammaln(half) - u * digamma,
        half,
    )


@lru_cache(maxsize=256)
def log_gain(slopes: tuple[float, float], n: int) -> LogLaw:
    """Law of log X for a layer of n neurons; where a slope is 0, given that one neuron is on.

    Raises
    ------
    ValueError
        If both slopes are zero.
    """
    positive, negative = float(slopes[0]) ** 2, float(slopes[1]) ** 2
    if positive == negative == 0:
        raise ValueError("an activation with two zero slopes has no gain")
    mean = (positive + negative) / 2
    if positive == negative:
        return log_chi_square(n)
    if positive == 0 or negative == 0:
        return _thinned(n).shifted(np.log((positive + negative) / mean))
    share = _share(n, positive, negative).shifted(-np.log(mean))
    return total([(1, log_chi_square(n)), (1, share)])


def _binomial(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The values of Bin(n, 1/2) that are not negligible, and their probabilities."""
    reach = 5 * np.sqrt(n) + 5
    B = np.arange(max(0, int(n / 2 - reach)), min(n, int(n / 2 + reach)) + 1)
    log_choose = special.gammaln(n + 1) - special.gammaln(B + 1) - special.gammaln(n - B + 1)
    return B, np.exp(log_choose - n * np.log(2))


def _thinned(n: int) -> LogLaw:
    """Law of log(chi^2_B/n), B ~ Bin(n, 1/2) given B >= 1: a mixture."""
    B, p = _binomial(n)
    half, p = B[B > 0] / 2, p[B > 0] / p[B > 0].sum()
    digamma = special.digamma(half)
    center = float(p @ digamma)
    variance = float(p @ (special.polygamma(1, half) + (digamma - center) ** 2))
    log_p = np.log(p) - special.gammaln(half)

    def log_mgf(u: np.ndarray) -> np.ndarray:
        u = np.asarray(u, dtype=complex)
        return _log_sum_exp(log_p + special.loggamma(half + u[..., None])) - u * center

    return LogLaw(center - np.log(n / 2), variance, log_mgf, float(half[0]))


def _share(n: int, positive: float, negative: float) -> LogLaw:
    """Law of log(negative + (positive - negative) beta), beta the share of sum g^2 with g > 0.

    Independent of sum g^2, because a Gaussian vector's direction is independent of its length.
    Given B, beta ~ Beta(B/2, (n - B)/2); with beta = sin^2(theta) the densities are smooth, and
    the law is replaced by the nodes of a quadrature in theta and the atoms at B = 0 and n.
    """
    B, p = _binomial(n)
    theta, weight = _angles(n)
    inside = (B != 0) & (n != B)
    b, log_p = B[inside], np.log(p[inside])
    log_density = (
        np.log(2)
        + np.multiply.outer(np.log(np.sin(theta)), b - 1.0)
        + np.multiply.outer(np.log(np.cos(theta)), n - b - 1.0)
        - special.betaln(b / 2, (n - b) / 2)
    )
    mass = weight * np.exp(log_density + log_p).sum(axis=1)
    beta = np.append(np.sin(theta) ** 2, B[~inside] / n)
    mass = np.append(mass, p[~inside])
    mass /= mass.sum()
    value = np.log(negative * (1 - beta) + positive * beta)
    center = float(mass @ value)
    log_mass, value = np.log(mass, where=mass > 0, out=np.full_like(mass, -np.inf)), value - center

    def log_mgf(u: np.ndarray) -> np.ndarray:
        u = np.asarray(u, dtype=complex)
        return _log_sum_exp(log_mass + u[..., None] * value)

    return LogLaw(center, float(mass @ value**2), log_mgf)


def _angles(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature on the part of [0, pi/2] where theta has any mass, graded towards its ends."""
    reach = min(np.pi / 4, 12 / np.sqrt(n))
    graded = np.concatenate([[0.0], 2.0 ** np.arange(-12, -3), np.arange(1, 9) / 8])
    edges = reach * (graded - 1)
    return panels(np.pi / 4 + np.concatenate([edges, -edges[-2::-1]]), 16)


def _log_sum_exp(terms: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis, complex (scipy's own imports slowly and warns at -inf)."""
    top = terms.real.max(axis=-1, keepdims=True)
    return np.log(np.exp(terms - top).sum(axis=-1)) + top[..., 0]
