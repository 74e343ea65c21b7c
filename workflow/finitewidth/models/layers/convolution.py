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
    stride, padding : int
        Between patches, and zeros on every side, as of ``torch.nn.Conv2d``.
    """

    channels: int
    neurons: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: int = 0
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

    def shape_after(self, shape: Shape) -> Shape:
        """Its channels at the places where a patch fits."""
        if len(shape) != 3 or shape[0] != self.channels:
            raise fit(self, shape, f"images of {self.channels} channels")
        sizes = [n + 2 * self.padding for n in shape[1:]]
        if any(n < k for n, k in zip(sizes, self.kernel, strict=True)):
            raise fit(self, shape, f"images that a patch fits into with padding {self.padding}")
        places = [(n - k) // self.stride + 1 for n, k in zip(sizes, self.kernel, strict=True)]
        return (self.neurons, *places)

    def describe(self) -> str:
        """Its name and sizes."""
        kernel = " x ".join(map(str, self.kernel))
        steps = f", stride {self.stride}" if self.stride > 1 else ""
        zeros = f", padding {self.padding}" if self.padding else ""
        return f"convolution {self.channels} -> {self.neurons}, {kernel}{steps}{zeros}"
