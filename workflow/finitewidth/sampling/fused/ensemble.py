"""Whole ensembles by the compiled sampler: the same datasets, from other random numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.blocks import block_size
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.sampling.ensemble import check_inputs, check_recorded, dataset
from finitewidth.sampling.fused.marginal import fill
from finitewidth.sampling.record import Recorder


def sample(
    network: Architecture | Perceptron,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    record: int = 8,
    measure: Collection[str] = ("preactivations",),
    precision: str = "float32",
    blocks: tuple[int, int] | None = None,
    tile: int | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample an ensemble of networks on a processor, weights integrated out.

    Arguments and result are those of :func:`finitewidth.sampling.ensemble.sample`, with two
    differences. The stream has the name of the ensemble alone: a network's number is a part of its
    counters, so that blocks only divide the work. ``tile`` is how many networks are drawn between
    two calls of ``on_tile``; no byte depends on it.

    Raises
    ------
    ValueError
        As :func:`finitewidth.sampling.ensemble.sample` does, and for what is no perceptron.
    """
    mlp = as_perceptron(network)
    if mlp is None:
        raise ValueError("compiled kernels draw perceptrons, and no other architecture")
    x = check_inputs(mlp, x)
    layers = check_recorded(mlp, x, layers, measure)
    size = block_size("marginal", max(mlp.widths[1:]))
    first, last = blocks or (0, -(-networks // size))
    begin, end = first * size, min(last * size, networks)
    neurons = min(record, *(mlp.widths[layer] for layer in layers))
    recorder = Recorder(
        end - begin, layers, len(x), neurons, measure, with_norm=mlp.is_scale_invariant
    )
    fill(
        mlp,
        x,
        recorder.arrays,
        seed=seed,
        name=name,
        layers=layers,
        first=begin,
        networks=end - begin,
        precision=precision,
        tile=tile,
        on_tile=on_tile,
    )
    found = dataset(mlp, recorder, np.arange(begin, end), np.array(layers))
    return found.assign_attrs(precision=precision)
