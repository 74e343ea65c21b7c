"""Blocks of a stream, for pairs of inputs."""

from __future__ import annotations

from finitewidth.models.layers.block import Block
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step


@step.register
def _block(layer: Block, before: Pairs, rates: RatesLeft) -> Pairs:
    """gamma^2 times the one plus beta^2 times the other, of both kernels: a matrix in the branch is
    fresh, so that the two are uncorrelated."""
    after = before
    for inner in layer.branch:
        after = step(inner, after, rates)
    skip, branch = layer.gamma**2, layer.beta**2
    nngp, ntk = branch * after.nngp, None if after.ntk is None else branch * after.ntk
    if layer.gamma:
        nngp += skip * before.nngp
        if ntk is not None:
            assert before.ntk is not None
            ntk += skip * before.ntk
    return after.with_kernels(nngp, ntk)
