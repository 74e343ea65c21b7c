"""The norm by the root mean square over channels."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Layer, Shape


@dataclass(frozen=True)
class RmsNorm(Layer):
    """h = z/sqrt(mean over channels of z^2 + eps), at every place by itself; 0 of a dead row."""

    eps: float = 0.0

    def shape_after(self, shape: Shape) -> Shape:
        """The same."""
        return shape

    def describe(self) -> str:
        """Its name."""
        return f"RMS norm{f' (eps {self.eps:g})' if self.eps else ''}"
