"""Perceptrons as a study file describes them: all of one width, by their widths, or a ladder."""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.block_shapes import BlockNetwork
from finitewidth.models.own_network import OwnShape


@dataclass(frozen=True, kw_only=True)
class PerceptronShape:
    """What fixes the law of a member's networks, but for the dimension of their inputs.

    Attributes
    ----------
    activation : str
        A name that :func:`finitewidth.models.activations.table.get` knows.
    weights : str
        One of ``layer.WEIGHT_LAWS``.
    C_W, C_b : float or None
        None where the law of the weights fixes them.
    width : int
        Neurons of a hidden layer: of the widest one where they differ.
    depth, outputs : int
    """

    activation: str
    weights: str
    C_W: float | None
    C_b: float | None
    width: int
    depth: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class OneWidth(PerceptronShape):
    """Networks that all have the same widths.

    ``hidden`` are those of the hidden layers, where they differ; ``network`` is what it is made of
    where it is no perceptron: then ``depth`` counts layers of results. ``ladder`` is what tells
    this kind from the other in plain data.
    """

    hidden: tuple[int, ...] | None
    network: BlockNetwork | OwnShape | None = None
    ladder: None = None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The one width."""
        return (self.width,)

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of all its activations."""
        own = self.network.activations if self.network is not None else []
        return tuple(dict.fromkeys((self.activation, *own)))


@dataclass(frozen=True, kw_only=True)
class ManyWidths(PerceptronShape):
    """A ladder: the same networks at several widths, ``ladder``, of every layer of theirs."""

    ladder: tuple[int, ...]
    hidden: None = None
    network: None = None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The widths, as often as they are given."""
        return self.ladder

    @property
    def activations(self) -> tuple[str, ...]:
        """The name of its activation."""
        return (self.activation,)
