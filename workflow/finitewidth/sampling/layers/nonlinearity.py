"""An activation in drawn networks."""

from __future__ import annotations

import torch

from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Nonlinearity, before: Rows, draw: Draw) -> Rows:
    z = before.values
    # In the order in memory: in another, some functions of torch are slower and round otherwise.
    if z.mT.is_contiguous():
        return Rows(layer.activation.on_tensor_(torch, z.mT).mT, before.shape)
    return Rows(layer.activation.on_tensor_(torch, z), before.shape)


@pull_back.register
def _pull_back(layer: Nonlinearity, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    slope = layer.activation.derivative_on_tensor(torch, before.values, after.values)
    return back * slope[:, None]
