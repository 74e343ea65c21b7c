"""Populations of tangent kernels of a member of a config, as sums over members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from finitewidth.core.log_normal import asks_for_population
from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.stages import Population
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.population.growth import Members
from finitewidth.sampling.population.pilot import PILOT, entropy
from finitewidth.sampling.population.populations import ancestors, sums
from finitewidth.sampling.population.potential import TangentPotential
from finitewidth.sampling.population.tangent_growth import (
    grow_tangents,
    is_short,
    kernel_moments,
    log_moments,
)

Array = np.ndarray


def sample_tangent_populations(
    mlp: Perceptron,
    rates: LearningRates,
    x: Array,
    asked: Population,
    *,
    networks: int,
    seed: int,
    name: Sequence[str],
    precision: str,
    islands: tuple[int, int],
) -> xr.Dataset:
    """Grow the populations of a member's tangent kernels, those of some of its islands.

    Parameters
    ----------
    mlp, rates
        Weights must be normal.
    x : array, shape (inputs, n_0)
    asked : Population
        Of its powers the positive ones; where it has none a pilot chooses among the orders of
        ``tangents``.
    networks, seed, name, precision, islands
        As for :func:`finitewidth.sampling.population.populations.sample_populations`.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes what stands beside tangent kernels.
    """
    x = np.asarray(x, dtype=np.float64)
    stream = (seed, *name, "population", "tangents")
    potential = TangentPotential(mlp, rates, x, asked.of)
    shared = mlp, rates, x, precision, potential
    spread = np.array([_spread(m, shared, (*stream, "pilot")) for m in asked.tangents])
    short = is_short(mlp, len(x))
    # Short layers cost next to nothing, and what members tell is free of the way back's noise: they
    # are better as soon as plain networks would be too few if these were a quarter.
    far = asks_for_population(spread, networks // 4 if short else networks, exact=short)
    # Where a moment needs one, so do those below it, about which a cumulant is taken.
    needed = [float(m) for k, m in enumerate(asked.tangents) if far[k:].any()]
    powers = [k for k in asked.powers if k > 0] or needed
    about = {"long_name": "the pilot's, of moments of the tangent kernel", "units": "1"}
    word = {"long_name": "1 where plain networks are too few for the moment", "units": "1"}
    order = {"long_name": "order m of a moment of the tangent kernel", "units": "1"}
    found = xr.Dataset(
        {
            "population_tangent_spread": ("tangent_moment", spread, about),
            "population_tangent_needed": ("tangent_moment", far.astype(np.int8), word),
        },
        {"tangent_moment": ("tangent_moment", np.array(asked.tangents), order)},
    )
    if not powers:
        return found
    widths = mlp.widths[1:-1]
    members = asked.tangent_members(widths, len(x), short=short)
    first, last = islands
    left, kept = np.zeros((last - first, len(powers)), np.int32), []
    for place, which in np.ndindex(left.shape):
        now = _island(powers[which], members, shared, (*stream, first + place))
        weighed = np.exp(now.log_weight) * kernel_moments(now)
        kept.append(sums(weighed.T, now.ancestor))
        left[place, which] = ancestors(now)
    # (mean, square or families; island; population; product).
    placed = np.array(kept).reshape(*left.shape, 3, -1).transpose(2, 0, 1, 3)
    dims = ("island", "tangent_population", "tangent_product")
    words = (
        "mean over members of their weight times E[Theta_ab], then E[Theta_ab Theta_cd], given the"
        " forward pass",
        "mean over members of the square of that",
        "sum over families of the square of what their members add, over the members",
    )
    for part, values, said in zip(("mean", "square", "families"), placed, words, strict=True):
        found[f"population_tangent_{part}"] = (dims, values, {"long_name": said, "units": "1"})
    word = {"long_name": "members of the first layer that are left", "units": "1"}
    found["population_tangent_ancestors"] = (dims[:2], left, word)
    power_said = {"long_name": "k, of Theta^k that members are grown for", "units": "1"}
    members_said = {"long_name": "members of an island", "units": "1"}
    count = np.full(len(powers), members)
    return found.assign_coords(
        island=("island", np.arange(first, last), {"long_name": "island of a population"}),
        tangent_power=("tangent_population", np.array(powers), power_said),
        tangent_members=("tangent_population", count, members_said),
    )


def _island(power: float, members: int, shared: tuple, stream: tuple) -> Members:
    mlp, rates, x, precision, potential = shared
    named = (*stream, repr(power))
    streams = torch_stream(*named), numpy_stream(*named)
    return grow_tangents(mlp, rates, x, members, power, *streams, precision, potential)


def _spread(m: int, shared: tuple, stream: tuple) -> float:
    """How far off the networks are that decide E[Theta^m], as :func:`.pilot.pilot` measures it.

    By the relative entropy of the forward pass; the way back adds the variance of the logarithm
    that E[Theta^2]/E[Theta]^2 given the forward pass has, as if log-normal.
    """
    mlp, _, _, _, potential = shared
    now = _island(float(m), PILOT, shared, stream)
    logs = log_moments(now)
    one, square = (potential.of(mlp.depth, logs, order) for order in (1, 2))
    growth = (one, square)[m - 1]
    found = 2 * entropy(now.log_weight, growth)
    aims = now.log_weight + growth
    if not np.isfinite(aims).any():
        return 0.0
    alive = np.isfinite(aims)
    share = np.exp(aims[alive] - aims[alive].max())
    own = float(share @ (square[alive] - 2 * one[alive]) / share.sum())
    return found + m**2 * max(0.0, own)
