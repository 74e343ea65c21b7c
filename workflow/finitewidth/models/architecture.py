"""An architecture: a list of layers, and with each of them the law of its weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from finitewidth.models.layers.layer import Layer, Map, Shape, written


@dataclass(frozen=True)
class Architecture:
    """The layers that an input goes through, one after the other.

    Attributes
    ----------
    shape : tuple of int
        Of one input: (components,) of a vector, (channels, rows, columns) of an image.
    layers : tuple of Layer

    Raises
    ------
    ValueError
        If a layer does not take what the one before it gives, or none has weights.
    """

    shape: Shape
    layers: tuple[Layer, ...]

    def __init__(self, shape: Iterable[int], layers: Iterable[Layer]) -> None:
        # Frozen, and lists are as good as tuples.
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "layers", tuple(layers))
        if not self.shapes or not self.maps:
            raise ValueError("an architecture needs a layer with weights")

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

    def describe(self) -> str:
        """One line a layer: what it is, and the shape after it."""
        lines = [f"input: {written(self.shape)}"]
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            lines.append(f"{layer.describe()}: {written(shape)}")
        return "\n".join(lines)
