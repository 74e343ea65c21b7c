"""Means over places in drawn networks."""

from __future__ import annotations

import torch

from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _forward(layer: AveragePool, before: Rows, draw: Draw) -> Rows:
    after = layer.shape_after(before.shape)
    if layer.window is None:
        return Rows(before.by_place.mean(2), after)
    by_window = _by_window(before.by_place, layer.window, after[1:])
    return Rows(by_window.mean((3, 5)).flatten(1, 3), after)


@pull_back.register
def _pull_back(layer: AveragePool, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    networks, outputs, _, channels = back.shape
    places = torch.Size(before.shape[1:]).numel()
    if layer.window is None:
        spread = (back / places)[:, :, :, None].expand(-1, -1, -1, places, -1)
        return spread.reshape(networks, outputs, -1, channels)
    (high, wide), (rows, columns) = layer.window, after.shape[1:]
    by_place = (back / (high * wide)).view(networks, outputs, -1, rows, 1, columns, 1, channels)
    spread = by_place.expand(-1, -1, -1, -1, high, -1, wide, -1)
    return spread.reshape(networks, outputs, -1, channels)


def _by_window(
    by_place: torch.Tensor, window: tuple[int, int], after: tuple[int, ...]
) -> torch.Tensor:
    """(networks, inputs, windows down, rows, windows along, columns, channels)."""
    networks, inputs, _, channels = by_place.shape
    (high, wide), (rows, columns) = window, after
    return by_place.reshape(networks, inputs, rows, high, columns, wide, channels)
