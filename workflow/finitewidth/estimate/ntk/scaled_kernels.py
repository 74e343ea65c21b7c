"""One ensemble's tangent kernels, in units in which their products neither over- nor underflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.preactivations.pooled import product_of_scales, symmetric_places

Array = np.ndarray

#: Networks whose numbers stand in memory together.
_CHUNK = 16384


def block_totals(features: Callable[[slice], Mapping[str, Array]], bounds: Array) -> dict:
    """Totals over the networks of each block, for features that are sums already.

    Sums of products over networks are matrix products, which need no array of every network's
    products: that is what tells this from :func:`finitewidth.estimate.errors.jackknife.block_sums`.

    Parameters
    ----------
    features : callable
        Given a slice of networks, named sums over them, of any shape.
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    dict of arrays, shape (block, feature)
        Each sum in the order of its flattened entries.
    """
    totals: dict[str, list[Array]] = {}
    with np.errstate(all="ignore"):
        for low, high in pairwise(bounds.tolist()):
            block: dict[str, Array] = {}
            for first in range(low, high, _CHUNK):
                for name, total in features(slice(first, min(first + _CHUNK, high))).items():
                    block[name] = block[name] + total if name in block else total
            for name, total in block.items():
                totals.setdefault(name, []).append(np.ravel(total))
    return {name: np.stack(parts) for name, parts in totals.items()}


def largest(values: Array, axes: int) -> Array:
    """Largest size over the first ``axes`` axes; 1 where all is zero, NaN where not finite."""
    over = tuple(range(axes))
    with np.errstate(all="ignore"):
        size = np.maximum(np.max(values, axis=over), -np.min(values, axis=over))
    return np.where(np.isfinite(size), np.where(size > 0, size, 1.0), np.nan)


def outer_unit(row: Array, column: Array) -> Array:
    """Products of two lists of units, shape (row, column); NaN where they leave the range."""
    first, second = np.indices((len(row), len(column)))
    grid = np.stack([first, second + len(row)], axis=-1)
    return product_of_scales(np.concatenate([row, column]), grid)


@dataclass(frozen=True)
class Tangents:
    """Tangent kernels of the last layer, and what was recorded beside them.

    Couples are ordered pairs (a, b) of inputs in row-major order.

    Attributes
    ----------
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    outputs, inputs : int
        Recorded outputs k, and inputs N.
    isotropic : bool
        Whether rotations of the outputs among each other leave their law as it is.
    theta : array, shape (network, output, output, input, input), optional
        Theta_{ia,jb}.
    output : array, shape (network, output, input), optional
        z_ia.
    kernel : array, shape (network, pair), optional
        Conditional kernel Ghat_ab of the outputs given the layer before.
    rounding : float
        What all of these are known to (:mod:`finitewidth.core.rounding`).
    """

    bounds: Array
    outputs: int
    inputs: int
    isotropic: bool = False
    theta: Array | None = None
    output: Array | None = None
    kernel: Array | None = None
    rounding: float = ROUNDING["float64"]

    @cached_property
    def pairs(self) -> Array:
        """Pairs of inputs a <= b, shape (pair, 2)."""
        return pairs(self.inputs)

    @cached_property
    def pair_of_couple(self) -> Array:
        """Which pair the two inputs of each couple make, shape (couple,)."""
        return symmetric_places(*self.pairs.T).ravel()

    @cached_property
    def couple_of_pair(self) -> Array:
        """The couple (a, b), a <= b, of each pair, shape (pair,)."""
        return self.pairs @ [self.inputs, 1]

    @cached_property
    def exchanged(self) -> Array:
        """The couple (b, a) of each couple (a, b), shape (couple,)."""
        return np.arange(self.inputs**2).reshape(self.inputs, -1).T.ravel()

    @cached_property
    def scale(self) -> Array:
        """Square root of the largest Theta_{ia,ia}, shape (input,): Theta_{ia,jb} is in units of
        the product of two of them, which it never exceeds."""
        return np.sqrt(largest(np.einsum("niiaa->nia", np.asarray(self.theta)), 2))

    @cached_property
    def unit(self) -> Array:
        """Unit of Theta for each pair, shape (pair,)."""
        return product_of_scales(self.scale, self.pairs)

    @cached_property
    def output_scale(self) -> Array:
        """Largest |z_ia|, shape (input,)."""
        return largest(np.asarray(self.output), 2)

    @cached_property
    def output_unit(self) -> Array:
        """Unit of z_ia z_ib, shape (pair,)."""
        return product_of_scales(self.output_scale, self.pairs)

    @cached_property
    def controls(self) -> dict[tuple[int, int], Array]:
        """Controls of networks by first and last, for families that share them
        (:func:`finitewidth.estimate.ntk.output_pairs.control`)."""
        return {}

    @cached_property
    def kernel_unit(self) -> Array:
        """Unit of the conditional kernel, shape (pair,)."""
        same = np.flatnonzero(self.pairs[:, 0] == self.pairs[:, 1])
        return product_of_scales(np.sqrt(largest(np.asarray(self.kernel)[:, same], 1)), self.pairs)

    @cached_property
    def center(self) -> Array:
        """Mean of Theta_{ia,ib} over networks and outputs, in units, shape (pair,)."""
        a, b = self.pairs.T
        return _center(np.einsum("niiab->niab", np.asarray(self.theta))[:, :, a, b] / self.unit)

    @cached_property
    def kernel_center(self) -> Array:
        """Mean of the conditional kernel, in units, shape (pair,)."""
        return _center(self.kernel / self.kernel_unit)

    def same(self, at: slice) -> Array:
        """Theta_{ia,ib} less ``center``, in units, shape (network, output, pair)."""
        a, b = self.pairs.T
        diagonal = np.einsum("niiab->niab", np.asarray(self.theta)[at])
        return diagonal[:, :, a, b] / self.unit - self.center

    def different(self, at: slice) -> Array:
        """Theta_{ia,jb} of outputs i < j in units, shape (network x pair of outputs, couple)."""
        i, j = _different(self.outputs)
        unit = self.unit[self.pair_of_couple]
        return np.asarray(self.theta)[at][:, i, j].reshape(-1, self.inputs**2) / unit

    def squares(self, at: slice) -> Array:
        """z_ia z_ib in units, shape (network, output, pair)."""
        z = np.asarray(self.output)[at] / self.output_scale
        a, b = self.pairs.T
        return z[..., a] * z[..., b]

    def products(self, at: slice) -> Array:
        """z_ia z_jb of outputs i < j in units, shape (network x pair of outputs, couple)."""
        z = np.asarray(self.output)[at] / self.output_scale
        i, j = _different(self.outputs)
        return (z[:, i, :, None] * z[:, j, None, :]).reshape(-1, self.inputs**2)

    def of_pairs(self, of_couples: Array) -> Array:
        """The pairs a <= b out of a matrix over couples, shape (pair, pair)."""
        if self.inputs == 1:
            return of_couples
        return of_couples[self.couple_of_pair][:, self.couple_of_pair]

    def couples(self, of_pairs: Array) -> Array:
        """A matrix over pairs, shape (pair, pair), as one over couples, (couple, couple)."""
        if self.inputs == 1:
            return of_pairs
        return of_pairs[self.pair_of_couple][:, self.pair_of_couple]

    def both_orders(self, total: Array) -> Array:
        """Add to a sum over outputs i < j, shape (couple, couple), that over i > j.

        It is the same numbers, since Theta_{ja,ib} = Theta_{ib,ja}: both couples are exchanged.
        """
        if self.inputs == 1:
            return total + total
        return total + total[self.exchanged][:, self.exchanged]


@cache
def _different(outputs: int) -> tuple[Array, Array]:
    """Pairs of outputs i < j: made once, since blocks of networks are many."""
    return np.triu_indices(outputs, 1)


def _center(values: Array) -> Array:
    """Mean over all axes but the last; the value itself, to the last digit, where none varies."""
    over = tuple(range(values.ndim - 1))
    with np.errstate(all="ignore"):
        least = np.min(values, axis=over)
        return np.where(np.max(values, axis=over) == least, least, np.mean(values, axis=over))
