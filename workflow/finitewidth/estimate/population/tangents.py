"""Moments of tangent kernels from populations, in place of those that plain networks cannot tell.

On one input. A network of a population tells E[Theta^m] given its forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from finitewidth.estimate.errors.jackknife import Estimate, block_sums
from finitewidth.estimate.population.sources import Source, Totals, joint
from finitewidth.estimate.population.trusted import Grown, trusted
from finitewidth.estimate.preactivations.moments import of_two

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
    theta : array, shape (network,)
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
            Quantity -> estimate of one number.
        """
        placed, words = dict(found), {}
        for name, order in _ORDERS.items():
            grown = self._nearest(order) if self._is_far(order) else None
            if name not in found or grown is None:
                continue
            mean = self._nearest(1)
            sources = {"1": self._source(mean), str(order): self._source(grown)}
            one = joint(sources, _ESTIMATORS[name], correct_bias=name == "ntk_second_moment")
            # Of a moment of order m trust is told by the column of that moment.
            one = trusted(one, grown, np.array([[order - 1]]))
            shape = found[name].value.shape
            placed[name] = one.take((np.zeros(shape, int),))
            parts = dict.fromkeys(g.words if g else "plain networks" for g in (grown, mean))
            words[name] = "; ".join(parts)
        return placed, words

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
        x, two = grown.mean[:, :1], grown.mean[:, 1:]
        return Source({"x": x, "x x": x**2, "two": two}, np.ones(len(x)), grown.words)

    @cached_property
    def _plain(self) -> Source:
        def features(at: slice) -> dict[str, Array]:
            x = self.theta[at, None]
            return {"x": x, "x x": x**2, "two": x**2}

        return Source(
            block_sums(features, self.bounds), np.diff(self.bounds).astype(float), "plain networks"
        )


def _square(s: Totaled) -> Array:
    """E[Theta]^2 by products over different units."""
    one = s["1"]
    return of_two(one.sum("x"), one.sum("x"), one.sum("x x"), one.count)


_ESTIMATORS = {
    "ntk": lambda s: s["1"].mean("x"),
    "ntk_variance": lambda s: s["2"].mean("two") - _square(s),
    "ntk_second_moment": lambda s: s["2"].mean("two") / _square(s),
}
