"""Means over places that stand together, or over all of them."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Layer, Shape, fit


@dataclass(frozen=True)
class AveragePool(Layer):
    """Each channel's mean over windows that do not overlap; without a window over all places.

    Attributes
    ----------
    window : (int, int) or None
        Rows and columns of a window, as of ``torch.nn.AvgPool2d``; None leaves a vector.
    """

    window: tuple[int, int] | None = None

    def shape_after(self, shape: Shape) -> Shape:
        """The channels on as many places as windows fit; those must cover the image."""
        if self.window is None:
            if len(shape) < 2:
                raise fit(self, shape, "what has places")
            return shape[:1]
        if len(shape) != 3 or any(n % w for n, w in zip(shape[1:], self.window, strict=True)):
            raise fit(self, shape, "images that its windows cover")
        return (shape[0], *(n // w for n, w in zip(shape[1:], self.window, strict=True)))

    def describe(self) -> str:
        """Its name and window."""
        if self.window is None:
            return "mean over places"
        return f"mean over {' x '.join(map(str, self.window))}"
