"""Ensembles of a person's own modules: built one by one, run together where torch.func can.

What a module gives is recorded where the extension names its submodules; tangent kernels are those
of :func:`finitewidth.ntk.network.tangent_kernel`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from finitewidth.core.blocks import TILE, block_size
from finitewidth.models.own_network import OwnNetwork
from finitewidth.sampling.ensemble import dataset
from finitewidth.sampling.ntk_ensemble import tangent_dataset
from finitewidth.sampling.own_batch import Batched, outputs_of
from finitewidth.sampling.own_checks import Making, check_first
from finitewidth.sampling.own_tangents import Tangents
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.recorded import of_layers, of_tangents
from finitewidth.sampling.shard import Shard

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Sizes:
    """What datasets ask of a network: numbers of an input, and of each layer of results."""

    result_widths: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """The same; the last is that of the outputs."""
        return self.result_widths


def sample_modules(
    own: OwnNetwork,
    width: int,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    layers: Sequence[int],
    record: int,
    measure: Collection[str],
    outputs: int,
    precision: str,
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample an ensemble of modules of somebody's own.

    Parameters
    ----------
    own : OwnNetwork
    width : int
    x : array, shape (inputs, n_0)
    layers : sequence of int
        Which of ``own.layers`` are recorded, counted from 1.
    measure : collection of str
        ``preactivations``, ``quartic``, ``sextic`` and ``ntk``.
    outputs : int
        How many outputs a tangent kernel is taken of.
    networks, seed, name, record, precision, device, blocks, on_tile
        As for :func:`finitewidth.sampling.ensemble.sample`. A network depends on its number alone.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes a samples file; without ``conditional_kernel``, which
        nobody knows of such networks.

    Raises
    ------
    ConfigError
        In one sentence that names the extension, where a module is none, cannot be run, or does
        something else than it says.
    """
    sizes, dtype = own.sizes(width), _DTYPES[precision]
    size = block_size("explicit", max(sizes))
    shard = Shard.of(size, blocks, networks, seed, name)
    inputs = torch.as_tensor(np.asarray(x, dtype=float), dtype=dtype, device=device)
    inputs = inputs.reshape(len(x), *own.inputs_of(x.shape[1]))
    making = Making(own, width, seed, shard.name, dtype, device)
    batched = check_first(making, inputs)
    tangents = Tangents(making, inputs, outputs) if "ntk" in measure else None
    recorder, kernels = None, {}
    kept = {"preactivations", "quartic", "sextic"} & set(measure)
    if kept:
        neurons = min(record, *(sizes[k - 1] for k in layers))
        of_each = of_layers(len(shard), len(layers), len(x), neurons, kept, False)
        recorder = Recorder(len(shard), layers, len(x), neurons, kept, False, of_each)
    if "ntk" in measure:
        kernels = of_tangents(len(shard), len(x), outputs)
        del kernels["conditional_kernel"]
    # Tiles are those of a block, whatever the shard: the products of more networks may round
    # otherwise.
    tile = max(1, TILE // max(1, making.numbers, len(x) * sum(sizes)))
    for block in range(*shard.blocks):
        stop = block * size + shard.count(block)
        for start in range(block * size, stop, tile):
            numbers = range(start, min(start + tile, stop))
            models = [making(k) for k in numbers]
            at = slice(start - shard.begin, start - shard.begin + len(models))
            with torch.no_grad():
                z = outputs_of(own, models, inputs, batched)
            if recorder is not None:
                for layer in layers:
                    recorder.put(layer, z[layer - 1], None)
                recorder.end_tile(at)
            if tangents is not None:
                last_layer = z[-1][..., :outputs].transpose(1, 2)
                kernels["output_preactivation"][at] = last_layer.double().cpu().numpy()
                kernels["ntk"][at] = np.stack([tangents(m) for m in models])
            on_tile(at.stop, len(shard))
    of = Sizes((x.shape[1], *sizes))
    index = np.arange(shard.begin, shard.end)
    arrays = dict(recorder.arrays) if recorder is not None else {}
    if kernels:
        found = tangent_dataset(of, kernels, arrays, index, layers)
    else:
        found = dataset(of, arrays, len(x), index, np.array(layers))
    return found.assign_attrs(precision=precision, batched=int(isinstance(batched, Batched)))
