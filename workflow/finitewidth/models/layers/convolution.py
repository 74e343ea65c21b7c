"""A convolution: the same matrix on the patch around every place of an image."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.layers.layer import Map, Shape, fit


@dataclass(frozen=True, kw_only=True)
class Convolution(Map):
    """z_ip = b_i + sum_q W_iq s_q over the patch at p, in the order (channel, row, column).

    Attributes
    ----------
    channels, neurons : int
        Channels of what comes in and of what comes out.
    kernel : (int, int)
        Rows and columns of a patch.
    stride : int
        Between patches, as of ``torch.nn.Conv2d``.
    padding : int or (int, int)
        What is put beside the places on every side; or above and below, and on the left and right.
    circular : bool
        Whether that is the image itself from its other side, else zeros.
    """

    channels: int
    neurons: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: int | tuple[int, int] = 0
    circular: bool = False
    C_b: float = 0.0
    C_W: float = 1.0
    weights: str = "normal"

    @property
    def fan_in(self) -> int:
        """Numbers of a patch."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def fan_out(self) -> int:
        """Channels of what comes out."""
        return self.neurons

    @property
    def margins(self) -> tuple[int, int]:
        """The padding above and below, and on the left and right."""
        return self.padding if isinstance(self.padding, tuple) else (self.padding, self.padding)

    def shape_after(self, shape: Shape) -> Shape:
        """Its channels at the places where a patch fits."""
        if len(shape) != 3 or shape[0] != self.channels:
            raise fit(self, shape, f"images of {self.channels} channels")
        if self.circular and any(m > n for m, n in zip(self.margins, shape[1:], strict=True)):
            raise fit(self, shape, "images at least as large as what is put beside them")
        sizes = [n + 2 * m for n, m in zip(shape[1:], self.margins, strict=True)]
        if any(n < k for n, k in zip(sizes, self.kernel, strict=True)):
            raise fit(self, shape, "images that a patch fits into with its padding")
        places = [(n - k) // self.stride + 1 for n, k in zip(sizes, self.kernel, strict=True)]
        return (self.neurons, *places)

    def describe(self) -> str:
        """Its name and sizes."""
        kernel = " x ".join(map(str, self.kernel))
        steps = f", stride {self.stride}" if self.stride > 1 else ""
        kind = "circular padding" if self.circular else "padding"
        same = len(set(self.margins)) == 1
        margins = " x ".join(map(str, self.margins[:1] if same else self.margins))
        zeros = f", {kind} {margins}" if any(self.margins) else ""
        return f"convolution {self.channels} -> {self.neurons}, {kernel}{steps}{zeros}"
