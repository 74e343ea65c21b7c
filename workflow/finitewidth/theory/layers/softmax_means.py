"""Means over the softmax of several tokens, by randomised quasi-Monte Carlo.

Logits are A = F Z G^T within each input, F F^T = Kq, G G^T = Kk and Z normal. Points are Sobol's,
scrambled anew for each of several estimates, whose spread tells the error of their mean (Owen,
Ann. Statist. 25, 1997).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from finitewidth.theory.layers.attention import Parts

#: Estimates, powers of two points in each that are tried, the relative error that will do, and the
#: largest that is told.
_SCRAMBLED, _POWERS, _WANTED, LARGEST_ERROR = 8, (9, 11, 13), 2e-4, 1e-3
#: Dimensions beyond which no such points are there; numbers held at once; sides of a product that
#: are 0 beside the largest.
_MOST, _AT_ONCE, _RANK = 20000, 2**22, 1e-13


def by_points(parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    """As :func:`~finitewidth.theory.layers.attention.means`; NaN where the error is larger than
    :data:`LARGEST_ERROR` of the largest number."""
    values, errors = with_errors(parts)
    for value, error in zip(values, errors, strict=True):
        if error.max() > LARGEST_ERROR * np.abs(value).max():
            value[...] = np.nan
    of = parts.tangents
    return values[0], None if of is None else values[1:].reshape(of.v.shape)


def with_errors(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Both means, (1 + tangent kernels, rows, rows), and their standard errors, with as many points
    as it takes.

    Infinite errors where there are too many tokens.
    """
    F, G = _root(parts.q), _root(parts.k)
    size = F.shape[1] * G.shape[1]
    count = 1 if parts.tangents is None else 1 + parts.tangents.v[..., 0, 0].size
    nothing = np.full((count, *parts.q.shape), np.nan)
    if size > _MOST:
        return nothing, np.full_like(nothing, np.inf)
    for power in _POWERS:
        each = np.stack([_mean(parts, F, G, power, k) for k in range(_SCRAMBLED)])
        value, error = each.mean(0), each.std(0, ddof=1) / np.sqrt(_SCRAMBLED)
        most = np.abs(value).max((1, 2))
        if (error.max((1, 2)) <= _WANTED * most).all():
            break
    return value, error


def _root(K: np.ndarray) -> np.ndarray:
    """F with F F^T = K, its columns the longer the earlier: the first points are the most even."""
    values, frame = np.linalg.eigh(K)
    # One column at least, of zeros where nothing varies.
    kept = np.flatnonzero(values > _RANK * max(values[-1], 0.0))[::-1] if values[-1] > 0 else [-1]
    return frame[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))


def _mean(parts: Parts, F: np.ndarray, G: np.ndarray, power: int, number: int) -> np.ndarray:
    """One estimate of both means, as :func:`with_errors` has them."""
    rows, tokens = len(parts.q), parts.tokens
    Z = _normals(F.shape[1] * G.shape[1], power, number).reshape(-1, F.shape[1], G.shape[1])
    at_once = max(1, _AT_ONCE // (rows * rows * (1 if parts.tangents is None else rows)))
    pieces = range(0, len(Z), at_once)
    total = sum(_sums(parts, _scores(F, G, Z[at : at + at_once], parts, tokens)) for at in pieces)
    return np.asarray(total) / len(Z)


def _scores(
    F: np.ndarray, G: np.ndarray, Z: np.ndarray, parts: Parts, tokens: int
) -> np.ndarray:  # fmt: skip
    """P of all inputs, (points, rows, rows), 0 between inputs."""
    P = np.zeros((len(Z), len(F), len(F)))
    for first in range(0, len(F), tokens):
        own = slice(first, first + tokens)
        A = F[own] @ Z @ G[own].T
        if parts.causal:
            A[:, ~np.tri(tokens, dtype=bool)] = -np.inf
        A = np.exp(A - A.max(2, keepdims=True))
        P[:, own, own] = A / A.sum(2, keepdims=True)
    return P


def _sums(parts: Parts, P: np.ndarray) -> np.ndarray:
    """Sums over points of P Kv P^T, and of what stands behind it in tangent kernels."""
    mixed = _through(P, parts.v)
    of = parts.tangents
    if of is None:
        return mixed[None]
    # Derivatives of outputs by logits, P_ts (v_s - o_t), in the space of a root of Kv.
    root = _root(parts.v)
    by_logit = P[..., None] * (root - (P @ root)[:, :, None])
    flat = np.moveaxis(by_logit, 0, 1).reshape(len(P[0]), -1)

    def weighted(key: np.ndarray) -> np.ndarray:
        left = np.einsum("ptsx,su->ptux", by_logit, key, optimize=True)
        return np.moveaxis(left, 0, 1).reshape(flat.shape) @ flat.T

    by_keys, found = weighted(parts.k), [mixed]
    for q, k, v in zip(*(one.reshape(-1, *mixed.shape) for one in of), strict=True):
        found.append(_through(P, v) + q * by_keys + parts.q * weighted(k))
    return np.stack(found)


def _through(P: np.ndarray, X: np.ndarray) -> np.ndarray:
    """The sum over points of P X P^T."""
    rows = len(X)
    left = np.moveaxis(P @ X, 0, 1).reshape(rows, -1)
    return left @ np.moveaxis(P, 0, 1).reshape(rows, -1).T


@lru_cache(maxsize=16)
def _normals(size: int, power: int, number: int) -> np.ndarray:
    """2^power points of so many normals."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    points = qmc.Sobol(size, scramble=True, rng=np.random.default_rng([size, number])).random_base2(
        power
    )
    return ndtri(np.clip(points, 2.0**-60, 1 - 2.0**-53))
