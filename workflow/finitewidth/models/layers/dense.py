"""A dense map: every neuron sees all of a vector."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Map, Shape, fit


@dataclass(frozen=True, kw_only=True)
class Dense(Map):
    """z_i = b_i + sum_j W_ij s_j of ``neurons`` neurons, for a vector s of ``inputs`` numbers."""

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
        """A vector of the neurons."""
        if shape != (self.inputs,):
            raise fit(self, shape, f"vectors of {self.inputs}")
        return (self.neurons,)

    def describe(self) -> str:
        """Its name and sizes."""
        return f"dense {self.inputs} -> {self.neurons}"
