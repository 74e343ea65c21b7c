"""What is known of a network before any inputs: whether it has kernels, and what they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.theory.layers.attention import scores_of
from finitewidth.theory.pairs.state import has_step

#: The kinds of layers whose steps ask for variances.
WITH_SITE = (Nonlinearity, RmsNorm, LayerNorm)


@dataclass(frozen=True)
class Plan:
    """How pairs of inputs go through the first layers of a network.

    Attributes
    ----------
    shape : tuple of int
        Of one input.
    layers : tuple of Layer
        Those up to the layer of results.
    every_pair : tuple of bool
        Before each layer, and after the last: whether all pairs of places are wanted of two
        inputs, or equal places alone.
    own_pairs : tuple of bool
        The same of an input with itself, whose variances activations and norms ask for.
    own_layers : int
        How many layers an input goes through by itself: up to the last that asks.
    largest : int
        Numbers that a pair of inputs takes where it takes most.
    joint : bool
        Whether a layer is of a kind that takes all rows at once.
    """

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    every_pair: tuple[bool, ...]
    own_pairs: tuple[bool, ...]
    own_layers: int
    largest: int
    joint: bool

    @classmethod
    def of(cls, network: Architecture, layer: int) -> Plan:
        """For a layer of results, counted from 1.

        Raises
        ------
        ValueError
            In one sentence, where the kernel of infinite width is not known.
        """
        end = network.ends[layer - 1]
        layers, shapes = network.layers[:end], network.shapes[: end + 1]
        _check_laws(network)
        joint = not all(_by_pairs(one, prod(network.shape[1:])) for one in _each(layers))
        if not joint:
            _check_gaussian(layers)
        places = [prod(shape[1:]) for shape in shapes]
        every = _wanted(layers, places[-1] > 1, [True] * end)
        asking = [k for k, one in enumerate(layers, 1) if _asks(one)]
        last = max(asking, default=0)
        later = [any(_asks(one) for one in layers[k:]) for k in range(end)]
        own = _wanted(layers, False, later)
        sizes = [p * p if full else p for p, full in zip(places, every, strict=True)]
        mine = [p * p if full else p for p, full in zip(places, own, strict=True)]
        return cls(network.shape, layers, every, own, last, max(*sizes, *mine), joint)


def _each(layers: Iterable[Layer]) -> Iterator[Layer]:
    """All layers, those in branches in place of their blocks."""
    for layer in layers:
        yield from _each(layer.branch) if isinstance(layer, Block) else (layer,)


def _by_pairs(layer: Layer, tokens: int) -> bool:
    """Whether it has a step for pairs of inputs: of attention, where no softmax is integrated."""
    return has_step(layer) and not (
        isinstance(layer, Attention) and scores_of(layer, tokens) is None
    )


def _asks(layer: Layer) -> bool:
    return any(isinstance(one, WITH_SITE) for one in _each([layer]))


def _wanted(layers: Sequence[Layer], at_end: bool, counts: Sequence[bool]) -> tuple[bool, ...]:
    """Before each layer and after the last, whether all pairs of places are wanted.

    ``counts`` says of each layer whether means over its places, or attention, matter.
    """
    found = [at_end]
    for layer, matters in zip(reversed(layers), reversed(counts), strict=True):
        inside = list(_each([layer]))
        pools = any(isinstance(one, AveragePool) and one.window != (1, 1) for one in inside)
        flattens = any(isinstance(one, Flatten) for one in inside)
        mixes = any(isinstance(one, Attention) for one in inside)
        found.append(((pools or mixes) and matters) or (found[-1] and not flattens))
    return tuple(found[::-1])


def _check_laws(network: Architecture) -> None:
    """Refuse weights that do not become Gaussian."""
    # Of a first layer the fan-in stays finite, and uniform biases stay uniform at any width.
    first, *others = network.maps
    if first.weights != "normal" or any(m.weights != "normal" and m.C_b for m in others):
        raise ValueError(
            f"weights: given {network.maps[0].weights}, kernels of infinite width are those of"
            " normal weights: give the network weights='normal' with C_W and C_b"
        )


def _check_gaussian(layers: Iterable[Layer]) -> None:
    """Refuse what has no known kernel: channels that are not Gaussian where they have to be."""
    _gaussian_after(layers, False)


def _gaussian_after(layers: Iterable[Layer], gaussian: bool) -> bool:
    for layer in layers:
        if isinstance(layer, Map | Attention):
            gaussian = True
        elif isinstance(layer, Nonlinearity):
            _refuse_unless(gaussian, f"the activation {layer.name} stands")
            gaussian = False
        elif isinstance(layer, LayerNorm):
            _refuse_unless(gaussian, "a layer norm stands")
        elif isinstance(layer, Block):
            after = _gaussian_after(layer.branch, gaussian)
            if layer.gamma:
                if not (any(layer.maps) and (gaussian or after)):
                    raise ValueError(
                        "the kernel of infinite width is not known: a skip is added to a branch"
                        " that it is correlated with"
                    )
                gaussian = gaussian and after
            else:
                gaussian = after
    return gaussian


def _refuse_unless(gaussian: bool, what: str) -> None:
    if not gaussian:
        raise ValueError(
            f"the kernel of infinite width is not known: {what} where channels are not Gaussian, as"
            " those of inputs and those after an activation without a map are not"
        )
