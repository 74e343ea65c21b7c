"""Attention: every token takes a mean of the values of others, weighted by queries and keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer import Layer, Map, Shape, fit

#: What queries and keys are divided by, and what becomes of their products: what a study file
#: calls them.
SCALES = ("sqrt", "full")
SCORES = ("softmax", "identity")


@dataclass(frozen=True, kw_only=True)
class Heads(Dense):
    """The matrix of the queries, keys or values of all heads, one head's numbers after another's.

    ``part`` is ``query``, ``key`` or ``value``; ``neurons`` are heads times numbers of a head.
    """

    heads: int
    part: str

    @property
    def head_dim(self) -> int:
        """Numbers of one head."""
        return self.neurons // self.heads


@dataclass(frozen=True, kw_only=True)
class Attention(Layer):
    """o_t = W_O [P v]_t over heads; P of a head are the scores of the logits q_t . k_s/scale.

    Attributes
    ----------
    query, key, value : Heads
        Of one number of heads and one head dimension.
    output : Dense
        Of all heads side by side.
    scale : str
        ``sqrt`` divides logits by the root of the head dimension, ``full`` by the dimension itself.
    causal : bool
        Whether a token sees itself and those before it alone.
    scores : str
        ``softmax`` over the tokens that are seen, or ``identity``, the logits themselves.

    Raises
    ------
    ValueError
        Where the four maps do not fit each other.
    """

    query: Heads
    key: Heads
    value: Heads
    output: Dense
    scale: str = "sqrt"
    causal: bool = False
    scores: str = "softmax"

    def __post_init__(self) -> None:
        sizes = {(one.inputs, one.heads, one.neurons) for one in (self.query, self.key, self.value)}
        if len(sizes) > 1 or self.output.inputs != self.value.neurons:
            raise ValueError("queries, keys and values of attention are of different sizes")
        if self.query.neurons % self.query.heads:
            raise ValueError(
                f"{self.query.heads} heads do not divide {self.query.neurons} numbers of a token"
            )
        if self.scale not in SCALES or self.scores not in SCORES:
            raise ValueError(f"attention has no scale {self.scale} with scores {self.scores}")

    @property
    def heads(self) -> int:
        """How many heads."""
        return self.query.heads

    @property
    def head_dim(self) -> int:
        """Numbers of one head."""
        return self.query.head_dim

    @property
    def over(self) -> float:
        """What a product of a query and a key is divided by."""
        return float(self.head_dim) if self.scale == "full" else self.head_dim**0.5

    def shape_after(self, shape: Shape) -> Shape:
        """The channels of the output, of the same tokens."""
        if len(shape) < 2 or shape[0] != self.query.inputs:
            raise fit(self, shape, f"tokens of {self.query.inputs} channels")
        return (self.output.neurons, *shape[1:])

    def describe(self) -> str:
        """Its name and sizes."""
        size = f"{self.heads} heads of {self.head_dim}"
        words = [size, *(["identity scores"] if self.scores == "identity" else [])]
        words += ["scale 1/d"] if self.scale == "full" else []
        words += ["causal"] if self.causal else []
        return f"attention {self.query.inputs} -> {self.output.neurons}, {', '.join(words)}"

    @property
    def maps(self) -> Iterator[Map]:
        """Queries, keys, values, output."""
        yield from (self.query, self.key, self.value, self.output)
