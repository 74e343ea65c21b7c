"""Activations, for pairs of inputs: closed forms where there are any, else sums over all pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.theory.gaussian.dual_pairs import has_closed_form, means_of_pairs
from finitewidth.theory.gaussian.many_pairs import Series, pair_means
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step

#: How many pairs go through a closed form at once: its arrays lie in cache, and are too small for
#: the system to hand out anew.
_TILE = 2**13


@step.register
def _nonlinearity(layer: Nonlinearity, before: Pairs, rates: RatesLeft) -> Pairs:
    """<s s> and <s' s'> Theta."""
    one, two = before.sides.next(before)
    if before.layout == "diagonal":
        assert one.square is not None
        return before.with_kernels(one.square.T, None)
    wants = before.ntk is not None
    if has_closed_form(layer.activation):
        squares, slopes = _closed(layer.activation, before, one.variance, two.variance)
    else:
        squares = _summed(before, one.series, two.series)
        slopes = _summed(before, one.slope_series, two.slope_series) if wants else None
    if slopes is None:
        return before.with_kernels(squares, None)
    slopes *= before.ntk
    return before.with_kernels(squares, slopes)


def _closed(
    sigma: Activation, pairs: Pairs, of_rows: np.ndarray, of_columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Closed forms, for as many pairs at once as lie in cache."""
    squares = np.empty_like(pairs.nngp)
    slopes = None if pairs.ntk is None else np.empty_like(pairs.nngp)
    K, into = pairs.matrices(pairs.nngp), pairs.matrices(squares)
    slopes_into = None if slopes is None else pairs.matrices(slopes)
    v1, v2 = pairs.rows(of_rows), pairs.columns(of_columns)
    for k, rows in _tiles(*K.shape):
        f, g = means_of_pairs(sigma, v1[k, rows], v2[k], K[k, rows], slopes=slopes is not None)
        into[k, rows] = f
        if slopes_into is not None:
            slopes_into[k, rows] = g
    return squares, slopes


def _tiles(count: int, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of matrices: several whole ones, or some rows of one."""
    some = max(1, _TILE // columns)
    each = max(1, some // rows)
    for k in range(0, count, each):
        for first in range(0, rows, some):
            yield slice(k, k + each), slice(first, first + some)


def _summed(pairs: Pairs, one: Series | None, two: Series | None) -> np.ndarray:
    """Mehler's sum, one matrix of rows and columns after another."""
    assert one is not None
    assert two is not None
    found = np.empty_like(pairs.nngp)
    K, into = pairs.matrices(pairs.nngp), pairs.matrices(found)
    for k in range(len(K)):
        if pairs.layout == "all":
            sides = one.flat(), two.flat()
        else:
            at = (k, slice(None)) if pairs.layout == "own" else (slice(None), k)
            sides = one.part(at), two.part(at)
        into[k] = pair_means(*sides, K[k])
    return found
