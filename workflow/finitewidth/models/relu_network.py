"""Networks of ReLU without biases, as those that get trained are computed: matrices on patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.layers.nonlinearity import Nonlinearity


@dataclass(frozen=True)
class PlacedMap:
    """A layer with weights where it stands; a dense one's patch is its whole input.

    Attributes
    ----------
    map : Map
    shape_in, shape : (int, int, int)
        Channels, rows and columns of its input, before that is flattened, and of its output.
    """

    map: Map
    shape_in: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def channels(self) -> int:
        """Channels of its input."""
        return self.shape_in[0]

    @property
    def out(self) -> int:
        """Channels of its output."""
        return self.map.fan_out

    @property
    def fan_in(self) -> int:
        """Inputs of a neuron; in the order (channel, row, column) of a patch."""
        return self.map.fan_in

    @property
    def size_in(self) -> tuple[int, int]:
        """Rows and columns of its input."""
        return self.shape_in[1:]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of its output."""
        return self.shape[1:]

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of a patch."""
        return self.map.kernel if isinstance(self.map, Convolution) else self.size_in

    @property
    def stride(self) -> int:
        """Between patches; 1 for a dense layer."""
        return self.map.stride if isinstance(self.map, Convolution) else 1

    @property
    def padding(self) -> int:
        """Zeros on every side; none for a dense layer."""
        return self.map.margins[0] if isinstance(self.map, Convolution) else 0

    @cached_property
    def is_linear(self) -> bool:
        """Whether it sees all of its input at once."""
        return self.kernel == self.size_in and self.padding == 0

    @property
    def positions(self) -> int:
        """Places at which the layer is evaluated."""
        return prod(self.size)


@dataclass(frozen=True)
class ReluNetwork:
    """An architecture of convolutions, then dense maps, with ReLU between any two and no biases.

    Raises
    ------
    ValueError
        If the architecture is another one.
    """

    architecture: Architecture

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("an architecture without layers")

    @cached_property
    def layers(self) -> tuple[PlacedMap, ...]:
        """The layers with weights, from the input to the read-out."""
        found: list[PlacedMap] = []
        shape = _image(self.architecture.shape)
        wanted: tuple[type[Layer], ...] = (Convolution, Flatten, Dense)
        for layer, after in zip(
            self.architecture.layers, self.architecture.shapes[1:], strict=True
        ):
            other = isinstance(layer, Nonlinearity) and layer.name != "relu"
            other = other or (isinstance(layer, Map) and layer.C_b != 0)
            other = other or (isinstance(layer, Dense) and len(after) > 1)
            if isinstance(layer, Convolution):
                other = other or layer.circular or len(set(layer.margins)) > 1
            if other or not isinstance(layer, wanted):
                raise ValueError(
                    f"trained networks have ReLU between layers without biases, not"
                    f" {layer.describe()} after {len(found)} layers with weights"
                )
            if isinstance(layer, Map):
                found.append(PlacedMap(layer, shape, _image(after)))
                wanted = (Nonlinearity,)
            elif isinstance(layer, Nonlinearity):
                shape = found[-1].shape
                wanted = (Convolution, Flatten, Dense)
            else:
                wanted = (Dense,)
        if wanted != (Nonlinearity,):
            raise ValueError("trained networks end with a layer with weights")
        return tuple(found)

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the images; a perceptron's are vectors, all channels."""
        return self.layers[0].shape_in

    @property
    def depth(self) -> int:
        """L, weight matrices."""
        return len(self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each representation: of the input, of each hidden layer, of the output."""
        return self.architecture.widths

    @property
    def parameters(self) -> int:
        """Weights of one network."""
        return self.architecture.parameters

    @property
    def activations(self) -> int:
        """Numbers that one image becomes on its way, the input among them."""
        return prod(self.image) + sum(layer.out * layer.positions for layer in self.layers)

    def resized(self, widths: Sequence[int]) -> ReluNetwork:
        """The same with other numbers of hidden channels, L - 1 of them."""
        channels = iter(pairwise((self.widths[0], *widths, self.widths[-1])))
        placed = iter(self.layers)
        layers: list[Layer] = []
        for layer in self.architecture.layers:
            if isinstance(layer, Dense):
                (before, after), places = next(channels), prod(next(placed).size_in)
                layer = replace(layer, inputs=before * places, neurons=after)
            elif isinstance(layer, Convolution):
                (before, after), _ = next(channels), next(placed)
                layer = replace(layer, channels=before, neurons=after)
            layers.append(layer)
        return ReluNetwork(Architecture(self.architecture.shape, layers))


def _image(shape: Sequence[int]) -> tuple[int, int, int]:
    """A shape as that of an image: a vector is one place with all channels."""
    channels, rows, columns = shape if len(shape) == 3 else (*shape, 1, 1)
    return channels, rows, columns
