"""Populations of networks of any layers: moments of the kernel of their read-out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import xarray as xr

from finitewidth.core.indices import kernel_products
from finitewidth.core.log_normal import asks_for_population
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.stages import Population
from finitewidth.models.architecture import Architecture
from finitewidth.sampling.population.growth import Members
from finitewidth.sampling.population.network_growth import grow_network, potential
from finitewidth.sampling.population.pilot import PILOT, Grown, entropy
from finitewidth.sampling.population.populations import Kept, described

Array = np.ndarray


def sample_network_populations(
    network: Architecture,
    x: Array,
    asked: Population,
    *,
    networks: int,
    seed: int,
    name: Sequence[str],
    precision: str,
    islands: tuple[int, int],
) -> xr.Dataset:
    """Grow the populations of a member made of any layers, those of some of its islands.

    Parameters
    ----------
    network : Architecture
        Weights must be normal; the last layer is a dense map of vectors, and alone recorded.
    x : array, shape (inputs, n_0)
    asked : Population
        Its powers are positive; where it has none a pilot chooses among the orders.
    networks, seed, name, precision, islands
        As for :func:`finitewidth.sampling.population.populations.sample_populations`.

    Returns
    -------
    xarray.Dataset
        As that gives it, of one layer and one rung.
    """
    x = np.asarray(x, dtype=np.float64)

    def island(power: float, members: int, *place: str | int) -> Members:
        generator = torch_stream(seed, *name, "population", 0, *place, repr(power))
        return grow_network(network, x, members, power, asked.of, generator, precision)

    spread = np.zeros(len(asked.orders))
    for column, m in enumerate(asked.orders):
        now = island(float(m), PILOT, "pilot")
        spread[column] = 2 * entropy(now.log_weight, m * potential(now.gram, asked.of))
    # Plain networks tell Ghat by the mean of the squares of as many neurons.
    own = np.square(asked.orders) * 2 / network.result_widths[-1]
    spread = spread + np.where(spread > 0, own, 0.0)
    powers = [float(k) for k in asked.powers] or [
        float(m)
        for m, v in zip(asked.orders, spread, strict=True)
        if asks_for_population(v, networks)
    ]
    rows = len(x) * max(prod(shape[1:]) for shape in network.shapes)
    members = asked.members_of(max(network.widths[1:-1], default=1), rows)
    every = [Grown(0, power, members, False) for power in sorted(powers)]
    first, last = islands
    kept = Kept.empty((last - first, len(every), 1, len(kernel_products(len(x))[0])), (0,))
    for place, which in np.ndindex(last - first, len(every)):
        now = island(every[which].power, members, first + place)
        kept.put(place, which, every[which].power, 0, now)
    return described(spread[None, None], asked.orders, kept, every, range(first, last))
