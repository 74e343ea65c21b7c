"""Positional vectors: to each token one is added, the same for all inputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from finitewidth.models.layers.layer import Map, Shape, fit


@dataclass(frozen=True, kw_only=True)
class Positions(Map):
    """A matrix that multiplies which token it is, whatever the token: column t is its vector.

    It stands in the branch of a block, whose skip is the stream that vectors are added to. The
    variance of a component is C_W over the number of tokens.
    """

    tokens: int
    neurons: int
    C_b: float = 0.0
    C_W: float = 1.0
    weights: str = "normal"

    @property
    def fan_in(self) -> int:
        """Tokens."""
        return self.tokens

    @property
    def fan_out(self) -> int:
        """Channels."""
        return self.neurons

    def shape_after(self, shape: Shape) -> Shape:
        """The same: as many channels, as many tokens."""
        if len(shape) < 2 or shape[0] != self.neurons or prod(shape[1:]) != self.tokens:
            raise fit(self, shape, f"{self.tokens} tokens of {self.neurons} channels")
        return shape

    def describe(self) -> str:
        """Its name and sizes."""
        return f"positional vectors of {self.tokens} tokens"
