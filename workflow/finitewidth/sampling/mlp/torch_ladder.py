"""Ladders that torch draws: blocks under named streams, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from finitewidth.core.blocks import ladder_tile_size
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.ladder_record import Kept
from finitewidth.sampling.mlp.ladder_tiles import sample_tile
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.streams import tiles


def fill(
    mlps: Sequence[Perceptron],
    rates: Sequence[LearningRates] | None,
    x: np.ndarray,
    layers: Sequence[int],
    names: Sequence[str],
    kept: Kept,
    shard: Shard,
    *,
    precision: str,
    device: str,
    on_tile: Callable[[int, int], None],
) -> None:
    """Draw a shard of a ladder, of every rung, into ``kept``.

    Parameters
    ----------
    mlps, rates, x, layers, precision, device, on_tile
        As :func:`finitewidth.sampling.mlp.coupled_widths.sample_ladder` takes them.
    names : sequence of str
        The controls, if any.
    """
    widths = [mlp.widths[1] for mlp in mlps]
    tensor, workspace = torch.from_numpy(x).to(device), Workspace()
    summed = max(layers) - 1 if rates is not None else 0
    tile = ladder_tile_size(shard.size, widths, len(x), device, kept.numbers, summed)
    dtype = getattr(torch, precision)
    for at, streams in tiles(shard, tile, device):
        tile_kept = kept.of_tile(streams.networks, device)
        sample_tile(mlps, rates, tensor, layers, names, streams, workspace, dtype, tile_kept)
        kept.put(at, tile_kept)
        on_tile(at.stop, len(shard))
