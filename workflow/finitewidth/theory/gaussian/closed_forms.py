"""Closed forms of <sigma(z1) sigma(z2)> for jointly Gaussian (z1, z2) of mean zero.

To add one, add an entry to ``BY_NAME``; the test in ``tests/unit/theory`` then holds it against
quadrature. A function takes arrays K11, K22, K12 of one shape and returns an array of that shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from finitewidth.models.activations.activation import Activation

Array = np.ndarray
Covariance = Callable[[Array, Array, Array], Array]


def angle(K11: Array, K22: Array, K12: Array) -> Array:
    """Angle in [0, pi] whose cosine is the correlation; pi/2 where a variance is zero."""
    norm = np.sqrt(K11) * np.sqrt(K22)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(norm > 0, np.clip(K12 / norm, -1, 1), 0.0)
    # The product form loses no digits near +-1, where 1 - rho^2 would.
    return np.arctan2(np.sqrt((1 - rho) * (1 + rho)), rho)


def two_slopes(plus: float, minus: float, K11: Array, K22: Array, K12: Array) -> Array:
    """Slopes ``plus`` for z > 0 and ``minus`` for z < 0; ReLU is (1, 0) (Cho and Saul 2009)."""
    if plus == minus:
        return plus * minus * K12
    t = angle(K11, K22, K12)
    relu = np.sqrt(K11) * np.sqrt(K22) / (2 * np.pi) * (np.sin(t) + (np.pi - t) * np.cos(t))
    return plus * minus * K12 + (plus - minus) ** 2 * relu


def erf(K11: Array, K22: Array, K12: Array) -> Array:
    """Williams 1997."""
    norm = np.sqrt(1 + 2 * K11) * np.sqrt(1 + 2 * K22)
    return 2 / np.pi * np.arcsin(np.clip(2 * K12 / norm, -1, 1))


def gelu(K11: Array, K22: Array, K12: Array) -> Array:
    """z Phi(z) (Tsuchida et al. 2021; follows from Stein's lemma, applied twice)."""
    determinant = 1 + K11 + K22 + (K11 * K22 - K12 * K12)
    r = K12 / (np.sqrt(1 + K11) * np.sqrt(1 + K22))
    # 1 - K11/(1 + K11) - K22/(1 + K22), without its cancellation.
    rest = (1 - K11 * K22) / ((1 + K11) * (1 + K22))
    gates = 0.25 + np.arcsin(np.clip(r, -1, 1)) / (2 * np.pi)
    return K12 * gates + (K11 * K22 + K12**2 * rest) / (2 * np.pi * np.sqrt(determinant))


def sin(K11: Array, K22: Array, K12: Array) -> Array:
    """exp(-(K11 + K22)/2) sinh(K12), with one exponent so that it does not overflow."""
    size = np.abs(K12)
    return -np.sign(K12) * np.exp(size - (K11 + K22) / 2) * np.expm1(-2 * size) / 2


def cos(K11: Array, K22: Array, K12: Array) -> Array:
    """exp(-(K11 + K22)/2) cosh(K12), with one exponent so that it does not overflow."""
    size = np.abs(K12)
    return np.exp(size - (K11 + K22) / 2) * (1 + np.exp(-2 * size)) / 2


BY_NAME: dict[str, Covariance] = {"erf": erf, "gelu": gelu, "sin": sin, "cos": cos}


def find(activation: Activation) -> Covariance | None:
    """The closed form for ``activation``, or None where there is none."""
    if activation.slopes is not None:
        return partial(two_slopes, *activation.slope_pair)
    return BY_NAME.get(activation.name)
