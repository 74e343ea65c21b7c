"""Means <s^(p)(z_a) s^(q)(z_b)> of derivatives of an activation at two inputs.

By Price's theorem these are all derivatives of <s_a s_b> and <s'_a s'_b> by the covariances. With
two slopes, s'' and higher derivatives are distributions, and their means are derivatives of the
arc-cosine kernel. These do not exist where the correlation is +-1 or a variance is 0. There 0 is
returned. That is right if the factors beside them stay there, too: for equal inputs, and for
multiples of one input in a network without bias.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import closed_forms
from finitewidth.theory.gaussian.expectations import expectation, pair_expectation
from finitewidth.theory.gaussian.slopes import both_slopes
from finitewidth.theory.gaussian.trapezoidal import axis

#: Orders (p, q), p >= q, that are computed; (q, p) is the transpose.
ORDERS = ((0, 0), (1, 1), (2, 0), (2, 2), (3, 1), (4, 0), (3, 3), (4, 2), (5, 1))
# -log of the error that grids are laid out for: see tangent_moments.
_DIGITS = 52.0
# Points of a grid beyond which panels are cheaper.
_LATTICE = 400_000
# Pairs of inputs whose means are remembered.
_PAIRS = 2**12
# 1 - |correlation| under which two inputs are one: the rounding of a correlation, with room.
_SAME = 1e-13


def derivative_means(activation: Activation, K: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """<s^(p)_a s^(q)_b> for z ~ N(0, K): arrays (N, N) by the orders (p, q) and (q, p) of ORDERS.

    Closed forms for two slopes, sin and cos; sums over grids, or panels where these would be
    large, for what else is smooth.

    Parameters
    ----------
    activation : Activation
    K : ndarray, shape (N, N)
        May be singular.

    Raises
    ------
    ValueError
        If the activation has a kink and is not of two slopes.
    """
    if activation.slopes is not None:
        found = _two_slopes(activation, K)
    elif activation.name in ("sin", "cos"):
        found = _trigonometric(activation.name, K)
    elif activation.derivatives is None:
        raise ValueError(f"{activation.name} has no derivatives in the table")
    else:
        found = _integrated(activation, K)
    return found | {(q, p): value.T for (p, q), value in found.items()}


def _two_slopes(activation: Activation, K: np.ndarray) -> dict:
    """With D = K11 K22 - K12^2, d<s'_1 s'_2>/dK12 = c/sqrt(D) and so on, c the kink^2/(2 pi)."""
    plus, minus = activation.slope_pair
    variance = np.diagonal(K)
    K1, K2 = np.broadcast_arrays(variance[:, None], variance)
    t = closed_forms.angle(K1, K2, K)
    near, far = (2 * f(t / 2) ** 2 <= _SAME for f in (np.sin, np.cos))
    t = np.where(near, 0.0, np.where(far, np.pi, t))
    alive = (K1 > 0) & (K2 > 0)
    regular = alive & ~near & ~far
    root = np.where(regular, np.sqrt(K1) * np.sqrt(K2) * np.sin(t), 1.0)
    c = np.where(regular, (plus - minus) ** 2 / (2 * np.pi), 0.0)
    a, b = np.where(K1 > 0, K1, 1.0), np.where(K2 > 0, K2, 1.0)
    gates = np.where(alive, both_slopes(plus, minus, t), activation.derivative(np.zeros(())) ** 2)
    one, three = c / root, c / root**3
    return {
        (0, 0): closed_forms.two_slopes(plus, minus, K1, K2, root * 0 + K),
        (1, 1): gates,
        (2, 0): c * root / a,
        (2, 2): one,
        (3, 1): -one * K / a,
        (4, 0): one * (b / a) - 2 * c * root / a**2,
        (3, 3): three * K,
        (4, 2): -three * b,
        (5, 1): K * (2 * one / a**2 + three * b / a),
    }


def _trigonometric(name: str, K: np.ndarray) -> dict:
    """Every second derivative changes the sign; sin' is cos."""
    variance = np.diagonal(K)
    both = (closed_forms.sin, closed_forms.cos)
    even, odd = both if name == "sin" else both[::-1]
    values = [f(variance[:, None], variance, K) for f in (even, odd)]
    # sin^(p) is sin, cos, -sin, -cos; the same signs serve cos, whose odd ones share one more.
    return {(p, q): (-1.0) ** (p // 2 + q // 2) * values[p % 2] for p, q in ORDERS}


def _integrated(activation: Activation, K: np.ndarray) -> dict:
    N = len(K)
    found = np.empty((len(ORDERS), N, N))
    variance = np.diagonal(K)
    found[:, range(N), range(N)] = _alone(activation, variance)
    for a in range(N):
        for b in range(a):
            found[:, a, b], found[:, b, a] = _pair(
                activation, float(K[a, a]), float(K[b, b]), float(K[a, b])
            )
    return dict(zip(ORDERS, found, strict=True))


def _alone(activation: Activation, variance: np.ndarray) -> np.ndarray:
    """For two inputs that are one, (orders, N)."""

    def products(z: np.ndarray) -> np.ndarray:
        s = activation.jet(z)
        return np.stack([s[p] * s[q] for p, q in ORDERS])

    u, weight = axis(_over(activation.strip_width, variance.max(initial=0.0)), _DIGITS)
    if len(u) ** 2 > _LATTICE:
        return expectation(products, variance)
    return products(np.sqrt(variance)[:, None] * u) @ weight


def _over(strip: float, variance: float) -> float:
    return strip / np.sqrt(variance) if variance > 0 else np.inf


@lru_cache(maxsize=_PAIRS)
def _pair(activation: Activation, K11: float, K22: float, K12: float) -> np.ndarray:
    """<s^(p)_1 s^(q)_2> and <s^(q)_1 s^(p)_2>, (2, orders): remembered, since the same pairs of
    training inputs stand beside every test input."""
    p, q = np.array(ORDERS).T
    slope = K12 / K11 if K11 > 0 else 0.0
    rest = max(K22 - slope * K12, 0.0)
    # Along the first axis the second factor changes as well, with its own share of the variance.
    (u, w), (v, weight) = (
        axis(_over(activation.strip_width, k), _DIGITS) for k in (max(K11, slope * K12), rest)
    )
    if len(u) * len(v) > _LATTICE:

        def products(z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
            left, right = activation.jet(z1), activation.jet(z2)
            return np.concatenate([left[p] * right[q], left[q] * right[p]])

        return pair_expectation(products, K11, K22, K12).reshape(2, -1)
    z = np.sqrt(K11) * u
    left = activation.jet(z) * w
    shift = slope * z if K11 > 0 else 0 * u
    right = activation.jet(shift[:, None] + np.sqrt(rest) * v) @ weight
    table = left @ right.T
    return np.stack([table[p, q], table[q, p]])
