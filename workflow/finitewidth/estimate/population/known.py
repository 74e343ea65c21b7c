"""What is known of one layer: plain kernels, and the populations that were grown beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.indices import kernel_products, pairs
from finitewidth.core.log_normal import asks_for_population
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, block_sums
from finitewidth.estimate.population.sources import Source
from finitewidth.estimate.population.trusted import Grown, trusted

Array = np.ndarray


@dataclass(frozen=True)
class Moments:
    """What is known of one layer: plain kernels, and the populations that were grown.

    Attributes
    ----------
    kernel : array, shape (network, pair)
        Means over networks of these are E[Ghat_ab].
    bounds : array of int, shape (block + 1,)
        Blocks of networks.
    grown : sequence of Grown
    inputs : int
    spread : mapping
        What the pilot says of the moments of each order.
    """

    kernel: Array
    bounds: Array
    grown: tuple[Grown, ...]
    inputs: int
    spread: Mapping[int, float]

    def nearest(self, order: int) -> Grown | None:
        """The population whose power is nearest to a moment's order; None where none is nearer
        than 0, the power of plain networks, or where by the pilot these are enough."""
        grown = self._able(order)
        if grown is None or order not in self.spread:
            return None
        networks = int(self.bounds[-1])
        asked = asks_for_population(self.spread[order], networks, exact=grown.exact)
        return grown if asked else None

    def part(self, order: int, highest: int) -> Grown | None:
        """The same of a moment that is part of a cumulant of the order ``highest``, whose own is
        taken from a population: means may come from plain networks, others may not."""
        grown = self._able(order)
        if order == 1:
            return grown if grown is not None and grown.exact else self.nearest(1)
        return grown or self._able(highest)

    def _able(self, order: int) -> Grown | None:
        able = [g for g in self.grown if abs(g.power - order) < abs(order)]
        return min(able, key=lambda g: abs(g.power - order), default=None)

    def source(self, grown: Grown | None) -> Source:
        """The sums of a population, or of plain networks where it is None."""
        if grown is None:
            return self._plain
        _, orders = kernel_products(self.inputs)
        by_order = {m: grown.mean[:, orders == m] for m in (1, 2, 3, -1)}
        alone = self.alone
        x, two = by_order[1], by_order[2]
        own = x[:, alone]
        first, second = self.products
        squares = two[:, [int(np.flatnonzero((first == p) & (second == p))[0]) for p in alone]]
        sums = {
            **_products(x, first, second, alone),
            "two": two,
            "three": by_order[3],
            "inverse": by_order[-1],
            "own two": squares,
            "own two x": squares * own,
        }
        return Source(sums, np.ones(len(x)), grown.words)

    @cached_property
    def _plain(self) -> Source:
        first, second = self.products

        def features(at: slice) -> dict[str, Array]:
            return _products(self.kernel[at], first, second, self.alone)

        sums = block_sums(features, self.bounds)
        return Source(sums, np.diff(self.bounds).astype(float), "plain networks")

    @property
    def alone(self) -> Array:
        """Which pairs are one input twice."""
        return np.flatnonzero(np.equal(*pairs(self.inputs).T))

    @property
    def products(self) -> tuple[Array, Array]:
        """The two pairs of each product of two kernels."""
        return np.triu_indices(len(pairs(self.inputs)))

    def trusted(self, found: Estimate, order: int, of: Array) -> Estimate:
        """The same, doubted where the islands, or the members that count, do not bear it.

        Parameters
        ----------
        found : Estimate, shape (number,)
        order : int
            Of its highest moment.
        of : array of int, shape (number, factor)
            The inputs that it is made of: the worst of them counts.
        """
        grown = self.nearest(order)
        if grown is None:
            return found
        if grown.exact and grown.power == order:
            known = np.ones(found.value.shape, bool)
            return found.doubted(known, Reason.KNOWN, grown.power)
        _, orders = kernel_products(self.inputs)
        places = np.flatnonzero(orders == order)
        if order == 1:
            places = places[self.alone]
        if order == 2:
            first, second = self.products
            places = places[np.flatnonzero((first == second) & np.isin(first, self.alone))]
        return trusted(found, grown, places[of])


def _products(x: Array, first: Array, second: Array, alone: Array) -> dict[str, Array]:
    own = x[:, alone]
    return {
        "x": x,
        "x x": x[:, first] * x[:, second],
        "own": own,
        "own own": own**2,
        "own own own": own**3,
    }
