"""A dense map: every neuron sees all channels of a place."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Map, Shape, fit


@dataclass(frozen=True, kw_only=True)
class Dense(Map):
    """z_i = b_i + sum_j W_ij s_j of ``neurons`` neurons, for a vector s of ``inputs`` numbers.

    Where what comes in has places, every place is such a vector, and all have the same weights.
    """

    inputs: int
    neurons: int
    C_b: float = 0.0
    C_W: float = 1.0
    weights: str = "normal"

    @property
    def fan_in(self) -> int:
        """Numbers of the vector."""
        return self.inputs

    @property
    def fan_out(self) -> int:
        """Neurons."""
        return self.neurons

    def shape_after(self, shape: Shape) -> Shape:
        """The neurons, at the same places."""
        if shape[0] != self.inputs:
            raise fit(self, shape, f"{self.inputs} channels")
        return (self.neurons, *shape[1:])

    def describe(self) -> str:
        """Its name and sizes."""
        return f"dense {self.inputs} -> {self.neurons}"
