"""Means of products of four derivatives of an activation at up to three inputs, by sums over grids.

A product of four derivatives is one of two products of two, so that all means are entries of one
matrix: that of the products of two at every pair of inputs, with each other. At two inputs grids
are cheaper still: a product falls into what stands at the first input, and the conditional mean of
what stands at the second one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import reduce
from itertools import combinations, product
from operator import mul

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.trapezoidal import axis, pivoted_cholesky
from finitewidth.theory.gaussian.trapezoidal_products import axes, points

#: -log of the error that grids are laid out for, and points of a grid beyond which means are NaN.
_DIGITS, _MOST = 52.0, 4_000_000
_CHUNK = 2**14

#: Orders of four derivatives.
Orders = tuple[int, int, int, int]


def factor_products(
    activation: Activation, K: np.ndarray, wanted: Iterable[Orders]
) -> dict[Orders, np.ndarray]:
    """<s^(p)_a s^(q)_b s^(r)_c s^(t)_d> for z ~ N(0, K), by the orders (p, q, r, t).

    Parameters
    ----------
    activation : Activation
        Without a kink.
    K : ndarray, shape (N, N)
        Of one to three inputs; may be singular.
    wanted : iterable of four orders, from 0 to 5 each

    Returns
    -------
    dict of arrays, shape (N, N, N, N)
        NaN where variances are so large that a grid would be.

    Raises
    ------
    ValueError
        For more inputs, or an activation with a kink.
    """
    if len(K) > 3:
        raise ValueError(f"products of factors are known at three inputs, not at {len(K)}")
    wanted = list(wanted)
    if len(K) == 3:
        return _at_three(activation, K, wanted)
    keys = sorted({
        tuple(sorted(orders[i] for i in places))
        for orders in wanted
        for size in range(5)
        for places in combinations(range(4), size)
    })  # fmt: skip
    place = {key: k for k, key in enumerate(keys)}
    table = _table(activation, K, keys)
    found = {}
    for orders in wanted:
        values = np.empty((len(K),) * 4)
        for at in product(range(len(K)), repeat=4):
            first, second = (
                tuple(sorted(p for p, i in zip(orders, at, strict=True) if i == side))
                for side in (0, 1)
            )
            values[at] = table[place[first], place[second]]
        found[orders] = values
    return found


def products_of_two(
    jet: np.ndarray, wanted: Collection[Orders]
) -> dict[tuple[int, int], np.ndarray]:
    """s^(p)_a s^(q)_b at points, (N, N, points), for every pair of orders in ``wanted``.

    ``jet`` has the derivatives, shape (orders, N, points).
    """
    two = {pair for orders in wanted for pair in (orders[:2], orders[2:])}
    return {(p, q): jet[p][:, None] * jet[q][None] for p, q in two}


def joined(
    two: dict[tuple[int, int], np.ndarray], weight: np.ndarray | float, wanted: Collection[Orders]
) -> dict[Orders, np.ndarray]:
    """Weighted sums over points of products of four, (N, N, N, N), of products of two."""
    found = {}
    for orders in wanted:
        left, right = two[orders[:2]], two[orders[2:]]
        N, M = len(left), left.shape[-1]
        flat = (left.reshape(N * N, M) * weight) @ right.reshape(N * N, M).T
        found[orders] = flat.reshape((N,) * 4)
    return found


def _at_three(
    activation: Activation, K: np.ndarray, wanted: list[Orders]
) -> dict[Orders, np.ndarray]:
    found = {orders: np.zeros((3,) * 4) for orders in wanted}
    L, order = pivoted_cholesky(K)
    lines, back = axes(activation, L), np.argsort(order)
    if lines is None:
        return {orders: np.full((3,) * 4, np.nan) for orders in wanted}
    for u, weight in points(lines):
        two = products_of_two(activation.jet((L @ u)[back]), wanted)
        for orders, values in joined(two, weight, wanted).items():
            found[orders] += values
    return found


def _table(activation: Activation, K: np.ndarray, keys: list[tuple[int, ...]]) -> np.ndarray:
    """<product of the one key at the first input, of the other at the second>."""
    strip = activation.strip_width
    K11, K12, K22 = K[0, 0], K[0, -1], K[-1, -1]
    slope = K12 / K11 if K11 > 0 else 0.0
    rest = max(K22 - slope * K12, 0.0) if len(K) > 1 else 0.0
    (u, w), (v, weight) = (axis(_over(strip, k), _DIGITS) for k in (max(K11, slope * K12), rest))
    if len(u) * len(v) > _MOST:
        return np.full((len(keys),) * 2, np.nan)
    z = np.sqrt(K11) * u
    left = _powers(activation, z, keys) * w
    step = max(1, _CHUNK // len(v))
    shift = slope * z
    right = np.concatenate(
        [
            _powers(activation, shift[k : k + step, None] + np.sqrt(rest) * v, keys) @ weight
            for k in range(0, len(z), step)
        ],
        axis=1,
    )
    return left @ right.T


def _over(strip: float, variance: float) -> float:
    return strip / np.sqrt(variance) if variance > 0 else np.inf


def _powers(activation: Activation, z: np.ndarray, keys: list[tuple[int, ...]]) -> np.ndarray:
    """Products of derivatives, (keys, *z.shape)."""
    s = activation.jet(z)
    return np.stack([reduce(mul, (s[p] for p in key), np.ones_like(z)) for key in keys])
