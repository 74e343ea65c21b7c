"""Populations of a member of a config: islands of each power and width, as sums over members."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from finitewidth.core.indices import kernel_products, pairs
from finitewidth.members.stages import Population
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.population.growth import Members
from finitewidth.sampling.population.pilot import Grown, draw, pilot, wanted
from finitewidth.sampling.population.potential import Potential

Array = np.ndarray


def sample_populations(
    mlps: Sequence[Perceptron],
    x: Array,
    asked: Population,
    *,
    networks: int,
    seed: int,
    name: Sequence[str],
    layers: Sequence[int],
    precision: str,
    islands: tuple[int, int],
    of_neurons: bool = False,
    on_island: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Grow the populations of a member, those of some of its islands.

    Parameters
    ----------
    mlps : sequence of Perceptron
        The member's network; of a ladder one a rung. Weights must be normal.
    x : array, shape (inputs, n_0)
    networks : int
        Plain networks beside them: where these are enough, the pilot asks for no population.
    seed, name
        They name the random streams, with the population's power, the rung and the island.
    layers : sequence of int
        The recorded ones, rising.
    of_neurons : bool
        Whether plain networks tell Ghat by the mean of the squares of a layer's neurons alone.
    islands : (int, int)
        First one and one past the last. What is drawn for an island depends on no other.
    on_island : callable
        Called after each with the islands done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes what stands beside samples. No population at all
        where none is asked for by the pilot.
    """
    x = np.asarray(x, dtype=np.float64)
    streams = [(seed, *name, "population", rung) for rung in range(len(mlps))]
    spread = np.stack(
        [pilot(mlp, x, asked, s, layers) for mlp, s in zip(mlps, streams, strict=True)]
    )
    if of_neurons:
        # The logarithm of such a mean of n squares varies by 2/n more.
        own = np.array([[2 / mlp.widths[k] for k in layers] for mlp in mlps])
        spread += np.where(spread > 0, own[..., None] * np.square(asked.orders), 0.0)
    every = [
        one
        for rung, mlp in enumerate(mlps)
        for one in wanted(mlp, len(x), asked, rung, spread[rung].max(axis=0), networks)
    ]
    first, last = islands
    shape = (last - first, len(every), len(layers), len(kernel_products(len(x))[0]))
    kept = Kept.empty(shape, tuple(layers))
    potentials = [Potential(mlp, x, asked.of) for mlp in mlps]
    for place, island in enumerate(range(first, last)):
        for which, one in enumerate(every):
            keep = partial(kept.put, place, which, one.power)
            r, stream = one.rung, (*streams[one.rung], island)
            draw(one, mlps[r], x, potentials[r], stream, max(layers), precision, keep)
        on_island(place + 1, last - first)
    return described(spread, asked.orders, kept, every, range(first, last))


def described(
    spread: Array, orders: Sequence[int], kept: Kept, every: Sequence[Grown], islands: range
) -> xr.Dataset:
    """The dataset of what was kept, beside what the pilot found, (rung, layer, order); that alone
    where no population was grown."""
    about = {"long_name": _MEANING["spread"], "units": "1"}
    found = xr.Dataset(
        {"population_spread": (("of_rung", "layer", "moment"), spread, about)},
        {"moment": np.array(orders)},
    )
    if not every:
        return found
    return found.assign(_variables(kept)).assign_coords(_coordinates(every, islands))


@dataclass(frozen=True)
class Kept:
    """Sums over the members of islands, (island, population, layer, product), and ancestors."""

    mean: Array
    square: Array
    families: Array
    ancestors: Array
    layers: tuple[int, ...]

    @classmethod
    def empty(cls, shape: tuple[int, ...], layers: tuple[int, ...]) -> Kept:
        """Nothing yet, of this shape."""
        mean, square, families = np.zeros((3, *shape))
        return cls(mean, square, families, np.zeros(shape[:3], np.int32), layers)

    def put(self, island: int, which: int, power: float, layer: int, now: Members) -> None:
        """Take a layer of the island under way, if it is a recorded one."""
        if layer not in self.layers:
            return
        at = island, which, self.layers.index(layer)
        added = contributions(now, power)
        self.mean[at], self.square[at], self.families[at] = sums(added, now.ancestor)
        self.ancestors[at] = ancestors(now)


def sums(added: Array, ancestor: Array) -> tuple[Array, Array, Array]:
    """Means over members of what each adds, (member, number), and of its square; and the sum over
    families of the square of what a family adds, over the members: (number,) each.

    A family descends from one member of the first layer.
    """
    members = len(added)
    order = np.argsort(ancestor, kind="stable")
    starts = np.flatnonzero(np.diff(ancestor[order], prepend=-1))
    families = np.add.reduceat(added[order], starts, axis=0)
    return (
        added.mean(axis=0),
        np.mean(added**2, axis=0),
        np.sum(families**2, axis=0) / members,
    )


def ancestors(now: Members) -> int:
    """From how many members of the first layer those that count descend."""
    return int(np.count_nonzero(np.bincount(now.ancestor[now.log_weight > -np.inf])))


def contributions(now: Members, power: float) -> Array:
    """What each member adds to the means of products of kernels, (member, product).

    NaN where the power is of the other sign than the product's: a population that is grown towards
    large networks knows nothing of the smallest, dead ones among them.
    """
    a, b = pairs(now.gram.shape[1]).T
    factors, order = kernel_products(now.gram.shape[1])
    unit, log_unit = now.gram[:, a, b], now.log_scale[:, a] + now.log_scale[:, b]
    found = np.full((len(unit), len(order)), np.nan)
    if power < 0:
        place = factors[order < 0, 0]
        with np.errstate(divide="ignore"):
            inverse = np.exp(now.log_weight[:, None] - log_unit[:, place]) / unit[:, place]
        found[:, order < 0] = inverse
        return found
    for m in (1, 2, 3):
        place = factors[order == m, :m].T
        logs = now.log_weight[:, None] + sum(log_unit[:, p] for p in place)
        found[:, order == m] = np.exp(logs) * math.prod(unit[:, p] for p in place)
    return found


_MEANING = {
    "spread": "variance of the logarithm of a moment's networks, as if log-normal, by the pilot",
    "mean": "mean over members of their weight times a product of conditional kernels",
    "square": "mean over members of the square of that",
    "families": "sum over families of the square of what their members add, over the members",
    "ancestors": "members of the first layer from which those that count descend",
}


def _variables(kept: Kept) -> dict:
    dims = ("island", "population", "layer", "product")
    names = ("mean", "square", "families", "ancestors")
    every = {name: getattr(kept, name) for name in names}
    return {
        f"population_{name}": (
            dims[: values.ndim],
            values,
            {"long_name": _MEANING[name], "units": "1"},
        )
        for name, values in every.items()
    }


def _coordinates(every: Sequence[Grown], islands: range) -> dict:
    along = {
        "power": [one.power for one in every],
        "population_rung": [one.rung for one in every],
        "members": [one.members for one in every],
        "exact": np.array([one.exact for one in every], np.int8),
    }
    return {
        "island": np.array(islands),
        **{name: ("population", np.array(values)) for name, values in along.items()},
    }
