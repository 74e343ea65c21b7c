"""Derivatives of F = <sigma(z1) sigma(z2)> by the covariances K11, K12 = K21 and K22.

By integration by parts dF/dK12 = <s1' s2'> and dF/dK11 = <s1'' s2>/2, so that every second
derivative is a mean of derivatives of sigma up to the fourth. Closed forms for two slopes, erf,
gelu, sin and cos (derivatives of :mod:`finitewidth.theory.gaussian.closed_forms`); for what else is
smooth, grids, or panels where grids would be large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import closed_forms, trigonometric
from finitewidth.theory.gaussian.expectations import (
    METHODS,
    covariance,
    expectation,
    pair_expectation,
)
from finitewidth.theory.gaussian.trapezoidal import axis

# -log of the error that grids are laid out for: a fourth derivative has a pole of order five,
# which costs six decimal digits.
_DIGITS = 48.0
# Points of one temporary array, and of a grid beyond which panels are cheaper.
_CHUNK = 2**18
_LATTICE = 400_000


class PairDerivatives(NamedTuple):
    """Arrays over M pairs; the last axes run over K11, K12, K22."""

    value: np.ndarray  #: F, (M,)
    first: np.ndarray  #: (M, 3)
    second: np.ndarray  #: (M, 3, 3)


class VarianceDerivatives(NamedTuple):
    """<sigma^2> and its first two derivatives by K, each (N,)."""

    value: np.ndarray
    first: np.ndarray
    second: np.ndarray


def pair_derivatives(
    activation: Activation,
    K11: np.ndarray,
    K22: np.ndarray,
    K12: np.ndarray,
    method: str = "auto",
) -> PairDerivatives:
    """F with its gradient and Hessian in (K11, K12, K22).

    For two different slopes the second derivatives diverge where the correlation is +-1 or a
    variance is 0; there every derivative that does not exist is returned as 0. That is right where
    it multiplies a fluctuation that is 0; proportional inputs whose fluctuations are not 0 are to
    be treated as one input.

    Parameters
    ----------
    activation : Activation
        Of two slopes or smooth.
    K11, K22, K12 : ndarray, shape (M,)
    method : str
        ``"auto"`` or ``"quadrature"``, which two slopes do not have.

    Raises
    ------
    ValueError
        If ``method`` is unknown, or the activation has a kink and is not of two slopes
        (``quadrature``: has a kink).
    """
    K11, K22, K12 = (np.atleast_1d(np.asarray(k, dtype=float)) for k in (K11, K22, K12))
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if method == "auto":
        if activation.slopes is not None:
            return _two_slopes(activation, K11, K22, K12)
        closed = {"erf": _erf, "gelu": _gelu, "sin": _trigonometric, "cos": _trigonometric}.get(
            activation.name
        )
        if closed is not None:
            return closed(activation, K11, K22, K12)
    _require_smooth(activation)
    return _integrated(activation, K11, K22, K12)


def variance_derivatives(activation: Activation, K: np.ndarray) -> VarianceDerivatives:
    """<sigma(z)^2>, z ~ N(0, K), with d/dK = <(sigma^2)''>/2 and d^2/dK^2 = <(sigma^2)''''>/4.

    Raises
    ------
    ValueError
        If the activation has a kink and is not of two slopes, or a variance is negative.
    """
    K = np.atleast_1d(np.asarray(K, dtype=float))
    if activation.slopes is not None:
        gain = sum(a * a for a in activation.slope_pair) / 2
        return VarianceDerivatives(gain * K, np.full_like(K, gain), np.zeros_like(K))
    if activation.name in ("sin", "cos"):
        # sin^2 and cos^2 are (1 -+ cos 2z)/2.
        decay = np.exp(-2 * K) if activation.name == "sin" else -np.exp(-2 * K)
        return VarianceDerivatives(covariance(activation, K, K, K), decay, -2 * decay)
    _require_smooth(activation)

    def squares(z: np.ndarray) -> np.ndarray:
        s, s1, s2, s3, s4, _ = activation.jet(z)
        return np.stack([s * s, s1 * s1 + s * s2, (s * s4 + 4 * s1 * s3 + 3 * s2 * s2) / 2])

    return VarianceDerivatives(*expectation(squares, K))


def _require_smooth(activation: Activation) -> None:
    if activation.derivatives is None or activation.strip is None:
        raise ValueError(f"{activation.name} has no derivatives in the table")


def _assemble(
    value: np.ndarray,
    f1: np.ndarray,
    f12: np.ndarray,
    f2: np.ndarray,
    h11: np.ndarray,
    h1x: np.ndarray,
    h12: np.ndarray,
    hxx: np.ndarray,
    h2x: np.ndarray,
    h22: np.ndarray,
) -> PairDerivatives:
    """Stack the parts; x stands for K12 and 1, 2 for K11, K22."""
    return PairDerivatives(
        value,
        np.stack([f1, f12, f2], axis=-1),
        np.stack(
            [
                np.stack([h11, h1x, h12], axis=-1),
                np.stack([h1x, hxx, h2x], axis=-1),
                np.stack([h12, h2x, h22], axis=-1),
            ],
            axis=-2,
        ),
    )


def _two_slopes(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> PairDerivatives:
    """Derivatives of the arc-cosine kernel; D = K11 K22 - K12^2."""
    plus, minus = activation.slope_pair
    value = closed_forms.two_slopes(plus, minus, K11, K22, K12)
    zero, c = np.zeros_like(K12), (plus - minus) ** 2
    if c == 0:
        return _assemble(value, zero, zero + plus * minus, zero, *[zero] * 6)
    t = closed_forms.angle(K11, K22, K12)
    # By the product of roots, sqrt(D) keeps its digits; it is 0 where sin t is rounding.
    norm, sine = np.sqrt(K11) * np.sqrt(K22), np.sin(t)
    regular = (norm > 0) & (sine > 1e-12)
    root = norm * sine
    safe = np.where(regular, root, 1.0)
    a, b = np.where(K11 > 0, K11, 1.0), np.where(K22 > 0, K22, 1.0)

    def over_root(x: np.ndarray | float) -> np.ndarray:
        return np.where(regular, c / (4 * np.pi) * x / safe, 0.0)

    def over(x: np.ndarray) -> np.ndarray:
        return np.where(regular, c / (4 * np.pi) * x, 0.0)

    return _assemble(
        value,
        over(root / a),
        plus * minus + c * (np.pi - t) / (2 * np.pi),
        over(root / b),
        over_root(b / (2 * a)) - over(root / a**2),
        -over_root(K12 / a),
        over_root(0.5),
        over_root(2.0),
        -over_root(K12 / b),
        over_root(a / (2 * b)) - over(root / b**2),
    )


def _erf(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> PairDerivatives:
    """Derivatives of (2/pi) asin(2 K12/sqrt(A B)), A = 1 + 2 K11, B = 1 + 2 K22."""
    A, B = 1 + 2 * K11, 1 + 2 * K22
    D = 1 + 2 * (K11 + K22) + 4 * (K11 * K22 - K12 * K12)
    p = 4 / np.pi / np.sqrt(D)
    return _assemble(
        closed_forms.erf(K11, K22, K12),
        -p * K12 / A,
        p,
        -p * K12 / B,
        p * K12 / A * (2 / A + B / D),
        -p * B / D,
        p * K12 / D,
        4 * p * K12 / D,
        -p * A / D,
        p * K12 / B * (2 / B + A / D),
    )


def _gelu(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> PairDerivatives:
    """Derivatives of K12 P + N p.

    P is the probability that z1 + e1 and z2 + e2 are positive, e standard normal, and p their
    density at 0; A = 1 + K11 and B = 1 + K22 their variances, D their determinant.
    """
    k, A, B = K12, 1 + K11, 1 + K22
    D = 1 + K11 + K22 + (K11 * K22 - k * k)
    P = 0.25 + np.arctan2(k, np.sqrt(D)) / (2 * np.pi)
    p = 1 / (2 * np.pi * np.sqrt(D))
    p_x, p_1, p_2 = p * k / D, -p * B / (2 * D), -p * A / (2 * D)
    p_xx, p_12 = p / D + 3 * p * (k / D) ** 2, p * (3 * A * B / D - 2) / (4 * D)
    p_11, p_22 = 3 * p * (B / D) ** 2 / 4, 3 * p * (A / D) ** 2 / 4
    p_1x, p_2x = -3 * p * B * k / (2 * D * D), -3 * p * A * k / (2 * D * D)
    P_1, P_2 = -k * p / (2 * A), -k * p / (2 * B)
    P_11, P_22 = -k * (p_1 - p / A) / (2 * A), -k * (p_2 - p / B) / (2 * B)
    P_12 = -k * p_2 / (2 * A)
    rest = (1 - K11 * K22) / (A * B)
    N = K11 * K22 + k * k * rest
    N_1, N_2, N_x = K22 - (k / A) ** 2, K11 - (k / B) ** 2, 2 * k * rest
    N_11, N_22 = 2 * k * k / A**3, 2 * k * k / B**3
    N_1x, N_2x, N_xx = -2 * k / A**2, -2 * k / B**2, 2 * rest
    return _assemble(
        k * P + N * p,
        k * P_1 + N_1 * p + N * p_1,
        P + k * p + N_x * p + N * p_x,
        k * P_2 + N_2 * p + N * p_2,
        k * P_11 + N_11 * p + 2 * N_1 * p_1 + N * p_11,
        P_1 + k * p_1 + N_1x * p + N_1 * p_x + N_x * p_1 + N * p_1x,
        k * P_12 + p + N_1 * p_2 + N_2 * p_1 + N * p_12,
        2 * p + k * p_x + N_xx * p + 2 * N_x * p_x + N * p_xx,
        P_2 + k * p_2 + N_2x * p + N_2 * p_x + N_x * p_2 + N * p_2x,
        k * P_22 + N_22 * p + 2 * N_2 * p_2 + N * p_22,
    )


def _trigonometric(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> PairDerivatives:
    """Of exp(-(K11 + K22)/2) times sinh or cosh of K12: K11 and K22 enter as factors."""
    f, g = closed_forms.sin(K11, K22, K12), closed_forms.cos(K11, K22, K12)
    if activation.name == "cos":
        f, g = g, f
    return _assemble(f, -f / 2, g, -f / 2, f / 4, -g / 2, f / 4, f, -g / 2, f / 4)


def _integrated(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> PairDerivatives:
    """Means of products of derivatives, all from the same points."""
    slope = np.divide(K12, np.sqrt(K11), out=np.zeros_like(K12), where=K11 > 0)
    spread = np.sqrt(np.maximum(K22 - slope**2, 0.0))
    steepest = np.maximum(np.sqrt(K11), np.abs(slope)).max(initial=0.0), spread.max(initial=0.0)
    (u1, w1), (u2, w2) = (
        axis(activation.strip_width / s if s > 0 else np.inf, _DIGITS) for s in steepest
    )
    # Panels do not resolve what oscillates.
    if len(u1) * len(u2) > _LATTICE and activation.name not in trigonometric.NAMES:
        parts = pair_expectation(lambda z1, z2: _products(activation, z1, z2), K11, K22, K12)
        return _assemble(*parts)
    found = []
    step = max(1, _CHUNK // (len(u1) * len(u2)))
    for i in range(0, len(K11), step):
        k = slice(i, i + step)
        left = activation.jet(np.sqrt(K11[k])[:, None] * u1)
        z2 = (slope[k, None] * u1)[..., None] + spread[k, None, None] * u2
        right = activation.jet(z2) @ w2
        found.append(np.stack(_combine(left, right)) @ w1)
    return _assemble(*np.concatenate(found, axis=-1))


def _products(activation: Activation, z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
    return np.stack(_combine(activation.jet(z1), activation.jet(z2)))


def _combine(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """What :func:`_assemble` takes, before the mean, from derivatives 0 to 4 of both factors."""
    return [
        a[0] * b[0],
        a[2] * b[0] / 2,
        a[1] * b[1],
        a[0] * b[2] / 2,
        a[4] * b[0] / 4,
        a[3] * b[1] / 2,
        a[2] * b[2] / 4,
        a[2] * b[2],
        a[1] * b[3] / 2,
        a[0] * b[4] / 4,
    ]
