"""Means over pairs of rows, and their derivatives by the covariances of those pairs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from finitewidth.core.indices import pairs, quad_positions
from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.covariance_derivatives import (
    pair_derivatives,
    variance_derivatives,
)
from finitewidth.theory.gaussian.four_activations import quartic

#: 1 - |correlation| under which two rows are one; 1 - correlation^2 under which derivatives by two
#: different ones lose too many digits.
_SAME, _LEAST_ANGLE = 1e-13, 1e-6


@lru_cache(maxsize=16)
def places_of_pairs(rows: int) -> np.ndarray:
    """The number of each pair among all, (R, R)."""
    a, b = pairs(rows).T
    place = np.empty((rows, rows), dtype=int)
    place[a, b] = place[b, a] = np.arange(len(a))
    return place


def on_pairs(values: np.ndarray) -> np.ndarray:
    """A symmetric matrix (R, R) or tensor (R, R, R, R) at the P pairs: (P,) or (P, P)."""
    a, b = pairs(len(values)).T
    return values[a, b] if values.ndim == 2 else values[a, b][:, a, b]


def off_pairs(values: np.ndarray, rows: int) -> np.ndarray:
    """What :func:`on_pairs` takes, of what it gives."""
    place = places_of_pairs(rows)
    return values[place] if values.ndim == 1 else values[place][:, :, place]


def means(
    activation: Activation, K: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """<s_r s_s> of the pairs, (P,), its derivatives J by K (P, P), and half its second derivatives
    on W (P, P), summed: (P,)."""
    pair, place, variance = pairs(len(K)), places_of_pairs(len(K)), np.diagonal(K)
    f, bent, J = np.empty(len(pair)), np.empty(len(pair)), np.zeros((len(pair),) * 2)
    one = np.diagonal(place)
    alone = variance_derivatives(activation, variance)
    f[one], J[one, one], bent[one] = alone.value, alone.first, alone.second * W[one, one] / 2
    off = np.flatnonzero(pair[:, 0] < pair[:, 1])
    if len(off):
        a, b = pair[off].T
        both = pair_derivatives(activation, variance[a], variance[b], K[a, b])
        by = np.stack([one[a], off, one[b]], axis=-1)
        f[off], J[off[:, None], by] = both.value, both.first
        block = W[by[:, :, None], by[:, None, :]]
        bent[off] = np.einsum("mij,mij->m", both.second, block) / 2
    return f, J, bent


def fourfold(activation: Activation, K: np.ndarray) -> np.ndarray:
    """<s_r s_s s_t s_u>, over pairs: (P, P)."""
    return quartic(activation, K, estimate=False).values[quad_positions(len(K))]


def distinct(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows no two of which are equal, and for each row which of these it is."""
    variance = np.diagonal(K)
    gap = variance[:, None] + variance - 2 * K
    same = gap <= _SAME * (variance[:, None] + variance)
    leader = np.argmax(same, axis=1)
    leader = leader[leader]
    return np.unique(leader, return_inverse=True)


def is_regular(K: np.ndarray, activation: Activation) -> bool:
    """Whether derivatives by covariances exist, and to enough digits."""
    if activation.slopes is None and activation.strip is None:
        # A kink that may be anywhere.
        return False
    if activation.is_linear:
        return bool(np.isfinite(K).all())
    variance = np.diagonal(K)
    if not (np.isfinite(K).all() and (variance > 0).all()):
        return False
    rest = 1 - K**2 / np.outer(variance, variance)
    np.fill_diagonal(rest, 1.0)
    return bool((rest > _LEAST_ANGLE).all())
