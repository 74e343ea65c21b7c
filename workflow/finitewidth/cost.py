"""What a job takes: seconds of one core, memory and disk, from what it is about.

Each is a sum of counts (numbers drawn, products, small matrices, calls) times prices. The prices
are fitted by ``benchmarks/cost.py`` to the logs of finished runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finitewidth import activations
from finitewidth.blocks import tile_size

MiB = 2**20
#: What an interpreter with its imports takes: MiB, and seconds that are no member's.
START_MEMORY, START_SECONDS = 250, 2.0

#: Nanoseconds a count, by what is sampled.
_SAMPLE = {
    "marginal": {"normals": 6.0, "curves": 4.0, "sums": 2.0, "matrices": 100.0, "calls": 50_000.0},
    "explicit": {"weights": 6.0, "curves": 4.0, "sums": 2.0, "matrices": 100.0, "calls": 50_000.0},
    "marginal ntk": {"normals": 10.0, "ways": 3.0, "matrices": 500.0, "calls": 100_000.0},
    "explicit ntk": {"weights": 10.0, "ways": 3.0, "matrices": 500.0, "calls": 100_000.0},
    "ladder": {"normals": 6.0, "curves": 6.0, "controls": 3.0, "calls": 100_000.0},
    "scalar": {"layers": 800.0},
    "ntk_methods": {"networks": 5e6, "weights": 50.0},
}


@dataclass(frozen=True, order=True)
class Cost:
    """Seconds of one core, MiB of memory at most, MiB of files written."""

    seconds: float
    memory: float
    disk: float


def job(costs: Iterable[Cost]) -> Cost:
    """What one job takes that does all of these, one after another."""
    costs = list(costs)
    return Cost(
        START_SECONDS + sum(c.seconds for c in costs),
        START_MEMORY + max(c.memory for c in costs),
        sum(c.disk for c in costs),
    )


def asked_memory(total: Cost) -> int:
    """MiB that a job asks a cluster for: half as much again, and what its launcher takes there."""
    return math.ceil(1.5 * total.memory) + 300


def asked_minutes(total: Cost) -> int:
    """Minutes that a job asks a cluster for: three times what it should take."""
    return 5 + math.ceil(3 * total.seconds / 60)


def sampling(member, inputs: int, networks: float | None = None) -> Cost:
    """What drawing ``networks`` of a member's networks (all of them where left out) takes.

    Parameters
    ----------
    member : finitewidth.members.Member
    inputs : int
        How many vectors the networks are evaluated on.
    """
    networks = member.networks if networks is None else networks
    counts = _counts(member, inputs, networks)
    prices = _SAMPLE[_kind(member)]
    seconds = sum(price * counts[name] for name, price in prices.items()) * 1e-9
    written = networks * _recorded(member, inputs) / MiB
    return Cost(seconds, 2.2 * written + _tile(member), written)


def estimating(member, inputs: int) -> Cost:
    """What estimates of a member's samples take."""
    read = member.networks * _recorded(member, inputs) / MiB
    rungs = len(member.ladder or (1,))
    values = member.networks * len(member.layers) * rungs * math.comb(inputs + 3, 4)
    return Cost(0.1 + 4e-7 * values, 3 * read, 1.0)


def predicting(member, inputs: int) -> Cost:
    """What theory of a member takes."""
    simple = activations.get(member.activation).is_scale_invariant
    seconds = 0.1 if simple else 0.3 + 0.02 * member.depth * inputs**2
    return Cost(min(seconds, 60.0), 100.0, 0.5)


def _kind(member) -> str:
    if "ntk_methods" in member.measure:
        return "ntk_methods"
    if member.ladder is not None:
        return "ladder"
    if member.sampler == "scalar":
        return "scalar"
    return f"{member.sampler} ntk" if "ntk" in member.measure else member.sampler


def _counts(member, inputs: int, networks: int) -> Mapping[str, float]:
    """How often each of the things that cost is done."""
    rungs = member.ladder or (member.width,)
    neurons = weights = 0
    for rung in rungs:
        hidden = member.hidden or (rung,) * (member.depth - 1)
        widths = (*hidden, rung if member.ladder else member.outputs)
        neurons += sum(widths)
        weights += sum(a * b for a, b in itertools.pairwise((hidden[0] if hidden else 1, *widths)))
    curved = not activations.get(member.activation).is_scale_invariant
    products = math.comb(inputs + 1, 2) * ("quartic" in member.measure)
    recorded = neurons * len(member.layers) / member.depth
    widest = max(*rungs, *(member.hidden or ()), member.outputs)
    tiles = networks / max(1, min(networks, tile_size(member.block, widest, inputs)))
    return {
        "networks": networks,
        "layers": networks * member.depth,
        "normals": networks * neurons * inputs,
        "weights": networks * weights,
        "curves": networks * neurons * inputs * curved,
        "sums": networks * recorded * (inputs + 2 * products),
        "matrices": networks * member.depth * len(rungs) * inputs**2,
        "calls": tiles * member.depth * len(rungs),
        "ways": networks * neurons * inputs * (1 + member.ntk_outputs),
        "controls": networks * neurons * inputs * member.controls,
    }


def _recorded(member, inputs: int) -> float:
    """Bytes that a network leaves in a file of samples."""
    layers, pairs = len(member.layers), math.comb(inputs + 1, 2)
    number = 8 * len(member.ladder or (1,)) * layers
    total = 8.0
    if member.ladder is not None:
        return total + number * pairs * (2 + 4 * member.controls)
    if "preactivations" in member.measure:
        total += layers * inputs * (4 * member.record + 8 * inputs)
        total += number * math.comb(inputs + 3, 4) * ("quartic" in member.measure)
        total += number * inputs * (("sextic" in member.measure) + 1)
    elif "log_norm" in member.measure:
        total += number * inputs
    if "ntk" in member.measure:
        total += 8 * (inputs * member.ntk_outputs) ** 2 * (1 + member.ntk_outputs)
    return total


def _tile(member) -> float:
    """MiB of the networks that are computed together."""
    if "ntk" in member.measure or "ntk_methods" in member.measure:
        return 1024 * member.memory
    return 100.0 if member.sampler == "explicit" else 60.0


def comparing(members: int) -> Cost:
    """What the table of a study of so many members takes."""
    return Cost(0.05 * members, 100.0 + 2 * members, 1.0)


def drawing(members: int, figures: int) -> Cost:
    """What the figures of a study take."""
    return Cost(0.05 * members + 1.0 * figures, 200.0 + 2 * members, 0.3 * figures)
