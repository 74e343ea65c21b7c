"""Means of four factors s, s' and s'' of an activation, at up to four inputs."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.closed_forms import two_slopes
from finitewidth.theory.gaussian.four_activations import slope_products
from finitewidth.theory.gaussian.slopes import slope_covariance
from finitewidth.theory.gaussian.trapezoidal import pivoted_cholesky
from finitewidth.theory.gaussian.trapezoidal_products import axes, gram, points

# Points of one temporary array; bounds the memory, not the result.
_CHUNK = 2**14
# Variance beyond which the exponentials of sin and cos are exact enough, and grids large.
_WAVES = 2.0


class FourMeans(NamedTuple):
    """Arrays (N, N, N, N) over the inputs a, b, c, d."""

    squares: np.ndarray  #: Cov(s_a s_b, s_c s_d)
    mixed: np.ndarray  #: Cov(s_a s_b, s'_c s'_d)
    slopes: np.ndarray  #: Cov(s'_a s'_b, s'_c s'_d)
    curved: np.ndarray  #: <s''_a s'_b s'_c s_d>, with s'' as a network computes it: 0 at a kink


def four_means(activation: Activation, K: np.ndarray) -> FourMeans:
    """All of :class:`FourMeans` for z ~ N(0, K).

    Arcsines and one integral for two slopes (:mod:`finitewidth.theory.gaussian.signs`);
    exponentials for sin and cos unless K is small; sums over grids for what else is smooth, or
    panels for two inputs where a grid would be large. Errors are below 1e-8 of the largest value
    at that K; of three different inputs up to K of 6 squares of ``activation.strip``, of four up to
    1. Beyond they grow to 1e-5, and from 13 squares (two for four inputs) on those values are NaN.

    Parameters
    ----------
    activation : Activation
    K : ndarray, shape (N, N)
        May be singular. The time grows with the number of sets of four inputs.

    Raises
    ------
    ValueError
        If the activation has a kink and is not of two slopes.
    """
    if activation.slopes is not None:
        return _two_slopes(activation, K)
    if activation.name in ("sin", "cos") and K.max(initial=0.0) > _WAVES:
        return _trigonometric(activation.name, K)
    if activation.strip is None:
        raise ValueError(f"{activation.name} has a kink: its grids would not converge")
    return _integrated(activation, K)


def _indices(inputs: int) -> np.ndarray:
    """All (a, b, c, d), shape (N^4, 4)."""
    return np.indices((inputs,) * 4).reshape(4, -1).T


def _two_slopes(activation: Activation, K: np.ndarray) -> FourMeans:
    index, shape = _indices(len(K)), (len(K),) * 4
    means = []
    for plain in (4, 2, 0):
        # What is symmetric is computed once.
        key = np.concatenate(
            [np.sort(index[:, :plain], axis=1), np.sort(index[:, plain:], axis=1)], axis=1
        )
        rows, back = np.unique(key, axis=0, return_inverse=True)
        values, _ = slope_products(activation, K, rows, plain)
        means.append(values[back.ravel()].reshape(shape))
    two = _pair_products(activation, K)
    return FourMeans(
        means[0] - np.multiply.outer(two[0], two[0]),
        means[1] - np.multiply.outer(two[0], two[1]),
        means[2] - np.multiply.outer(two[1], two[1]),
        np.zeros(shape),
    )


def _pair_products(activation: Activation, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    variance = np.diagonal(K)
    K1, K2 = np.broadcast_arrays(variance[:, None], variance)
    return two_slopes(*activation.slope_pair, K1, K2, K), slope_covariance(activation, K1, K2, K)


def _trigonometric(name: str, K: np.ndarray) -> FourMeans:
    """A product of four cosines is a mean of cosines of signed sums, of mean exp(-variance/2)."""
    index, shape = _indices(len(K)), (len(K),) * 4
    blocks = K[index[:, :, None], index[:, None, :]]
    signs = np.array([(1, b, c, d) for b in (1, -1) for c in (1, -1) for d in (1, -1)])
    decay = np.exp(-np.einsum("sk,qkm,sm->qs", signs, blocks, signs) / 2) / len(signs)
    quarter = -1 if name == "sin" else 0
    cosine = np.array([1.0, 0.0, -1.0, 0.0])

    def mean(*orders: int) -> np.ndarray:
        # Derivatives of cos turn it by a quarter each.
        return (decay @ cosine[signs @ (np.array(orders) + quarter) % 4]).reshape(shape)

    means = mean(0, 0, 0, 0), mean(0, 0, 1, 1), mean(1, 1, 1, 1)
    signs2 = np.array([(1, 1), (1, -1)])
    variance = np.diagonal(K)
    spread = variance[:, None] + variance
    square, slope = (
        sum(
            cosine[int(s @ np.array([q, q])) % 4] * np.exp(-(spread + 2 * s[1] * K) / 2) / 2
            for s in signs2
        )
        for q in (quarter, quarter + 1)
    )
    return FourMeans(
        means[0] - np.multiply.outer(square, square),
        means[1] - np.multiply.outer(square, slope),
        means[2] - np.multiply.outer(slope, slope),
        mean(2, 1, 1, 0),
    )


def _integrated(activation: Activation, K: np.ndarray) -> FourMeans:
    """Sets of up to three inputs have a grid each, then those of four for what is left."""
    inputs = range(len(K))
    result = FourMeans(*(np.zeros((len(K),) * 4) for _ in range(4)))
    two = np.zeros((2, *K.shape))
    for chosen in combinations(inputs, min(3, len(K))):
        _fill(activation, result, two, chosen, *gram(activation, K[np.ix_(chosen, chosen)]))
    if np.isnan(two).any():
        for chosen in combinations(inputs, 2):
            _fill(activation, result, two, chosen, *gram(activation, K[np.ix_(chosen, chosen)]))
    for chosen in combinations(inputs, 4):
        _fill_distinct(activation, result, two, chosen, K[np.ix_(chosen, chosen)])
    return result


def _fill(
    activation: Activation,
    result: FourMeans,
    two: np.ndarray,
    chosen: tuple[int, ...],
    mean: np.ndarray,
    square: np.ndarray,
) -> None:
    """What is known of the inputs ``chosen`` from the Gram matrix of :func:`products`."""
    pair = pairs(len(chosen))
    many, size = len(pair), len(chosen)
    place = np.empty((size, size), dtype=int)
    place[pair[:, 0], pair[:, 1]] = place[pair[:, 1], pair[:, 0]] = np.arange(many)
    covariance = square - np.outer(mean, mean)
    s0, d0 = activation.jet(np.zeros(()))[:2] ** 2
    block = np.ix_(chosen, chosen, chosen, chosen)
    a, b, c, d = np.indices((size,) * 4)
    left, right = place[a, b], place[c, d]
    result.squares[block] = covariance[left, right]
    result.mixed[block] = covariance[left, many + right]
    result.slopes[block] = covariance[many + left, many + right]
    bend, gates = 2 * many + size * a + d, many + place[b, c]
    result.curved[block] = square[bend, gates] + d0 * mean[bend]
    two[0][np.ix_(chosen, chosen)] = mean[place] + s0
    two[1][np.ix_(chosen, chosen)] = mean[many + place] + d0


# Orders of the derivatives at a, b, c, d.
_ORDERS = {
    "squares": (0, 0, 0, 0),
    "mixed": (0, 0, 1, 1),
    "slopes": (1, 1, 1, 1),
    "curved": (2, 1, 1, 0),
}


def _fill_distinct(
    activation: Activation,
    result: FourMeans,
    two: np.ndarray,
    chosen: tuple[int, ...],
    K: np.ndarray,
) -> None:
    """Four different inputs: given three of the variables the fourth factor is a mean."""
    L, order = pivoted_cholesky(K)
    lines = axes(activation, L)
    wanted = {orders for kind in _ORDERS.values() for orders in permutations(kind)}
    totals = dict.fromkeys(wanted, 0.0 if lines else np.nan)
    v, w = lines.pop() if lines else (np.zeros(0), np.zeros(0))
    for u, weight in points(lines) if lines else ():
        s = activation.jet(L[:3, :3] @ u)[:3]
        last = _conditional_means(activation, L[3, :3] @ u, L[3, 3] * v, w)
        for orders in totals:
            p = [orders[i] for i in order]
            totals[orders] += (s[p[0], 0] * s[p[1], 1] * s[p[2], 2] * last[p[3]]) @ weight
    for places in permutations(range(4)):
        a, b, c, d = at = tuple(chosen[i] for i in places)
        for name, kind in _ORDERS.items():
            value = totals[tuple(kind[places.index(i)] for i in range(4))]
            if name != "curved":
                value = value - two[kind[0], a, b] * two[kind[2], c, d]
            getattr(result, name)[at] = value


def _conditional_means(
    activation: Activation, mean: np.ndarray, shift: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """s, s' and s'' averaged over the shifts of each mean, (3, m)."""
    step = max(1, _CHUNK // len(shift))
    parts = (mean[k : k + step, None] + shift for k in range(0, len(mean), step))
    return np.concatenate([activation.jet(z)[:3] @ weight for z in parts], axis=1)
