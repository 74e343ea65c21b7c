"""An architecture: a list of layers, and with each of them the law of its weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from finitewidth.core.blocks import MapSize
from finitewidth.models.layers.attention import Attention, Heads
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map, Shape, written
from finitewidth.models.places import ALL, place_index


@dataclass(frozen=True)
class Architecture:
    """The layers that an input goes through, one after the other.

    Attributes
    ----------
    shape : tuple of int
        Of one input: (components,) of a vector, (channels, rows, columns) of an image, (channels,
        tokens) of a sequence.
    layers : tuple of Layer
    ends : tuple of int
        After which layers, counted from 1, a layer of results stands. Where left out, after each
        that is a map itself.
    read : str
        Which place is recorded of layers that have several (:mod:`finitewidth.models.places`), or
        ``all``.

    Raises
    ------
    ValueError
        If a layer does not take what the one before it gives, none has weights, ends do not rise
        from 1 to the number of layers, or all places are to be recorded of layers that differ in
        how many they have.
    """

    shape: Shape
    layers: tuple[Layer, ...]
    ends: tuple[int, ...]
    read: str

    def __init__(
        self,
        shape: Iterable[int],
        layers: Iterable[Layer],
        ends: Iterable[int] | None = None,
        read: str = "centre",
    ) -> None:
        # Frozen, and lists are as good as tuples.
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "layers", tuple(layers))
        after = after_maps(self.layers) if ends is None else tuple(ends)
        object.__setattr__(self, "ends", after)
        object.__setattr__(self, "read", read)
        if not self.shapes or not self.maps:
            raise ValueError("an architecture needs a layer with weights")
        if list(after) != sorted({*after} & {*range(1, len(self.layers) + 1)}):
            raise ValueError(f"ends {after} do not rise from 1 to {len(self.layers)}, the layers")
        if read == ALL and len({prod(self.shapes[end][1:]) for end in after}) > 1:
            raise ValueError(
                "all places are recorded of layers that have as many, as without a read-out"
            )

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape before the first layer, and after each."""
        shapes = [self.shape]
        for place, layer in enumerate(self.layers):
            try:
                shapes.append(layer.shape_after(shapes[-1]))
            except ValueError as error:
                raise ValueError(f"layer {place + 1} of {len(self.layers)}: {error}") from None
        return tuple(shapes)

    @cached_property
    def maps(self) -> tuple[Map, ...]:
        """The layers with weights, in the order in which a forward pass meets them."""
        return tuple(one for layer in self.layers for one in layer.maps)

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return len(self.maps)

    @property
    def result_widths(self) -> tuple[int, ...]:
        """Channels of an input, and of each layer of results."""
        return (self.shape[0], *(self.shapes[end][0] for end in self.ends))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of an input, and neurons (or channels) after each weight matrix: L + 1."""
        return (self.shape[0], *(one.fan_out for one in self.maps))

    @property
    def C_b(self) -> tuple[float, ...]:
        """Variance of the biases of each map, length L."""
        return tuple(one.C_b for one in self.maps)

    @property
    def C_W(self) -> tuple[float, ...]:
        """Variance of the weights of each map times its fan-in, length L."""
        return tuple(one.C_W for one in self.maps)

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """What a neuron of each map sees, length L."""
        return tuple(one.fan_in for one in self.maps)

    @property
    def parameters(self) -> int:
        """Weights and biases of one network; a bias of variance 0 is none."""
        return sum(one.fan_out * (one.fan_in + bool(one.C_b)) for one in self.maps)

    @cached_property
    def map_sizes(self) -> tuple[MapSize, ...]:
        """Fan-in, fan-out and places of each map, in the order of a forward pass."""
        found: list[MapSize] = []
        for layer, shape in zip(self.layers, self.shapes, strict=False):
            shapes = layer.shapes(shape) if isinstance(layer, Block) else [shape]
            inside = layer.branch if isinstance(layer, Block) else (layer,)
            for inner, before in zip(inside, shapes, strict=False):
                after = inner.shape_after(before)
                places = prod(after[1:])
                found += [
                    MapSize(m.fan_in, m.fan_out, places, m.head_dim if isinstance(m, Heads) else 0)
                    for m in inner.maps
                ]
        return tuple(found)

    @property
    def has_places(self) -> bool:
        """Whether inputs, or what becomes of them, have places."""
        return any(len(shape) > 1 for shape in self.shapes)

    @property
    def has_softmax(self) -> bool:
        """Whether tokens are weighted by a softmax somewhere."""
        inside = [
            i for one in self.layers for i in (one.branch if isinstance(one, Block) else [one])
        ]
        return any(isinstance(one, Attention) and one.scores == "softmax" for one in inside)

    @property
    def components(self) -> int:
        """Numbers of one input."""
        return prod(self.shape)

    def place_of(self, layer: int) -> int:
        """The number of the place that is recorded of a layer of results, counted from 1."""
        return place_index(self.shapes[self.ends[layer - 1]], self.read)

    @property
    def places_read(self) -> int:
        """How many places are recorded of an input: each counts as an input of its own."""
        return prod(self.shapes[self.ends[0]][1:]) if self.read == ALL else 1

    @property
    def given_shape(self) -> Shape:
        """Of one input as it is given: a sequence is (tokens, channels)."""
        return self.shape[::-1] if len(self.shape) == 2 else self.shape

    def arranged(self, x: np.ndarray) -> np.ndarray:
        """Inputs as layers take them, (inputs, *shape).

        Parameters
        ----------
        x : ndarray, shape (inputs, *shape), (inputs, components), or (inputs, tokens, channels)
            Numbers of an image stand in the order (channel, row, column), those of a sequence token
            by token.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        given = self.given_shape
        if x.ndim < 2 or x.shape[1:] not in (given, (self.components,)):
            takes = written(self.shape) if len(self.shape) > 1 else f"{self.shape[0]} inputs"
            raise ValueError(f"inputs of shape {x.shape} do not fit a network of {takes}")
        x = x.reshape(len(x), *given)
        return x.swapaxes(1, 2) if len(self.shape) == 2 else x

    def describe(self) -> str:
        """One line a layer: what it is, and the shape after it."""
        lines = [f"input: {written(self.shape)}"]
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            lines.append(f"{layer.describe()}: {written(shape)}")
        return "\n".join(lines)


def after_maps(layers: Iterable[Layer]) -> tuple[int, ...]:
    """After which of the layers, counted from 1, one that is a map itself has just come."""
    return tuple(k for k, layer in enumerate(layers, 1) if isinstance(layer, Map))
