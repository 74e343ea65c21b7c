"""A convolution in drawn networks: one matrix on patches, and the patches put together again."""

from __future__ import annotations

import torch

from finitewidth.models.layers.convolution import Convolution
from finitewidth.sampling.layers.patches import Patches, folded
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Convolution, before: Rows, draw: Draw) -> Rows:
    seen = Patches(layer, before.values, before.shape)
    return Rows(draw(layer, seen), layer.shape_after(before.shape))


@pull_back.register
def _pull_back(layer: Convolution, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    """Sums over the patches that a place stands in; ``back`` is by patches."""
    networks, outputs = back.shape[:2]
    places = torch.Size(after.shape[1:]).numel()
    patches = back.reshape(-1, places, layer.fan_in).transpose(1, 2)
    by_place = folded(layer, patches, before.shape).flatten(2).transpose(1, 2)
    return by_place.reshape(networks, outputs, -1, layer.channels)
