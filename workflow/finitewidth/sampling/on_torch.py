"""Ensembles that torch draws, tile by tile: with weights, of networks of other kinds, on a GPU.

A module of its own, imported where it is used: to import torch takes a second, and what compiled
kernels draw on a processor does without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch

from finitewidth.core.blocks import (
    GRADIENT_MEMORY,
    explicit_tile_size,
    ntk_tile_size,
    placed_tile_size,
    tile_size,
)
from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.layers.gradients import gradient_tile, marginal_gradient_tile
from finitewidth.sampling.layers.jacobians import jacobian_tile, marginal_jacobian_tile
from finitewidth.sampling.layers.networks import explicit_tile, marginal_tile
from finitewidth.sampling.layers.tangents import marginal_tangent_tile, tangent_tile
from finitewidth.sampling.mlp import explicit_ntk, marginal, marginal_ntk
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.requirements import drawn_width, rows_read
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.streams import tiles

#: What samples a tile: by the sampler's name and whether the network is a perceptron.
SAMPLERS: dict[tuple[str, bool], Callable] = {
    ("marginal", True): marginal.sample_tile,
    ("marginal", False): marginal_tile,
    ("explicit", True): explicit_tile,
    ("explicit", False): explicit_tile,
}
#: The same where derivatives by layers are recorded.
_GRADIENT_SAMPLERS: dict[str, Callable] = {
    "marginal": marginal_gradient_tile,
    "explicit": gradient_tile,
}
#: The same where derivatives by the input are.
_JACOBIAN_SAMPLERS: dict[str, Callable] = {
    "marginal": marginal_jacobian_tile,
    "explicit": jacobian_tile,
}
#: The same for tangent kernels.
NTK_SAMPLERS: dict[tuple[str, bool], Callable] = {
    ("marginal", True): marginal_ntk.sample_tile,
    ("explicit", True): explicit_ntk.sample_tile,
    ("marginal", False): marginal_tangent_tile,
    ("explicit", False): tangent_tile,
}


def fill(
    network: Architecture | Perceptron,
    x: np.ndarray,
    arrays: dict[str, np.ndarray],
    shard: Shard,
    *,
    sampler: str,
    measure: Collection[str],
    layers: Sequence[int],
    precision: str,
    device: str,
    on_tile: Callable[[int, int], None],
) -> None:
    """Draw a shard of an ensemble and put what is recorded of it into ``arrays``.

    Parameters
    ----------
    network, x, sampler, measure, layers, precision, device, on_tile
        As of :func:`finitewidth.sampling.ensemble.sample`.
    arrays : dict of arrays
        As :func:`finitewidth.sampling.recorded.of_layers` makes them.
    """
    size = shard.size
    recorder = _recorder(arrays, layers, rows_read(network, len(x)), measure)
    tensor = torch.from_numpy(x).to(device)
    sample_tile = SAMPLERS[sampler, isinstance(network, Perceptron)]
    # One output's derivatives go back through all layers, which are kept.
    columns = int(recorder.with_gradient)
    if columns:
        sample_tile = _GRADIENT_SAMPLERS[sampler]
    if recorder.with_jacobian:
        # Tangents of all directions go with the values.
        columns, sample_tile = x.shape[1], _JACOBIAN_SAMPLERS[sampler]
    if isinstance(network, Architecture) and network.has_places:
        sizes = network.map_sizes
        tile = placed_tile_size(sampler, size, sizes, len(x), device, recorder.numbers, columns)
    elif columns:
        itemsize = np.dtype(precision).itemsize
        tile = ntk_tile_size(
            sampler, network.widths, size, len(x), columns, itemsize, GRADIENT_MEMORY, device
        )
    elif sampler == "marginal":
        tile = tile_size(size, drawn_width(network, sampler), len(x), device, recorder.numbers)
    else:
        tile = explicit_tile_size(size, network.widths, len(x), device, recorder.numbers)
    for at, streams in tiles(shard, tile, device):
        sample_tile(network, tensor, streams, recorder, getattr(torch, precision))
        recorder.end_tile(at)
        on_tile(at.stop, len(shard))


def fill_tangents(
    network: Architecture | Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    kernels: dict[str, np.ndarray],
    arrays: dict[str, np.ndarray],
    shard: Shard,
    *,
    sampler: str,
    measure: Collection[str],
    layers: Sequence[int],
    precision: str,
    device: str,
    tile: int,
    on_tile: Callable[[int, int], None],
) -> None:
    """The same with tangent kernels, which are put into ``kernels``.

    Parameters
    ----------
    rates : LearningRates
    kernels : dict of arrays
        As :func:`finitewidth.sampling.recorded.of_tangents` makes them.
    arrays : dict of arrays
        Empty where nothing is recorded of layers.
    tile : int
        Networks of a tile.
    """
    outputs, with_dntk = kernels["ntk"].shape[1], "dntk" in kernels
    of_last = NtkRecorder(len(kernels["ntk"]), len(x), outputs, with_dntk, kernels)
    recorder = _recorder(arrays, layers, len(x), measure) if arrays else None
    sample_tile = NTK_SAMPLERS[sampler, isinstance(network, Perceptron)]
    tensor = torch.from_numpy(x).to(device)
    for at, streams in tiles(shard, tile, device):
        sample_tile(network, rates, tensor, streams, recorder, of_last, getattr(torch, precision))
        of_last.end_tile(at)
        if recorder is not None:
            recorder.end_tile(at)
        on_tile(at.stop, len(shard))


def _recorder(
    arrays: dict[str, np.ndarray], layers: Sequence[int], inputs: int, measure: Collection[str]
) -> Recorder:
    networks = len(next(iter(arrays.values())))
    neurons = arrays["preactivation"].shape[-1] if "preactivation" in arrays else 0
    return Recorder(networks, layers, inputs, neurons, measure, "log_norm" in arrays, arrays)
