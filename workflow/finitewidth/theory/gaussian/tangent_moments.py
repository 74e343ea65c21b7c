"""Gaussian means, on one input, of what the fluctuations of a tangent kernel are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.gaussian.trapezoidal import axis

# Variances that are integrated in one go: what fits into the cache.
_CHUNK = 32
# -log of the error that grids are laid out for: a fifth derivative has a pole of order six,
# which costs seven decimal digits. Beyond so many points panels are no dearer.
_DIGITS, _POINTS = 52.0, 1500
# Beyond this variance the mean of the k-th derivative of f is taken as <f He_k(u)>/K^(k/2), with
# u = z/sqrt(K): the derivative itself cancels there.
_WIDE = 4.0


class TangentMoments(NamedTuple):
    """Means over z ~ N(0, K) for each K, all of one shape; s = sigma, ' = d/dz."""

    square: np.ndarray  #: <s^2>
    slope: np.ndarray  #: <s'^2>
    square_variance: np.ndarray  #: Var(s^2)
    cross: np.ndarray  #: Cov(s^2, s'^2)
    slope_variance: np.ndarray  #: Var(s'^2)
    square_2: np.ndarray  #: <(s^2)''>
    square_4: np.ndarray  #: <(s^2)''''>
    slope_2: np.ndarray  #: <(s'^2)''>
    slope_4: np.ndarray  #: <(s'^2)''''>
    curved: np.ndarray  #: <s s'^2 s''>, with s'' as a network computes it: 0 at a kink


def tangent_moments(activation: Activation, K: ArrayLike) -> TangentMoments:
    """All of :class:`TangentMoments`, each of the shape of ``K``.

    Closed forms for two slopes, sin and cos; one-dimensional quadrature for what else is smooth. At
    K = 0 a kink passes nothing on, and all is 0.

    Raises
    ------
    ValueError
        If a variance is negative or not finite, or the activation has a kink and is not of two
        slopes.
    """
    K = np.asarray(K, dtype=float)
    if activation.slopes is not None:
        return _two_slopes(activation, K)
    if activation.name in ("sin", "cos"):
        return _trigonometric(activation.name, K)
    if activation.derivatives is None:
        raise ValueError(f"{activation.name} has no derivatives in the table")
    return _integrated(activation, K)


def _two_slopes(activation: Activation, K: np.ndarray) -> TangentMoments:
    """Of z^2 and of the two values of s'^2; their means of second derivatives are 0 by parity."""
    A2, A4 = (sum(a**p for a in activation.slope_pair) / 2 for p in (2, 4))
    one = np.where(K > 0, 1.0, activation.derivative(np.zeros(())) ** 2 / (A2 or 1))
    spread = (A4 - A2**2) * one
    with np.errstate(over="ignore"):
        square_variance = (3 * A4 - A2**2) * K**2
    return TangentMoments(
        A2 * K,
        A2 * one,
        square_variance,
        spread * K,
        spread,
        2 * A2 * one,
        *[0 * one] * 4,
    )


def _trigonometric(name: str, K: np.ndarray) -> TangentMoments:
    """Squares are (1 -+ cos 2z)/2; in forms that do not cancel where K is small."""
    sign = 1.0 if name == "sin" else -1.0
    decay, y = np.exp(-2 * K), -np.expm1(-2 * K)
    spread = np.expm1(-4 * K) ** 2 / 8
    small, large = y / 2, (1 + decay) / 2
    square, slope = (small, large) if name == "sin" else (large, small)
    return TangentMoments(
        square,
        slope,
        spread,
        -spread,
        spread,
        sign * 2 * decay,
        -sign * 8 * decay,
        -sign * 2 * decay,
        sign * 8 * decay,
        np.expm1(-8 * K) / 8,
    )


def _integrated(activation: Activation, K: np.ndarray) -> TangentMoments:
    flat = K.ravel()
    chunks = [flat[k : k + _CHUNK] for k in range(0, max(1, len(flat)), _CHUNK)]
    found = np.concatenate([_one_chunk(activation, chunk) for chunk in chunks], axis=-1)
    return TangentMoments(*found.reshape(len(TangentMoments._fields), *K.shape))


def _one_chunk(activation: Activation, K: np.ndarray) -> np.ndarray:
    s0, d0 = activation.jet(np.zeros(()))[:2] ** 2
    wide = K > _WIDE
    scale = np.where(wide, K, 1.0)

    def products(z: np.ndarray) -> np.ndarray:
        s, s1, s2, s3, s4, s5 = activation.jet(z)
        # Values at 0 are subtracted, so that variances do not cancel where K is small.
        square, slope = s * s - s0, s1 * s1 - d0
        q = z * z / scale[:, None]
        second, fourth = q - 1, (q - 6) * q + 3

        def either(weighted: np.ndarray, derivative: np.ndarray) -> np.ndarray:
            return np.where(wide[:, None], weighted, derivative)

        return np.stack(
            [
                square,
                slope,
                square * square,
                square * slope,
                slope * slope,
                either(square * second, 2 * (s1 * s1 + s * s2)),
                either(square * fourth, 2 * (s * s4 + 4 * s1 * s3 + 3 * s2 * s2)),
                either(slope * second, 2 * (s2 * s2 + s1 * s3)),
                either(slope * fourth, 2 * (s1 * s5 + 4 * s2 * s4 + 3 * s3 * s3)),
                s * s1 * s1 * s2,
            ]
        )

    found = _mean(products, activation.strip_width, K)
    square, slope = found[:2]
    found[2:5] -= square * square, square * slope, slope * slope
    found[0] += s0
    found[1] += d0
    found[[5, 7]] /= scale
    found[[6, 8]] /= scale**2
    return found


def _mean(f: Callable[[np.ndarray], np.ndarray], strip: float, K: np.ndarray) -> np.ndarray:
    """Means of f(z) for variances K, (m,): by the trapezoidal rule, or panels if K is large."""
    steepest = np.sqrt(K.max(initial=0.0))
    u, weight = axis(strip / steepest if steepest > 0 else np.inf, _DIGITS)
    if len(u) > _POINTS:
        return expectation(f, K)
    return f(np.sqrt(K)[:, None] * u) @ weight
