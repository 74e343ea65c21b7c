"""What every kind of layer is, and what those with a random matrix have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

#: The laws that weights (and biases) are drawn from: see :class:`Map`.
WEIGHT_LAWS = ("normal", "uniform", "pytorch")

#: What one input is on its way: its channels, and its tokens, or rows and columns, if any.
Shape = tuple[int, ...]


class Layer(ABC):
    """One step of a network, from arrays of one shape to arrays of another.

    A kind is a frozen dataclass. What is done with it, in theory and in samplers, stands with
    those, one step a kind.
    """

    @abstractmethod
    def shape_after(self, shape: Shape) -> Shape:
        """The shape of what comes out, for what comes in; raises ``ValueError`` if it does not fit.

        Parameters
        ----------
        shape : tuple of int
            (channels,) of a vector, (channels, rows, columns) of an image, (channels, tokens) of a
            sequence.
        """

    @abstractmethod
    def describe(self) -> str:
        """The layer in a few words, for somebody who reads a list of them."""

    @property
    def maps(self) -> Iterator[Map]:
        """The layers with a random matrix that stand in it, in the order of a forward pass."""
        return iter(())


@dataclass(frozen=True)
class Map(Layer):
    """A layer with one random matrix, out x fan-in, and a bias for each row.

    Attributes
    ----------
    C_b, C_W : float
        Var b = C_b, Var W = C_W/fan-in.
    weights : str
        ``normal``; ``uniform`` (same variances, for weights and biases); or ``pytorch``, the
        default of ``torch.nn.Linear``: uniform on +-1/sqrt(fan-in), C_W = 1/3, C_b = 1/(3 fan-in).
    """

    C_b: float
    C_W: float
    weights: str

    def __post_init__(self) -> None:
        if self.weights not in WEIGHT_LAWS:
            raise ValueError(f"weights {self.weights!r} is none of {', '.join(WEIGHT_LAWS)}")

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """Columns of the matrix: what a neuron sees."""

    @property
    @abstractmethod
    def fan_out(self) -> int:
        """Rows of the matrix: channels of what comes out."""

    @property
    def maps(self) -> Iterator[Map]:
        """Itself."""
        yield self


def fit(layer: Layer, shape: Shape, wanted: str) -> ValueError:
    """The error for a layer that does not take ``shape``; ``wanted`` is what it takes."""
    return ValueError(f"{layer.describe()} takes {wanted}, not {written(shape)}")


def written(shape: Shape) -> str:
    """A shape in words."""
    channels, *places = shape
    if len(places) == 1:
        return f"{channels} channels of {places[0]} tokens"
    on = f" on {' x '.join(map(str, places))} places" if places else ""
    return f"{channels} channels{on}"
