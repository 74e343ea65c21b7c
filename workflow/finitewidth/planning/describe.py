"""The networks of a config in words: block by block, with what is drawn of each, how, and its cost.

A row is an input, at a place where it has several; each row of a map takes a normal a neuron
without weights, and with them each neuron takes as many as it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from finitewidth.config.model import Config
from finitewidth.core.blocks import MapSize
from finitewidth.models.architecture import Architecture
from finitewidth.models.block_network import architecture_of
from finitewidth.models.block_shapes import BlockNetwork, TokenShape
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map, written
from finitewidth.models.own_network import OwnShape
from finitewidth.models.own_networks import get
from finitewidth.models.places import ALL
from finitewidth.planning import cost
from finitewidth.planning.member import Member
from finitewidth.planning.members import input_count, members


def networks_of(config: Config) -> str:
    """Every member of every ensemble, a paragraph each under its name."""
    parts = []
    for name in config.ensembles:
        for m in members(config, name):
            parts.append("\n".join(_member(config, m)))
    return "\n\n".join(parts)


def _member(config: Config, m: Member) -> Iterator[str]:
    # How many vectors a user's array has is not known before it is read.
    rows = input_count(config, m)
    inputs = config.inputs[m.inputs]
    dimension = prod(inputs.image) if inputs.image else getattr(inputs, "dimension", None)
    drawn = cost.counts("sample", m, rows, 1.0)
    seconds = cost.sampling(m, rows).seconds
    own = isinstance(m.network, OwnShape)
    kind = "a module" if own else m.activation
    yield f"Ensemble {m.ensemble}, member {m.name}"
    yield f"  {kind}, n = {m.width}, {_count(m.depth, 'layer')} of results"
    named = {
        "marginal": "weights integrated out",
        "explicit": "weights drawn",
        "training": "weights drawn",
        "marginal training": "weights between hidden layers integrated out",
    }
    weights = m.sampler in ("explicit", "training")
    numbers = drawn["weights" if weights else "normals"] + drawn.get("drawn", 0)
    yield (
        f"  {m.networks} networks on {_count(rows, 'input')} ({m.inputs}); sampler {m.sampler}"
        f" ({named.get(m.sampler, 'one network in a few numbers')}); about {numbers:.3g} numbers a"
        f" network, {seconds:.2g} s in all"
    )
    if isinstance(m.network, OwnShape):
        layers = get(m.network.own).layers
        for number, (name, size) in enumerate(zip(layers, m.network.sizes, strict=True), 1):
            label = f"layer {number}"
            yield f"  {label:<26}{name or 'the network itself'}: {size} numbers"
        return
    if m.network is None:
        yield f"  perceptron: {_widths(m)}"
        return
    components = f"{dimension}" if dimension else "as many as there are"
    if m.network.input is not None:
        dimension = prod(m.network.input.shape)
        kept = "every place" if m.network.read == ALL else f"that of the {_read(m)}"
        yield f"  input: {written(m.network.input.shape)}; layers keep {kept}"
    else:
        yield f"  input: {components} components"
    yield from _layers(architecture_of(m, dimension or 1), m, rows, known=dimension is not None)


def _read(m: Member) -> str:
    """Which place is recorded of layers that have several."""
    assert isinstance(m.network, BlockNetwork)
    place = "token" if isinstance(m.network.input, TokenShape) else "place"
    return {"centre": "centre", "first": f"first {place}", "last": f"last {place}"}[m.network.read]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _widths(m: Member) -> str:
    """The widths of a perceptron in words."""
    if m.ladder:
        return f"{m.depth} layers of {', '.join(map(str, m.ladder))} neurons, together"
    if m.hidden:
        return f"layers of {', '.join(map(str, (*m.hidden, m.outputs)))} neurons"
    hidden = f"{_count(m.depth - 1, 'layer')} of {m.width} neurons, " if m.depth > 1 else ""
    return f"{hidden}{m.outputs} outputs"


def _layers(network: Architecture, m: Member, rows: int, known: bool) -> Iterator[str]:
    lines: list[tuple[int | None, str, str]] = []
    sizes = iter(network.map_sizes)
    for place, layer in enumerate(network.layers, 1):
        number = network.ends.index(place) + 1 if place in network.ends else None
        shape = network.shapes[place]
        numbers = sum(_drawn(one, next(sizes), m, rows) for one in layer.maps)
        first = place == 1
        told = f", {numbers} numbers" if numbers and (known or not first) else ""
        name = layer.name if isinstance(layer, Block) else ""
        lines.append((number, name, f"{_words(layer, known or not first)}: {written(shape)}{told}"))
    yield from _folded(lines)


def _words(layer: Layer, known: bool) -> str:
    return layer.describe() if known else layer.describe().replace("dense 1 ->", "dense ->")


def _drawn(layer: Map, size: MapSize, m: Member, inputs: int) -> int:
    """Numbers that one network takes for one matrix and its biases."""
    if size.has_weights(m.sampler, inputs):
        return layer.fan_out * (layer.fan_in + bool(layer.C_b))
    return inputs * size.places * size.drawn(m.sampler, inputs)


def _folded(lines: list[tuple[int | None, str, str]]) -> Iterator[str]:
    """Lines of layers, those of blocks that are alike as one."""
    start = 0
    while start < len(lines):
        stop = start + 1
        while stop < len(lines) and lines[stop][1:] == lines[start][1:]:
            stop += 1
        first, last = lines[start][0], lines[stop - 1][0]
        label = f"layers {first} to {last}" if first != last else f"layer {first}"
        name = f" ({lines[start][1]})" if lines[start][1] else ""
        head = ("" if first is None else label) + name
        yield f"  {head.strip():<26}{lines[start][2]}"
        start = stop
