"""Moments of tangent kernels from populations, in place of those that plain networks cannot tell.

A network of a population tells the mean of Theta_ab, and of Theta_ab Theta_cd, given its forward
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.estimate.errors.jackknife import Estimate, block_sums
from finitewidth.estimate.population.sources import Source, Totals, joint
from finitewidth.estimate.population.trusted import Grown, trusted
from finitewidth.estimate.preactivations.moments import of_two
from finitewidth.estimate.preactivations.pooled import symmetric_places

Array = np.ndarray
Totaled = Mapping[str, Totals]

#: Each quantity with its highest moment.
_ORDERS = {"ntk": 1, "ntk_variance": 2, "ntk_second_moment": 2}


@dataclass(frozen=True)
class TangentsBeside:
    """The populations of a member's tangent kernels.

    Attributes
    ----------
    populations : xarray.Dataset
        With ``population_tangent_needed``, and the rest where any were grown.
    theta : array, shape (network, pair)
        Plain tangent kernels, of one output or the mean of several.
    bounds : array of int, shape (block + 1,)
    """

    populations: xr.Dataset
    theta: Array
    bounds: Array

    def put(self, found: Mapping[str, Estimate]) -> tuple[dict[str, Estimate], dict[str, str]]:
        """Estimates with those of populations in place of some, and how these were estimated.

        Parameters
        ----------
        found : mapping
            Quantity -> estimate, of one layer.
        """
        placed, words = dict(found), {}
        for name, order in _ORDERS.items():
            grown = self._nearest(order) if self._is_far(order) else None
            if name not in found or grown is None:
                continue
            mean = self._nearest(1)
            sources = {"1": self._source(mean), str(order): self._source(grown)}
            estimator, of, places = self._numbers(name)
            one = joint(sources, estimator, correct_bias=name == "ntk_second_moment")
            one = trusted(one, grown, self._alone(order)[of])
            placed[name] = one.take(places[None])
            parts = dict.fromkeys(g.words if g else "plain networks" for g in (grown, mean))
            words[name] = "; ".join(parts)
        return placed, words

    def _numbers(self, name: str) -> tuple[Callable[[Totaled], Array], Array, Array]:
        """How the numbers of a quantity are estimated, the inputs that each is made of, (number,
        factor), and where they stand among the axes of the quantity."""
        index, inputs = self._pairs, np.arange(self._inputs)
        first, second = self._products
        if name == "ntk":
            return lambda s: s["1"].mean("x"), index, symmetric_places(*index.T)
        if name == "ntk_variance":
            of = np.hstack([index[first], index[second]])
            return (
                lambda s: s["2"].mean("two") - _square(s, first, second),
                of,
                symmetric_places(first, second),
            )
        own = symmetric_places(*index.T)[inputs, inputs]
        two = symmetric_places(first, second)[own, own]
        return (
            lambda s: s["2"].mean("two")[..., two] / _square(s, first, second)[..., two],
            inputs[:, None],
            inputs,
        )

    @cached_property
    def _inputs(self) -> int:
        return round((np.sqrt(8 * self.theta.shape[1] + 1) - 1) / 2)

    @property
    def _pairs(self) -> Array:
        return pairs(self._inputs)

    @property
    def _products(self) -> tuple[Array, Array]:
        """Pairs of pairs, (product,) each."""
        first, second = np.triu_indices(len(self._pairs))
        return first, second

    def _alone(self, order: int) -> Array:
        """Among what islands hold, the moments of this order of each input, (input,): they tell
        what is to be believed."""
        inputs = np.arange(self._inputs)
        own = symmetric_places(*self._pairs.T)[inputs, inputs]
        if order == 1:
            return own
        return len(self._pairs) + symmetric_places(*self._products)[own, own]

    def _is_far(self, order: int) -> bool:
        """Whether plain networks are too few for a moment by what the pilot says."""
        return bool(self.populations["population_tangent_needed"].sel(tangent_moment=order))

    def _nearest(self, order: int) -> Grown | None:
        """The population of the power nearest to an order; None where none is nearer than 0."""
        able = [g for g in self._grown if abs(g.power - order) < order]
        return min(able, key=lambda g: abs(g.power - order), default=None)

    @cached_property
    def _grown(self) -> list[Grown]:
        p = self.populations
        if "population_tangent_mean" not in p:
            return []
        mean, square, families = (
            p[f"population_tangent_{part}"].values for part in ("mean", "square", "families")
        )
        return [
            Grown(
                mean[:, k],
                square[:, k],
                families[:, k],
                float(power),
                int(p["tangent_members"][k]),
                False,
            )
            for k, power in enumerate(p["tangent_power"].values)
        ]

    def _source(self, grown: Grown | None) -> Source:
        if grown is None:
            return self._plain
        count = len(self._pairs)
        x, two = grown.mean[:, :count], grown.mean[:, count:]
        sums = {"x": x, "x x": self._multiplied(x), "two": two}
        return Source(sums, np.ones(len(x)), grown.words)

    def _multiplied(self, x: Array) -> Array:
        first, second = self._products
        return x[:, first] * x[:, second]

    @cached_property
    def _plain(self) -> Source:
        def features(at: slice) -> dict[str, Array]:
            x = self.theta[at]
            both = self._multiplied(x)
            return {"x": x, "x x": both, "two": both}

        return Source(
            block_sums(features, self.bounds), np.diff(self.bounds).astype(float), "plain networks"
        )


def _square(s: Totaled, first: Array, second: Array) -> Array:
    """E[Theta_ab] E[Theta_cd] by products over different units, (..., product)."""
    one = s["1"]
    x = one.sum("x")
    return of_two(x[..., first], x[..., second], one.sum("x x"), one.count)
