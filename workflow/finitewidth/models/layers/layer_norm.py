"""The norm by mean and variance over channels."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Layer, Shape, fit


@dataclass(frozen=True)
class LayerNorm(Layer):
    """h = (z - mean)/sqrt(variance + eps), both over channels; 0 of a row without variance.

    Every place has its own mean and variance. There are no gains and no shifts.
    """

    eps: float = 0.0

    def shape_after(self, shape: Shape) -> Shape:
        """The same; one channel alone has no variance."""
        if shape[0] < 2:
            raise fit(self, shape, "two channels or more")
        return shape

    def describe(self) -> str:
        """Its name."""
        return f"layer norm{f' (eps {self.eps:g})' if self.eps else ''}"
