"""Networks made of blocks, as a study file describes them with every number put in.

An embedding, blocks one after another, and a read-out. Layer l of the results is the stream after
block l; the read-out, where there is one, is the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class MapLaw:
    """C_W and C_b of a map; None are those of the ensemble."""

    C_W: float | None = None
    C_b: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """The places of an input, (rows, columns) or (along a line,), and the channels at each."""

    positions: tuple[int, ...]
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns; a line is one row."""
        rows, columns = (1, *self.positions)[-2:]
        return self.channels, rows, columns


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """The tokens of an input, and the channels of each."""

    tokens: int
    channels: int

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and tokens."""
        return self.channels, self.tokens


@dataclass(frozen=True, kw_only=True)
class DenseStep:
    """A dense map to ``neurons``, at every place; C_W and C_b None are those of the ensemble."""

    step: Literal["dense"] = "dense"
    neurons: int
    C_W: float | None = None
    C_b: float | None = None


@dataclass(frozen=True, kw_only=True)
class ConvStep:
    """A convolution to ``neurons`` channels, with patches of ``kernel`` places a side (an odd
    number), padded so that at stride 1 no place is lost."""

    step: Literal["conv"] = "conv"
    neurons: int
    kernel: int
    stride: int = 1
    padding: Literal["circular", "zero"] = "circular"
    C_W: float | None = None
    C_b: float | None = None


@dataclass(frozen=True, kw_only=True)
class AttentionStep:
    """Attention to ``neurons`` channels; C_q to C_o are (C_W, C_b) of its maps, None of those that
    are the ensemble's."""

    step: Literal["attention"] = "attention"
    neurons: int
    heads: int
    head_dim: int
    scale: Literal["sqrt", "full"] = "sqrt"
    causal: bool = False
    scores: Literal["softmax", "identity"] = "softmax"
    query: MapLaw
    key: MapLaw
    value: MapLaw
    output: MapLaw


@dataclass(frozen=True, kw_only=True)
class PoolStep:
    """Means over windows of ``average`` places a side, which do not overlap."""

    step: Literal["pool"] = "pool"
    average: int


@dataclass(frozen=True, kw_only=True)
class ActivationStep:
    """An activation; that of the ensemble where ``name`` is None."""

    step: Literal["activation"] = "activation"
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class NormStep:
    """A norm over channels: ``rms`` or ``layer``."""

    step: Literal["norm"] = "norm"
    norm: Literal["rms", "layer"]
    eps: float = 0.0


MapStep = DenseStep | ConvStep | AttentionStep
Step = DenseStep | ConvStep | AttentionStep | PoolStep | ActivationStep | NormStep


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """``repeat`` blocks, z' = norm(gamma z + beta F(z)).

    Attributes
    ----------
    name : str
    repeat : int
    gamma, beta : float
        ``gamma`` 0 is no skip.
    branch : tuple of Step
        F; a norm before the branch is its first step.
    after : NormStep or None
        The norm of the sum.
    """

    name: str
    repeat: int
    gamma: float
    beta: float
    branch: tuple[Step, ...]
    after: NormStep | None = None


@dataclass(frozen=True, kw_only=True)
class Readout:
    """What follows the last block: norm, activation, means over places or all of them in one
    vector, and the last map, each where there is one."""

    norm: NormStep | None = None
    activation: ActivationStep | None = None
    pool: Literal["average", "flatten"] | None = None
    C_W: float | None = None
    C_b: float | None = None


@dataclass(frozen=True, kw_only=True)
class BlockNetwork:
    """The whole: an embedding of n neurons, blocks, and a read-out or None.

    ``input`` are the places or tokens of inputs, None of vectors; ``read`` says which of them is
    recorded of layers that have several; ``positions`` is the variance of positional vectors.
    """

    embed: DenseStep | ConvStep
    blocks: tuple[BlockShape, ...]
    readout: Readout | None
    input: ImageShape | TokenShape | None = None
    read: str = "centre"
    positions: float = 0.0

    @property
    def wants_places(self) -> bool:
        """Whether inputs have to be images, or tokens."""
        steps = [self.embed, *(step for block in self.blocks for step in block.branch)]
        pooled = self.readout is not None and self.readout.pool is not None
        return pooled or any(isinstance(step, ConvStep | PoolStep) for step in steps)

    @property
    def wants_tokens(self) -> bool:
        """Whether inputs have to be tokens."""
        steps = [step for block in self.blocks for step in block.branch]
        return bool(self.positions) or any(isinstance(step, AttentionStep) for step in steps)

    def widths(self, outputs: int) -> list[int]:
        """Channels of every layer of results, ``outputs`` of them in a read-out."""
        found, channels = [], self.embed.neurons
        for block in self.blocks:
            for step in block.branch:
                channels = step.neurons if isinstance(step, MapStep) else channels
            found += [channels] * block.repeat
        return [*found, outputs] if self.readout is not None else found

    @property
    def proportions(self) -> tuple:
        """What networks of different n share that are alike: widths are those in units of n."""
        n = self.embed.neurons

        def alike(step: Step) -> tuple:
            values = dict(vars(step))
            if isinstance(step, MapStep):
                values["neurons"] = step.neurons / n
            if isinstance(step, AttentionStep):
                values |= {"heads": step.heads / n, "head_dim": step.head_dim / n}
            return tuple(values.items())

        each = [
            (b.repeat, b.gamma, b.beta, b.after, tuple(map(alike, b.branch))) for b in self.blocks
        ]
        return alike(self.embed), tuple(each), self.readout, self.input, self.read, self.positions

    @property
    def activations(self) -> list[str]:
        """Names of those that are not the ensemble's."""
        steps: list[Step | None] = [step for block in self.blocks for step in block.branch]
        steps += [self.readout.activation] if self.readout is not None else []
        named = [step.name for step in steps if isinstance(step, ActivationStep) and step.name]
        return list(dict.fromkeys(named))

    @property
    def layers(self) -> int:
        """How many layers of results there are."""
        return sum(block.repeat for block in self.blocks) + (self.readout is not None)
