"""All places of an image as one vector."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from finitewidth.models.layers.layer import Layer, Shape


@dataclass(frozen=True)
class Flatten(Layer):
    """A vector in the order (channel, row, column), as ``torch.nn.Flatten`` makes it."""

    def shape_after(self, shape: Shape) -> Shape:
        """One channel a number."""
        return (prod(shape),)

    def describe(self) -> str:
        """Its name."""
        return "flatten"
