"""An activation function, applied to every number by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.models.layers.layer import Layer, Shape


@dataclass(frozen=True)
class Nonlinearity(Layer):
    """s = sigma(z), of the activation that :mod:`finitewidth.models.activations.table` knows."""

    name: str

    @cached_property
    def activation(self) -> Activation:
        """The function itself; raises ``ValueError`` where there is none of that name."""
        return get(self.name)

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def describe(self) -> str:
        """Its name."""
        return self.name
