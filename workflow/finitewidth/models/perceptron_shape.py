"""Perceptrons as a study file describes them: all of one width, by their widths, or a ladder."""

from __future__ import annotations

from dataclasses import dataclass


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

    ``hidden`` are those of the hidden layers, where they differ; ``ladder`` is what tells this kind
    from the other in plain data.
    """

    hidden: tuple[int, ...] | None
    ladder: None = None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The one width."""
        return (self.width,)


@dataclass(frozen=True, kw_only=True)
class ManyWidths(PerceptronShape):
    """A ladder: the same networks at several widths, ``ladder``, of every layer of theirs."""

    ladder: tuple[int, ...]
    hidden: None = None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The widths, as often as they are given."""
        return self.ladder
