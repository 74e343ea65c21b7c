"""A convolution in drawn networks: one matrix on patches, and the patches put together again."""

from __future__ import annotations

import torch
from torch.nn import functional

from finitewidth.models.layers.convolution import Convolution
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: Convolution, before: Rows, draw: Draw) -> Rows:
    networks, inputs = before.by_place.shape[:2]
    images = before.by_place.transpose(2, 3).reshape(networks * inputs, *before.shape)
    patches = functional.unfold(images, layer.kernel, padding=layer.padding, stride=layer.stride)
    seen = patches.transpose(1, 2).reshape(networks, -1, layer.fan_in)
    return Rows(draw(layer, seen), layer.shape_after(before.shape))


@pull_back.register
def _pull_back(layer: Convolution, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    """Sums over the patches that a place stands in; ``back`` is by patches."""
    networks, outputs = back.shape[:2]
    places = torch.Size(after.shape[1:]).numel()
    patches = back.reshape(-1, places, layer.fan_in).transpose(1, 2)
    size = before.shape[1:]
    images = functional.fold(
        patches, size, layer.kernel, padding=layer.padding, stride=layer.stride
    )
    by_place = images.flatten(2).transpose(1, 2)
    return by_place.reshape(networks, outputs, -1, layer.channels)
