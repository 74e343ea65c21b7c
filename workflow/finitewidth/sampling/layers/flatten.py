"""Flattening in drawn networks."""

from __future__ import annotations

import torch

from finitewidth.models.layers.flatten import Flatten
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Flatten, before: Rows, draw: Draw) -> Rows:
    return Rows(before.by_place.transpose(2, 3).flatten(2), layer.shape_after(before.shape))


@pull_back.register
def _pull_back(layer: Flatten, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    networks, outputs, inputs, _ = back.shape
    split = back.view(networks, outputs, inputs, before.shape[0], -1)
    return split.transpose(3, 4).reshape(networks, outputs, -1, before.shape[0])
