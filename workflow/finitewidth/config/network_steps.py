"""The steps of a branch: from their keys to what stages see."""

from __future__ import annotations

import itertools

from finitewidth.config.model_network import (
    AttentionKeys,
    BlockKeys,
    ConvKeys,
    DenseKeys,
    LawKeys,
    NormKeys,
    StepKeys,
)
from finitewidth.models.block_shapes import (
    ActivationStep,
    AttentionStep,
    ConvStep,
    DenseStep,
    MapLaw,
    NormStep,
    PoolStep,
    Step,
)
from finitewidth.models.multiples import multiple_of


def steps_of(block: BlockKeys, n: int) -> list[Step]:
    """The steps of a branch; where none of them is an activation, one before each map but
    attention."""
    given = [_step(step, n) for step in block.branch]
    maps = DenseStep | ConvStep | AttentionStep | PoolStep
    if not any(isinstance(step, maps) for step in given):
        raise ValueError("a branch needs a map, such as dense or conv, or means over places")
    if not any(isinstance(step, ActivationStep) for step in given):
        with_one: list[list[Step]] = [
            [ActivationStep(), s] if isinstance(s, DenseStep | ConvStep) else [s] for s in given
        ]
        given = list(itertools.chain.from_iterable(with_one))
    # What is written as none was there to say so.
    return [s for s in given if not (isinstance(s, ActivationStep) and s.name == "none")]


def _step(step: str | StepKeys, n: int) -> Step:
    if step == "activation":
        return ActivationStep()
    if isinstance(step, str):
        return conv_step(ConvKeys(), n) if step == "conv" else DenseStep(neurons=n)
    given = [key for key in type(step).model_fields if getattr(step, key) is not None]
    if len(given) != 1:
        raise ValueError(
            f"a step of a branch has exactly one key, not {' and '.join(given) or 'none'}"
        )
    if step.activation is not None:
        return ActivationStep(name=step.activation)
    if step.norm is not None:
        norm = NormKeys(kind=step.norm) if isinstance(step.norm, str) else step.norm
        return NormStep(norm=norm.kind, eps=norm.eps)
    if step.pool is not None:
        return PoolStep(average=step.pool.average)
    if step.conv is not None:
        return conv_step(step.conv, n)
    if step.attention is not None:
        return _attention(step.attention, n)
    dense = step.dense or DenseKeys()
    return DenseStep(neurons=_neurons(dense.width, n), C_W=dense.C_W, C_b=dense.C_b)


def conv_step(given: ConvKeys, n: int) -> ConvStep:
    return ConvStep(
        neurons=_neurons(given.width, n),
        kernel=given.kernel,
        stride=given.stride,
        padding=given.padding,  # type: ignore[arg-type]
        C_W=given.C_W,
        C_b=given.C_b,
    )


def _attention(given: AttentionKeys, n: int) -> AttentionStep:
    heads = _neurons(given.heads, n)
    if given.head_dim is None and n % heads:
        raise ValueError(f"{heads} heads do not divide {n} channels")

    def law(of: LawKeys) -> MapLaw:
        return MapLaw(C_W=of.C_W, C_b=of.C_b)

    return AttentionStep(
        neurons=_neurons(given.width, n),
        heads=heads,
        head_dim=n // heads if given.head_dim is None else _neurons(given.head_dim, n),
        scale=given.scale,  # type: ignore[arg-type]
        causal=given.causal,
        scores=given.scores,  # type: ignore[arg-type]
        query=law(given.q),
        key=law(given.k),
        value=law(given.v),
        output=law(given.o),
    )


def _neurons(width: int | str | None, n: int) -> int:
    return multiple_of(n, width) if isinstance(width, str) else width or n
