"""A dense map in drawn networks."""

from __future__ import annotations

import torch

from finitewidth.models.layers.dense import Dense
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Dense, before: Rows, draw: Draw) -> Rows:
    return Rows(draw(layer, before.values), (layer.neurons, *before.shape[1:]))


@pull_back.register
def _pull_back(layer: Dense, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    return back
