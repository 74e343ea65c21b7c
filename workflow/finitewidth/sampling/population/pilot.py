"""Which populations are grown: by the powers that are asked for, or by a pilot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from finitewidth.core.log_normal import asks_for_population
from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.stages import Population
from finitewidth.models.finite_powers import mean_is_finite
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.population.growth import Members, grow
from finitewidth.sampling.population.potential import Potential
from finitewidth.sampling.population.tilted import draw_tilted, is_known

Array = np.ndarray

#: Members of each of the pilot's populations, one island of each order.
PILOT = 256
#: An exactly tilted population stands so much below the moment that it is meant for, which would
#: be no measurement otherwise.
BESIDE = 0.25


@dataclass(frozen=True)
class Grown:
    """One population: the rung whose networks it is made of, its power, and how many members."""

    rung: int
    power: float
    members: int
    exact: bool


def wanted(
    mlp: Perceptron, inputs: int, asked: Population, rung: int, spread: Array, networks: int
) -> list[Grown]:
    """The populations of one width, rising in power.

    By the powers that are asked for; or else one for each order of a moment at which plain networks
    would not do: the mean of Ghat^m, log-normal by what the pilot says, would be too skew.

    Parameters
    ----------
    spread : array, shape (order,)
        The pilot's, at the layer where it is largest.
    """
    if asked.powers:
        powers = [(float(k), asked.exact and is_known(mlp, inputs, k)) for k in asked.powers]
    else:
        powers = []
        for m, v in zip(asked.orders, spread, strict=True):
            near = m - math.copysign(BESIDE, m)
            exact = asked.exact and is_known(mlp, inputs, near)
            if asks_for_population(v, networks, exact=exact):
                powers.append((near if exact else float(m), exact))
        if any(exact and power > 1 for power, exact in powers):
            # The mean that a cumulant is taken about, better known than by plain networks.
            powers = [*{*powers, (1 - BESIDE, True)}]
    widest = max(mlp.widths[1:-1], default=1)
    return [
        Grown(rung, k, asked.members_of(widest, inputs, exact), exact)
        for k, exact in sorted(powers)
    ]


def pilot(
    mlp: Perceptron, x: Array, asked: Population, stream: tuple, layers: Sequence[int]
) -> Array:
    """How far off the networks are that decide a moment, (layer, order): the pilot.

    Twice the relative entropy of the law weighed by phi^m, m log phi being its log-likelihood: that
    is m^2 Var(log phi) of a log-normal phi, and hardly depends on luck, since networks that decide
    the moment are grown for it. 0 where the moment is infinite.
    """
    found = np.zeros((len(layers), len(asked.orders)))
    for column, m in enumerate(asked.orders):
        if not mean_is_finite(mlp.activation_name, min(mlp.C_b), mlp.widths[1:-1], m):
            continue
        potential = Potential(mlp, x, asked.of)
        values: list[float] = []

        def keep(
            layer: int, now: Members, m: int = m, potential: Potential = potential,
            values: list = values,
        ) -> None:  # fmt: skip
            if layer in layers:
                values.append(entropy(now.log_weight, potential.to_power(layer, now.log_kernel, m)))

        one = Grown(0, float(m), PILOT, asked.exact and is_known(mlp, len(x), m))
        draw(one, mlp, x, potential, (*stream, "pilot"), max(layers), "float32", keep)
        found[:, column] = 2 * np.array(values)
    return found


def entropy(log_weight: Array, log_growth: Array) -> float:
    """The relative entropy of members weighed by their growth, beside what they are drawn from."""
    aims = log_weight + log_growth
    alive = np.isfinite(aims)
    if not alive.any():
        return 0.0
    highest = np.max(aims[alive])
    share = np.exp(aims[alive] - highest)
    mean = float(share @ log_growth[alive] / share.sum())
    return max(0.0, mean - highest - math.log(share.sum() / len(aims)))


def draw(
    one: Grown,
    mlp: Perceptron,
    x: Array,
    potential: Potential,
    stream: tuple,
    last: int,
    precision: str,
    keep: Callable[[int, Members], None],
) -> None:
    """Draw an island under a named stream, and hand its layers to ``keep``."""
    named = (*stream, repr(one.power))
    if one.exact:
        draw_tilted(mlp, x, one.members, one.power, numpy_stream(*named), last, keep)
    else:
        generator = torch_stream(*named)
        grow(mlp, x, one.members, one.power, potential, generator, last, precision, keep)
