"""Empirical distributions with a block or another left out, from values sorted once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from finitewidth.core.bins import EDGES
from finitewidth.estimate.errors.jackknife import Estimate, from_replicates

Array = np.ndarray

#: Networks that must lie on either side of a probability's event for its error to be believed.
LEAST_COUNT = 50
_CHUNK = 4096


class Empirical:
    """The values of networks, pooled and block by block.

    Parameters
    ----------
    values : array, shape (network, ...)
        Finite or NaN; NaN is left out.
    bounds : array of int, shape (block + 1,)
    """

    def __init__(self, values: Array, bounds: Array):
        self.bounds = bounds
        self._blocks = [_sorted(values[start:stop]) for start, stop in pairwise(bounds)]
        self.pooled = _sorted(values)

    @property
    def count(self) -> int:
        """Number of values."""
        return self.pooled.size

    def below(self, x: Array) -> Array:
        """Share of values less than each x, shape of x."""
        return np.searchsorted(self.pooled, x) / self.count

    def below_without(self, x: Array) -> Array:
        """The same with one block left out: shape (block, points).

        Parameters
        ----------
        x : array, shape (points,) or (block, points)
            Points, the same for all blocks or others for each.
        """
        x = np.broadcast_to(x, (len(self._blocks), np.shape(x)[-1]))
        inside = np.stack([np.searchsorted(b, at) for b, at in zip(self._blocks, x, strict=True)])
        rest = self.count - np.array([b.size for b in self._blocks])
        with np.errstate(all="ignore"):
            return (np.searchsorted(self.pooled, x) - inside) / rest[:, None]

    def quantile(self, probability: Array) -> Array:
        """Quantiles at probabilities, clipped to [0, 1], interpolated between order statistics."""
        place = np.clip(probability, 0, 1) * (self.count - 1)
        return np.interp(place, np.arange(self.count), self.pooled)


def histogram(
    law: Empirical, shift: Array | float, scale: Array | float, shifts: Array, scales: Array
) -> Estimate:
    """Probability that (value - shift)/scale lies in [left, right), for each bin of ``EDGES``.

    Leaving out a block changes the share of values below a bin's edge and moves the edge. Values
    between the edge's old and new place are too few to be counted (their noise would enlarge the
    error by half); their number is taken from the density near the edge, within two standard
    errors of its place, as Woodruff (1952, Journal of the American Statistical Association 47,
    635) does for quantiles.

    Parameters
    ----------
    law : Empirical
    shift, scale : float
        From all networks.
    shifts, scales : array, shape (block,)
        From all networks but one block.

    Returns
    -------
    Estimate, shape (bin,)
    """
    inner = EDGES[1:-1]
    edges = shift + scale * inner
    moves = (shifts - shift)[:, None] + (scales - scale)[:, None] * inner
    # An edge that does not move has no error.
    reach = 2 * np.nan_to_num(from_replicates(edges, edges + moves, law.bounds).stderr)
    with np.errstate(all="ignore"):
        density = (law.below(edges + reach) - law.below(edges - reach)) / (2 * reach)
    below = law.below_without(edges) + np.where(reach > 0, density, 0) * moves
    full = np.diff(law.below(edges), prepend=0, append=1)
    without = np.diff(below, prepend=0, append=1)
    return from_replicates(full, without, law.bounds, events=True)


def networks_in_bins(values: Array) -> tuple[Array, Array]:
    """How many networks hit each bin of ``EDGES`` at least once, and how many miss it.

    Neurons of one network depend on each other, so networks are what is counted.

    Parameters
    ----------
    values : array, shape (network, neuron)
        Standardised; NaN hits nothing and misses nothing. Taken in chunks, to bound memory.

    Returns
    -------
    tuple of arrays of int, each of shape (bin,)
        Networks with some neuron in the bin, and networks with some neuron outside it.
    """
    bins = len(EDGES) - 1
    hit, missed = np.zeros(bins, int), np.zeros(bins, int)
    for start in range(0, len(values), _CHUNK):
        x = values[start : start + _CHUNK]
        network, _ = np.nonzero(~np.isnan(x))
        place = np.searchsorted(EDGES, x[~np.isnan(x)], side="right") - 1
        counts = np.bincount(network * bins + place, minlength=len(x) * bins).reshape(-1, bins)
        hit += np.sum(counts > 0, axis=0)
        missed += np.sum(counts < counts.sum(axis=1, keepdims=True), axis=0)
    return hit, missed


def _sorted(values: Array) -> Array:
    flat = np.asarray(values, float).ravel()
    return np.sort(flat[~np.isnan(flat)])
