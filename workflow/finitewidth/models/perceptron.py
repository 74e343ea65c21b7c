"""Multilayer perceptrons: architectures of dense maps with one activation between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.models.architecture import Architecture, after_maps
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer import WEIGHT_LAWS, Layer
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.perceptron_shape import ManyWidths, OneWidth


@dataclass(frozen=True)
class Perceptron:
    """A multilayer perceptron, its numbers side by side, as fast samplers and finite-width theory
    take them.

    Layer l = 1..L has preactivations z^(l)_i = b_i + sum_j W_ij s_j of ``widths[l]`` neurons, where
    s is the input (l = 1) or sigma(z^(l-1)); Var b = ``C_b[l-1]``, Var W = ``C_W[l-1]``/fan-in.
    :attr:`architecture` is the same as a list of layers, and :func:`as_perceptron` the way back.

    Attributes
    ----------
    activation_name : str
        A name that :func:`finitewidth.models.activations.table.get` knows.
    widths : tuple of int
        (n_0, n_1, ..., n_L): the input's dimension, the hidden widths, the outputs.
    C_b, C_W : tuple of float
        One value a layer, length L.
    weights : str
        The law of all weights and biases, see :class:`finitewidth.models.layers.layer.Map`.
    """

    activation_name: str
    widths: tuple[int, ...]
    C_b: tuple[float, ...]
    C_W: tuple[float, ...]
    weights: str = "normal"

    def __post_init__(self) -> None:
        if not len(self.C_b) == len(self.C_W) == len(self.widths) - 1 > 0:
            raise ValueError(
                f"a perceptron of {len(self.widths)} widths needs {len(self.widths) - 1} values of"
                f" C_b and C_W each, not {len(self.C_b)} and {len(self.C_W)}"
            )
        if self.weights not in WEIGHT_LAWS:
            raise ValueError(f"weights {self.weights!r} is none of {', '.join(WEIGHT_LAWS)}")

    @classmethod
    def uniform_width(
        cls,
        activation: str,
        *,
        dimension: int,
        width: int,
        depth: int,
        C_b: float | None = 0.0,
        C_W: float | None = 1.0,
        outputs: int | None = None,
        weights: str = "normal",
    ) -> Perceptron:
        """One whose hidden layers share a width; for ``pytorch`` weights C_b, C_W are set."""
        widths = (dimension, *(width,) * (depth - 1), outputs or width)
        return cls._of_widths(activation, weights, C_b, C_W, widths)

    @classmethod
    def of_member(cls, member: OneWidth | ManyWidths, *, dimension: int) -> Perceptron:
        """That of a config's member, of a ladder at its widest; n_0 = ``dimension``."""
        m = member
        hidden = m.hidden or (m.width,) * (m.depth - 1)
        return cls._of_widths(
            m.activation, m.weights, m.C_b, m.C_W, (dimension, *hidden, m.outputs)
        )

    @classmethod
    def of_ladder(cls, member: ManyWidths, *, dimension: int) -> list[Perceptron]:
        """A ladder's rungs, which differ in their width alone."""
        m = member
        each = ((dimension, *(n,) * m.depth) for n in m.ladder)
        return [cls._of_widths(m.activation, m.weights, m.C_b, m.C_W, widths) for widths in each]

    @classmethod
    def _of_widths(
        cls,
        activation: str,
        weights: str,
        C_b: float | None,
        C_W: float | None,
        widths: tuple[int, ...],
    ) -> Perceptron:
        depth = len(widths) - 1
        if weights == "pytorch":
            biases, scales = tuple(1 / (3 * n) for n in widths[:-1]), (1 / 3,) * depth
        elif C_b is None or C_W is None:
            raise ValueError(f"weights {weights!r} need C_b and C_W, not {C_b} and {C_W}")
        else:
            biases, scales = (float(C_b),) * depth, (float(C_W),) * depth
        return cls(activation, tuple(widths), biases, scales, weights)

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return len(self.widths) - 1

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """What a neuron of each layer sees, length L."""
        return self.widths[:-1]

    @property
    def result_widths(self) -> tuple[int, ...]:
        """The same as ``widths``: every layer of a perceptron is one of results."""
        return self.widths

    @property
    def widest(self) -> int:
        """Neurons of the widest layer."""
        return max(self.widths[1:])

    @cached_property
    def activation(self) -> Activation:
        """The activation itself."""
        return get(self.activation_name)

    @cached_property
    def is_scale_invariant(self) -> bool:
        """Whether scaling the input by c > 0 scales every preactivation by c (no bias)."""
        return self.activation.is_scale_invariant and not any(self.C_b)

    @property
    def excess_kurtosis(self) -> float:
        """Excess kurtosis of one weight (and of one bias): 0 normal, -6/5 uniform."""
        return 0.0 if self.weights == "normal" else -6 / 5

    def dense(self, layer: int) -> Dense:
        """The dense map of a layer, from 1 to L."""
        return Dense(
            inputs=self.widths[layer - 1],
            neurons=self.widths[layer],
            C_b=self.C_b[layer - 1],
            C_W=self.C_W[layer - 1],
            weights=self.weights,
        )

    @property
    def layers(self) -> Iterator[Layer]:
        """Its layers in order, made one by one, as there may be a hundred thousand."""
        between = Nonlinearity(self.activation_name)
        for layer in range(1, self.depth + 1):
            if layer > 1:
                yield between
            yield self.dense(layer)

    @cached_property
    def architecture(self) -> Architecture:
        """The same as a list of layers."""
        return Architecture(self.widths[:1], self.layers)


def as_perceptron(network: Architecture | Perceptron) -> Perceptron | None:
    """What the architecture is as a perceptron, or None if it is none.

    A perceptron has dense maps of one law of weights, the last layer among them, and the same
    activation between any two. (One map alone has no activation; it counts as ``linear``.)
    """
    if isinstance(network, Perceptron):
        return network
    if network.ends != after_maps(network.layers):
        return None
    maps, between = network.layers[::2], network.layers[1::2]
    dense = [layer for layer in maps if isinstance(layer, Dense)]
    names = {layer.name for layer in between if isinstance(layer, Nonlinearity)}
    alternate = len(dense) == len(maps) == len(between) + 1
    same = len(names) == bool(between) and len({layer.weights for layer in dense}) == 1
    if not (alternate and same and all(isinstance(layer, Nonlinearity) for layer in between)):
        return None
    return Perceptron(
        names.pop() if names else "linear",
        (*network.shape, *(layer.neurons for layer in dense)),
        tuple(layer.C_b for layer in dense),
        tuple(layer.C_W for layer in dense),
        dense[0].weights,
    )
