"""Positional vectors in drawn networks."""

from __future__ import annotations

import torch

from finitewidth.models.layers.positions import Positions
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Positions, before: Rows, draw: Draw) -> Rows:
    inputs = before.values.shape[1] // layer.tokens
    which = torch.eye(layer.tokens, dtype=before.values.dtype, device=before.values.device)
    return Rows(draw(layer, which.repeat(inputs, 1)[None]), before.shape)


@pull_back.register
def _pull_back(layer: Positions, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    """Which token it is does not depend on what stands there."""
    return back.new_zeros(*back.shape[:-1], layer.neurons)
