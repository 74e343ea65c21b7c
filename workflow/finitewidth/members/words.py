"""What a member's networks are in a few words and numbers, for tables and attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from finitewidth.members.stages import Described, Named
from finitewidth.members.trained import TrainedNetworks
from finitewidth.models.block_shapes import (
    ActivationStep,
    AttentionStep,
    BlockNetwork,
    BlockShape,
    ConvStep,
    NormStep,
    PoolStep,
    Step,
)
from finitewidth.models.own_network import OwnShape

#: What every row of a table says of its networks, in this order.
NETWORK = ("network", "activation", "depth", "width", "C_b", "C_W")


@dataclass(frozen=True, kw_only=True)
class Free(Named):
    """Networks that are no member of a study file, by what is said of them, word by word."""

    said: dict[str, Any]
    swept: dict[str, Any] = field(default_factory=dict)


def network(about: Described | TrainedNetworks | Free) -> dict[str, Any]:
    """What a member's networks are: a value for each word of ``NETWORK``.

    ``width`` is that of the widest hidden layer. What the law of the weights does not have is None.
    """
    if isinstance(about, Free):
        return {word: about.said.get(word) for word in NETWORK}
    if isinstance(about, TrainedNetworks):
        # Trained networks have ReLU and no biases (docs/architecture.md).
        return {
            "network": _trained(about),
            "activation": "relu",
            "depth": len(about.hidden) + 1,
            "width": max(about.hidden, default=None),
            "C_b": 0.0,
            "C_W": float(about.C_W),
        }
    own = isinstance(getattr(about, "network", None), OwnShape)
    return {
        "network": _words(about),
        "activation": None if own else about.activation,
        "depth": about.depth,
        "width": about.width,
        "C_b": about.C_b,
        # torch's own law: each layer has its own variance of biases, 1/(3 fan-in).
        "C_W": 1 / 3 if about.weights == "pytorch" and about.C_W is None else about.C_W,
    }


def _trained(about: TrainedNetworks) -> str:
    if about.mlp:
        return f"perceptron {'-'.join(map(str, about.mlp))}"
    assert about.cnn is not None
    cnn = about.cnn
    channels = "-".join(map(str, cnn.channels))
    return f"convolutions {channels}, kernel {cnn.kernel}, stride {cnn.stride}"


def _words(about: Described) -> str:
    blocks = getattr(about, "network", None)
    if isinstance(blocks, OwnShape):
        return f"module {blocks.own}"
    if blocks is not None:
        return _of_blocks(blocks)
    hidden = getattr(about, "hidden", None)
    return f"perceptron {'-'.join(map(str, (*hidden, about.outputs)))}" if hidden else "perceptron"


def _of_blocks(blocks: BlockNetwork) -> str:
    pooled = {"average": " of means over places", "flatten": " of all places", None: ""}
    last = blocks.readout
    end = f" and a read-out{pooled[last.pool]}" if last is not None else ""
    return f"{_several([_block(block) for block in blocks.blocks])}{end}"


def _several(each: list[str]) -> str:
    """Words of blocks; of blocks that come again in one order those of the first time."""
    for period in range(1, len(each) // 2 + 1):
        times = len(each) // period
        if each == each[:period] * times:
            return f"{times} times ({', '.join(each[:period])})"
    return ", ".join(each)


def _block(block: BlockShape) -> str:
    branch = ", ".join(map(_step, block.branch))
    skip = "" if block.gamma == 0 else "z + " if block.gamma == 1 else f"{block.gamma:.6g} z + "
    times = f"{block.beta:.6g} " if block.beta != 1 else ""
    after = f", then {block.after.norm} norm" if block.after is not None else ""
    return f"{block.repeat} blocks {skip}{times}({branch}){after}"


def _step(step: Step) -> str:
    if isinstance(step, NormStep):
        return f"{step.norm} norm"
    if isinstance(step, ActivationStep):
        return step.name or "activation"
    if isinstance(step, AttentionStep):
        words = [f"{step.heads} heads of {step.head_dim}"]
        words += ["identity scores"] if step.scores == "identity" else []
        words += ["scale 1/d"] if step.scale == "full" else []
        words += ["causal"] if step.causal else []
        return f"attention ({', '.join(words)})"
    if isinstance(step, PoolStep):
        return f"means over {step.average} places a side"
    if isinstance(step, ConvStep):
        stride = f", stride {step.stride}" if step.stride > 1 else ""
        return f"convolution (kernel {step.kernel}{stride}, {step.padding} padding)"
    return "dense"
