"""The shape of a network without biases: a perceptron, or convolutions and a linear read-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from finitewidth.core.errors import ConfigError


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


@dataclass(frozen=True)
class Layer:
    """One weight matrix, out x fan_in; that of a convolution acts on patches.

    Attributes
    ----------
    channels, out : int
        Channels of its input and output.
    kernel : (int, int)
        Rows and columns of a patch; a linear layer's patch is its whole input.
    stride, padding : int
        1 and 0 for a linear layer.
    size_in, size : (int, int)
        Rows and columns of its input and output.
    """

    channels: int
    out: int
    kernel: tuple[int, int]
    stride: int
    padding: int
    size_in: tuple[int, int]
    size: tuple[int, int]

    @property
    def fan_in(self) -> int:
        """Inputs of a neuron; in the order (channel, row, column) of a patch."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def is_linear(self) -> bool:
        """Whether it sees all of its input at once."""
        return self.kernel == self.size_in and self.padding == 0

    @property
    def positions(self) -> int:
        """Places at which the layer is evaluated."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class Architecture:
    """The layers from the input to the read-out; ReLU stands between them."""

    layers: tuple[Layer, ...]

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the images; a perceptron's are vectors, all channels."""
        return (self.layers[0].channels, *self.layers[0].size_in)

    @property
    def depth(self) -> int:
        """L, weight matrices."""
        return len(self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each representation: of the input, of each hidden layer, of the output."""
        return (self.layers[0].channels, *(layer.out for layer in self.layers))

    @property
    def parameters(self) -> int:
        """Weights of one network."""
        return sum(layer.out * layer.fan_in for layer in self.layers)

    @property
    def activations(self) -> int:
        """Numbers that one image becomes on its way, the input among them."""
        return prod(self.image) + sum(layer.out * layer.positions for layer in self.layers)

    def resized(self, widths: Sequence[int]) -> Architecture:
        """The same with other numbers of hidden channels, L - 1 of them."""
        channels = (self.layers[0].channels, *widths, self.layers[-1].out)
        return Architecture(
            tuple(
                Layer(c, n, old.kernel, old.stride, old.padding, old.size_in, old.size)
                for old, (c, n) in zip(self.layers, pairwise(channels), strict=True)
            )
        )


def of_member(member: NetworkShape, shape: tuple[int, int, int], classes: int) -> Architecture:
    """The architecture of a member of ``trained`` on images of a shape (channels, rows, columns).

    Raises
    ------
    ConfigError
        Where the model does not fit the images or their classes.
    """
    where = f"trained.{member.ensemble}"
    if member.mlp is not None:
        return _perceptron(where, member.mlp, shape, classes)
    assert member.cnn is not None
    return _convolutional(where, member.cnn, shape, classes)


def widened(widths: Sequence[int], factor: float) -> list[int]:
    """Hidden widths times a factor, to the nearest whole number of at least 1."""
    return [max(1, round(n * factor)) for n in widths]


def _perceptron(where: str, dimensions: Sequence[int], shape: tuple, classes: int) -> Architecture:
    if dimensions[0] != prod(shape):
        raise ConfigError.at(
            f"{where}.mlp", list(dimensions), f"{prod(shape)} first, the components of an image"
        )
    if dimensions[-1] != classes:
        raise ConfigError.at(f"{where}.mlp", list(dimensions), f"{classes} last, the classes")
    one = (1, 1)
    sizes = pairwise(dimensions)
    return Architecture(tuple(Layer(a, b, one, 1, 0, one, one) for a, b in sizes))


def _convolutional(
    where: str, cnn: ConvolutionShape, shape: tuple[int, int, int], classes: int
) -> Architecture:
    channels, rows, columns = shape
    size = (rows, columns)
    if cnn.channels[0] != channels:
        raise ConfigError.at(
            f"{where}.cnn.channels",
            list(cnn.channels),
            f"{channels} first, the channels of an image",
        )
    k, stride, padding = cnn.kernel, cnn.stride, cnn.padding
    layers: list[Layer] = []
    for before, after in pairwise(cnn.channels):
        if min(size) + 2 * padding < k:
            raise ConfigError.at(
                f"{where}.cnn.kernel",
                k,
                f"at most {min(size) + 2 * padding}, the rows or columns that convolution"
                f" {len(layers) + 1} sees with padding {padding}",
            )
        rows, columns = ((n + 2 * padding - k) // stride + 1 for n in size)
        then = (rows, columns)
        layers.append(Layer(before, after, (k, k), stride, padding, size, then))
        size = then
    layers.append(Layer(cnn.channels[-1], classes, size, 1, 0, size, (1, 1)))
    return Architecture(tuple(layers))
