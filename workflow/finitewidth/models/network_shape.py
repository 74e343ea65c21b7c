"""Networks that get trained as a study file describes them: a perceptron, or convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class ConvolutionShape:
    """Convolutions as a study file describes them.

    ``channels`` are those of the images and of each convolution, ``kernel`` rows and columns of a
    patch; a linear read-out follows.
    """

    channels: tuple[int, ...]
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """The network that an entry of ``trained`` describes: either a perceptron or convolutions.

    ``ensemble`` is the name of the entry, ``mlp`` the perceptron's widths, from the components of
    an image to the classes.
    """

    ensemble: str
    mlp: tuple[int, ...] | None
    cnn: ConvolutionShape | None

    @property
    def hidden(self) -> tuple[int, ...]:
        """Neurons, or channels, of each hidden layer."""
        if self.mlp:
            return self.mlp[1:-1]
        return self.cnn.channels[1:] if self.cnn else ()

    def widened(self, factor: float) -> NetworkShape:
        """The same with hidden widths times a factor, rounded as :func:`widened` does."""
        hidden = widened(self.hidden, factor)
        if self.mlp:
            return replace(self, mlp=(self.mlp[0], *hidden, self.mlp[-1]))
        assert self.cnn is not None
        cnn = replace(self.cnn, channels=(self.cnn.channels[0], *hidden))
        return replace(self, cnn=cnn)


def widened(widths: Sequence[int], factor: float) -> list[int]:
    """Hidden widths times a factor, to the nearest whole number of at least 1."""
    return [max(1, round(n * factor)) for n in widths]
