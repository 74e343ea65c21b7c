"""What a job takes: seconds of one core, memory and disk, from what it is about.

Each is a sum of counts (numbers drawn, products, small matrices, calls) times prices. The prices
are fitted by ``benchmarks/cost.py`` to the logs of finished runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from finitewidth.core.blocks import GRADIENT_MEMORY, MOST_ROWS, placed_numbers
from finitewidth.models.activations import table as activations
from finitewidth.models.block_maps import map_sizes
from finitewidth.models.block_shapes import BlockNetwork
from finitewidth.models.own_network import OwnShape
from finitewidth.models.places import ALL
from finitewidth.planning.member import Ladder, Member, Training
from finitewidth.planning.population_cost import grown
from finitewidth.planning.training_cost import kept, learning
from finitewidth.quantities.vocabulary import FAMILIES, FROM_LADDER, FROM_NTK, FROM_TRAINING

MiB = 2**20
#: MiB that a job takes while it compiles what it samples by, for want of a kept one.
COMPILING = 200
#: What an interpreter with its imports takes: MiB, and seconds that are no member's.
START_MEMORY, START_SECONDS = 300, 0.5
#: Members of an entry share a job as long as sampling or training them together takes less, since
#: starting a job takes as long as the cheap ones do.
BATCH_SECONDS = 10.0
#: How many times faster than one core a GPU is taken to be: from 4 times, for training one small
#: network, to 360, for drawing weights, were measured (benchmarks/README.md).
GPU_SPEED = 30.0

#: Nanoseconds a count, by stage and by what it is about; what is counted stands at `_drawn`,
#: `_estimated` and `_predicted`.
# fmt: off
PRICES: dict[str, dict[str, dict[str, float]]] = {
    "sample": {
        "marginal": {"member": 4e7, "networks": 460.0, "normals": 0.8, "curves": 0.55, "sums": 0.22,
                     "matrices": 32.0, "grown": 16.0, "tilted": 190.0},
        "explicit": {"member": 4e7, "weights": 4.7},
        "marginal blocks": {"member": 4e7, "layers": 93.0, "normals": 6.2, "products": 0.19,
                            "matrices": 26.0, "factors": 15.0, "sums": 1.3, "drawn": 9.0,
                            "multiplied": 0.025, "patches": 3.0, "grown": 16.0},
        "explicit blocks": {"member": 4e7, "layers": 400.0, "normals": 8.8, "weights": 4.4,
                            "multiplied": 0.025, "patches": 3.0},
        "marginal ntk": {"member": 2.5e7, "networks": 2000.0, "layers": 360.0, "normals": 4.7,
                         "matrices": 150.0, "grown": 16.0, "short": 400.0, "forms": 60.0},
        # By torch, as all ensembles of such networks.
        "marginal ntk of blocks": {"member": 4e7, "layers": 120.0, "normals": 18.0, "curves": 6.0},
        "marginal gradients": {"member": 4e7, "layers": 500.0, "normals": 25.0, "curves": 5.0,
                               "matrices": 900.0, "factors": 300.0, "drawn": 9.0,
                               "multiplied": 0.05},
        "explicit ntk": {"member": 1.6e7, "weights": 3.2, "ways": 50.0},
        "ladder": {"member": 5e7, "normals": 1.3, "curves": 0.6, "tangents": 3.9, "matrices": 10.0,
                   "controls": 1.5, "grown": 16.0, "tilted": 190.0},
        "training": {"member": 6e7, "learnt": 1.2, "passes": 700.0, "networks": 5e4,
                     "hidden": 8.0},
        "marginal training": {"member": 6e7, "passes": 700.0, "networks": 5e4, "met": 120.0,
                              "met again": 2.5},
        "scalar": {"member": 2.5e7, "networks": 11.0, "layers": 24.0, "short": 400.0},
        "ntk_methods": {"networks": 2.8e7, "weights": 40.0},
        # Modules of somebody's own: making one, running it, and differentiating it.
        "own": {"member": 3e8, "networks": 4e5, "weights": 10.0},
        "own ntk": {"member": 3e8, "networks": 5e6, "weights": 40.0},
    },
    "estimate": {
        # What a family takes for each number that it reads stands with its description.
        "networks": {"member": 2.4e7, "families": 3.1e7,
                     **{f.name: f.price for f in FAMILIES.values() if f.name not in FROM_LADDER}},
        "ladder": {"member": 4.6e7, "controls": 1200.0, "kernels of two": 4000.0,
                   **{f: FAMILIES[f].price for f in FROM_LADDER}},
    },
    "theory": {
        "two slopes": {"member": 3.2e7, "kernels": 2300.0, "vertices": 1.6e5, "laws": 5e6},
        "curved": {"member": 2.4e7, "kernels": 9e5, "vertices": 1.6e5, "laws": 4.7e6},
        "training": {"member": 6e7, "kernels": 3e4},
        "two slopes, ladder": {"member": 4.6e7, "kernels": 3.4e4},
        "curved, ladder": {"kernels": 1.4e7, "rungs": 5e7},
        "own": {"member": 3e7},
        "blocks": {"member": 3e7, "sites": 6e6, "sites of two": 2.5e8, "row pairs": 1500.0},
    },
}
# fmt: on


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


def sampling(member: Member, inputs: int, networks: float | None = None) -> Cost:
    """What drawing ``networks`` of a member's networks (all of them where left out) takes.

    Parameters
    ----------
    member : finitewidth.planning.member.Member
    inputs : int
        How many vectors the networks are evaluated on.
    """
    networks = member.networks if networks is None else networks
    written = networks * recorded(member, inputs) / MiB
    seconds = _seconds("sample", member, inputs, networks)
    return Cost(seconds, 2.2 * written + _tile(member, inputs), written)


def estimating(member: Member, inputs: int) -> Cost:
    """What estimates of a member's samples take."""
    read = member.networks * recorded(member, inputs) / MiB
    return Cost(_seconds("estimate", member, inputs, member.networks), 3 * read, 1.0)


def testing(member: Member, inputs: int) -> Cost:
    """What tests of normality of a member take."""
    groups = member.normality.groups * len(member.layers) * inputs
    per_group = member.normality.networks**2 * member.normality.neurons
    read = member.networks * recorded(member, inputs) / MiB
    return Cost(0.2 + 2e-9 * groups * per_group, 3 * read, 0.1)


def predicting(member: Member, inputs: int) -> Cost:
    """What theory of a member takes."""
    rows = min(_rows(member, inputs), MOST_ROWS)
    memory = 100.0 + 6 * 8 * rows**2 / MiB
    return Cost(_seconds("theory", member, inputs, member.networks), memory, 0.5)


def _rows(member: Member, inputs: int) -> int:
    """Inputs at the most places that a layer has."""
    if not isinstance(member.network, BlockNetwork) or member.network.input is None:
        return inputs
    sizes = map_sizes(member.network, member.outputs)
    places = (prod(member.network.input.shape[1:]), *(size.places for size, _ in sizes))
    return inputs * max(places)


def _read(member: Member, inputs: int) -> int:
    """Inputs that are recorded, places among them where all are."""
    if not isinstance(member.network, BlockNetwork) or member.network.read != ALL:
        return inputs
    return inputs * map_sizes(member.network, member.outputs)[0][0].places


def _seconds(stage: str, member: Member, inputs: int, networks: float) -> float:
    counted = counts(stage, member, inputs, networks)
    return 1e-9 * sum(p * counted[name] for name, p in PRICES[stage][kind(stage, member)].items())


def kind(stage: str, member: Member) -> str:
    """What has a list of prices of its own."""
    simple = activations.get(member.activation).is_scale_invariant
    is_ladder = isinstance(member, Ladder)
    if stage == "theory" and isinstance(member, Training):
        return "training"
    blocks = member.network is not None
    own = isinstance(member.network, OwnShape)
    if own and stage != "estimate":
        return "own ntk" if stage == "sample" and "ntk" in member.measure else "own"
    if stage == "theory" and blocks:
        return "blocks"
    if stage == "theory":
        return ("two slopes" if simple else "curved") + (", ladder" if is_ladder else "")
    if is_ladder:
        return "ladder"
    if stage == "estimate":
        return "networks"
    if isinstance(member, Training):
        return member.sampler
    if "ntk_methods" in member.measure:
        return "ntk_methods"
    if member.sampler == "scalar":
        return "scalar"
    if "gradient" in member.measure and "ntk" not in member.measure:
        return "marginal gradients" if member.sampler == "marginal" else "explicit ntk"
    if "ntk" in member.measure:
        of_blocks = blocks and member.sampler == "marginal"
        return f"{member.sampler} ntk" + (" of blocks" if of_blocks else "")
    return f"{member.sampler} blocks" if blocks else member.sampler


def counts(stage: str, member: Member, inputs: int, networks: float) -> dict[str, float]:
    """How often each of the things that cost is done."""
    count = {"sample": _drawn, "estimate": _estimated, "theory": _predicted}[stage]
    return {"member": 1.0, **count(member, inputs, networks)}


def _estimated(member: Member, inputs: int, networks: float) -> dict[str, float]:
    """Numbers that each family reads, and how many families there are."""
    inputs = _read(member, inputs)
    values = networks * len(member.layers) * len(member.rungs)
    pairs = math.comb(inputs + 1, 2)
    tangents = networks * (inputs * member.ntk_outputs) ** 2
    of_training = networks * recorded(member, inputs) / 8 * isinstance(member, Training)
    found = {
        name: (
            of_training
            if name in FROM_TRAINING
            else tangents
            if name in FROM_NTK
            else values * family.reads(inputs, member.record)
        )
        * (name in member.estimate)
        for name, family in FAMILIES.items()
    }
    found["controls"] = values * pairs * member.depth * member.controls
    found["kernels of two"] = (
        networks * len(member.rungs) * member.depth * _of_neurons(member, inputs)
    )
    return found | {"families": len(member.estimate)}


def _predicted(member: Member, inputs: int, networks: float) -> dict[str, float]:
    """Kernels and vertices, layer by layer; laws that are inverted; widths of a ladder."""
    pairs, quads = math.comb(inputs + 1, 2), math.comb(inputs + 3, 4)
    families = {*member.estimate}
    higher = families & {"four_point", "kurtosis", "ntk", "ntk_tensors", "kernel_moments"}
    laws = families & {"distribution", "log_norm", "log_kernel"}
    return {
        "kernels": member.depth * pairs,
        "vertices": member.depth * quads * bool(higher),
        "laws": len(member.layers) * len(laws),
        "sites": member.depth * inputs,
        "row pairs": member.depth * min(_rows(member, inputs), MOST_ROWS) ** 2,
        "sites of two": member.depth
        * (pairs - inputs if inputs <= 4 else 0)
        * (not activations.get(member.activation).is_scale_invariant),
        "rungs": len(member.rungs),
    }


def _drawn(member: Member, inputs: int, networks: float) -> dict[str, float]:
    """How much is drawn and computed: a normal each neuron and input; weights; activations that are
    not two lines; sums over neurons; small matrices; neurons in the backward pass, and those that a
    ladder averages over it; controls."""
    neurons, weights = _size(member)
    curved = not activations.get(member.activation).is_scale_invariant
    products = math.comb(inputs + 1, 2) * ("quartic" in member.measure)
    recorded = neurons * len(member.layers) / member.depth
    learnt = {}
    if isinstance(member, Training):
        learnt = learning(member, inputs, networks, weights)
    return {
        **learnt,
        "networks": networks,
        "layers": networks * member.depth,
        "normals": networks * neurons * inputs,
        "weights": networks * weights,
        "curves": networks * neurons * inputs * curved,
        "sums": networks * recorded * (inputs + 2 * products),
        "matrices": networks * member.depth * len(member.rungs) * inputs**2,
        **_of_blocks(member, inputs, networks),
        "ways": networks * neurons * inputs * (1 + member.ntk_outputs),
        "tangents": networks * neurons * inputs * ("ntk_mean" in member.estimate),
        "controls": networks
        * neurons
        * inputs
        * member.controls
        * (not _of_neurons(member, inputs)),
        **grown(member, inputs),
    }


def _of_blocks(member: Member, inputs: int, networks: float) -> dict[str, float]:
    """Of networks made of blocks, what the marginal sampler draws: without weights, and with them
    where rows (inputs at all places) are no fewer than what a matrix multiplies."""
    if not isinstance(member.network, BlockNetwork):
        return dict.fromkeys(("factors", "drawn", "multiplied"), 0.0)
    names = ("normals", "products", "matrices", "factors", "drawn", "multiplied", "patches")
    own = dict.fromkeys(names, 0.0)
    for size, count in map_sizes(member.network, member.outputs):
        rows, neurons = inputs * size.places, size.drawn(member.sampler, inputs) * count
        with_weights = size.has_weights(member.sampler, inputs)
        # A weight's products with a few rows cost nothing beside drawing it; of many they do.
        if size.places > 1 and with_weights:
            own["multiplied"] += rows * size.fan_in * neurons
            own["patches"] += rows * size.fan_in * count
        if with_weights:
            own["drawn"] += size.fan_in * neurons
            continue
        own["normals"] += rows * neurons
        own["products"] += rows**2 * neurons * (rows > 2)
        # Those of many rows are taken apart by a library (sampling/layers/many_rows.py).
        own["matrices" if rows <= 8 else "factors"] += rows**2 * count
    marginal = member.sampler == "marginal"
    kept = own if marginal else {name: own[name] for name in ("multiplied", "patches")}
    return {name: networks * value for name, value in kept.items()}


def _size(member: Member) -> tuple[int, int]:
    """Neurons and weights of a network, of all rungs of a ladder together."""
    if isinstance(member.network, OwnShape):
        # Of what a module holds its layers tell as much as this.
        widths = (member.width, *member.network.sizes)
        return sum(widths), sum(a * b for a, b in itertools.pairwise(widths))
    if member.network is not None:
        maps = map_sizes(member.network, member.outputs)
        neurons = sum(s.drawn(member.sampler) * s.places * count for s, count in maps)
        return neurons, sum(size.fan_in * size.fan_out * count for size, count in maps)
    if member.hidden:
        widths = (*member.hidden, member.outputs)
        return sum(widths), sum(a * b for a, b in itertools.pairwise((widths[0], *widths)))
    neurons = weights = 0
    # In a hundred thousand layers of a width there is nothing to add up.
    inner = member.depth - 1
    for width in member.rungs:
        last = width if isinstance(member, Ladder) else member.outputs
        neurons += inner * width + last
        weights += inner * width * width + (width if inner else 1) * last
    return neurons, weights


def _of_neurons(member: Member, inputs: int) -> bool:
    """Whether the controls of a ladder are made of tables over the kernels of two inputs."""
    return inputs == 2 and member.controls and "ntk_mean" not in member.estimate


def recorded(member: Member, inputs: int) -> float:
    """Bytes that a network leaves in a file of samples."""
    inputs = _read(member, inputs)
    layers, pairs = len(member.layers), math.comb(inputs + 1, 2)
    number = 8 * len(member.rungs) * layers
    total = 8.0
    if isinstance(member, Ladder):
        return total + number * pairs * (2 + 4 * member.controls)
    if isinstance(member, Training):
        known = len(member.train.moments) * member.outputs
        between = member.train.recorded_kernels(member.training_inputs, inputs)
        return total + 16 * known * (2 * inputs + layers * math.comb(between + 1, 2))
    if "preactivations" in member.measure:
        total += layers * inputs * (4 * member.record + 8 * inputs)
        total += number * math.comb(inputs + 3, 4) * ("quartic" in member.measure)
        total += (
            number * inputs * (1 + len({"sextic", "gradient", "entropy"} & set(member.measure)))
        )
    elif "log_norm" in member.measure:
        total += number * inputs
    if "ntk" in member.measure:
        total += 8 * (inputs * member.ntk_outputs) ** 2 * (1 + member.ntk_outputs)
    return total


def _tile(member: Member, inputs: int) -> float:
    """MiB of the networks that are computed together."""
    if {"ntk", "ntk_methods", "gradient", "jacobian"} & set(member.measure):
        return 1024 * (GRADIENT_MEMORY if "ntk" not in member.measure else member.memory)
    if isinstance(member.network, BlockNetwork) and member.network.input is not None:
        sizes = [size for size, _ in map_sizes(member.network, member.outputs)]
        numbers = placed_numbers(member.sampler, sizes, inputs)
        return COMPILING + 60.0 + 2 * 4 * max(2**22, numbers) / MiB
    if isinstance(member, Training) and member.sampler == "marginal training":
        # Rows of two bases and what became of them, with room for as many more.
        rows = 8 * member.block * kept(member, inputs) * max(member.depth - 2, 0)
        return 40.0 + 4 * rows * member.block_width / MiB
    if member.sampler == "explicit":
        # A block, or one network where its weights fill more than a block.
        return 40.0 + 2 * 4 * max(2**22, member.block_width**2) / MiB
    return COMPILING + 60.0


def comparing(members: int) -> Cost:
    """What the table of a study of so many members takes."""
    return Cost(0.2 + 0.06 * members, 50.0 + members, 1.0)


def drawing(members: int, figures: int) -> Cost:
    """What the figures of a study take."""
    return Cost(0.05 * members + 1.2 * figures, 50.0 + members, 0.2 * figures)
