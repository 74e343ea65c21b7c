"""A block in drawn networks: the stream is kept, and what its branch gives is added to it."""

from __future__ import annotations

from dataclasses import replace

import torch

from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Map
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.sampling.layers.steps import Draw, Rows, forward

#: Kinds whose steps write into memory of their own.
_KEEPING = (Map, RmsNorm, LayerNorm)


@forward.register
def _forward(layer: Block, before: Rows, draw: Draw) -> Rows:
    """The stream itself goes on: drawn anew from its Gram matrix it would have another law."""
    if not layer.gamma:
        after = _branch(layer, before, draw)
        return after if layer.beta == 1 else replace(after, values=after.values * layer.beta)
    keep = before.values if before.owned else before.values.clone()
    seen = keep if isinstance(layer.branch[0], _KEEPING) else keep.clone()
    after = _branch(layer, Rows(seen, before.shape), draw)
    if len(keep) < len(after.values):
        # Inputs themselves are those of one network.
        keep = keep.expand_as(after.values).clone()
    keep = keep if layer.gamma == 1 else keep.mul_(layer.gamma)
    values = keep.add_(after.values, alpha=layer.beta)
    return Rows(values, after.shape, owned=True, scores=after.scores)


def _branch(layer: Block, rows: Rows, draw: Draw) -> Rows:
    scores: tuple[torch.Tensor, ...] = ()
    for inner in layer.branch:
        rows = forward(inner, rows, draw)
        scores += rows.scores
    return replace(rows, scores=scores)
