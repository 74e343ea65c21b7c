"""Whole ensembles of tangent kernels, jointly with the preactivations of the same networks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.core.blocks import block_size, ntk_tile_size, placed_tile_size
from finitewidth.core.indices import pairs
from finitewidth.core.random import numpy_stream
from finitewidth.core.words import check_word, check_words
from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import (
    PRECISIONS,
    RECORDED,
    HasWidths,
    check_inputs,
    check_together,
    dataset,
    drawn_as,
)
from finitewidth.sampling.fused.scalars import fill_scalars
from finitewidth.sampling.fused.tangents import fill_tangents
from finitewidth.sampling.mlp import scalar_ntk
from finitewidth.sampling.recorded import of_layers, of_tangents
from finitewidth.sampling.requirements import drawn_width
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.triton_kernels.covered import is_ntk_covered, is_there

_OUTPUTS = ("output", "output_", "output__")
_INPUTS = ("input", "input_", "input__")
_DIMENSIONS = {
    "ntk": (*_OUTPUTS[:2], *_INPUTS[:2]),
    "output_preactivation": ("output", "input"),
    "conditional_kernel": ("pair",),
    "dntk": (*_OUTPUTS, *_INPUTS),
}
_MEANING = {
    "ntk": "tangent kernel Theta_{ia,jb} of the recorded outputs",
    "output_preactivation": "preactivations z^(L) of the same outputs",
    "conditional_kernel": "their covariance given the layer before",
    "dntk": "derivative of the tangent kernel, dH_{i0 i1 i2; a b c}",
}


def sample_ntk(
    network: Architecture | Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    sampler: str = "marginal",
    outputs: int = 2,
    layers: Sequence[int] | None = None,
    record: int = 8,
    measure: Collection[str] = ("ntk",),
    precision: str = "float32",
    device: str = "cpu",
    memory: float = 1.0,
    blocks: tuple[int, int] | None = None,
    compiled: bool = True,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample tangent kernels of an ensemble's networks at the inputs ``x``.

    Parameters
    ----------
    network : Architecture or Perceptron
        With a vector of outputs. One that is no perceptron takes no ``dntk``, and not the scalar
        sampler.
    rates : LearningRates
        The learning-rate tensor.
    x : array, shape (inputs, n_0)
    networks, seed, name, precision, device, blocks, on_tile
        As for :func:`finitewidth.sampling.ensemble.sample`.
    sampler : str
        ``marginal`` (weights integrated out), ``explicit`` (weights drawn) or ``scalar`` (two
        slopes, no bias, one input: whatever the width, one output).
    outputs : int
        How many outputs to take, the first ones; at most as many as there are.
    layers, record
        Layers and neurons recorded of the same networks, where ``measure`` has ``preactivations``.
    measure : collection of str
        ``ntk``, with ``dntk`` its derivative (explicit sampler only), with ``preactivations``,
        ``quartic``, ``sextic`` and ``gradient`` what
        :func:`finitewidth.sampling.ensemble.sample` records.
    memory : float
        GiB that the networks computed together may take.
    compiled : bool
        Without, nothing is drawn by compiled kernels: a processor draws as a GPU does, by torch,
        and the scalar sampler by numpy.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes a samples file.

    Raises
    ------
    ValueError
        For what a sampler cannot do, inputs that do not fit, and one network beyond ``memory``.
    """
    measure = check_words("measure", measure, ("ntk", "dntk", *RECORDED))
    network = drawn_as(network, measure)
    check_together(measure)
    check_word("sampler", sampler, ("marginal", "explicit", "scalar"))
    check_word("precision", precision, PRECISIONS)
    x = check_inputs(network, x)
    if "dntk" in measure and sampler != "explicit":
        raise ValueError(f"dntk needs the explicit sampler, not the {sampler} one")
    if not isinstance(network, Perceptron) and (sampler == "scalar" or "dntk" in measure):
        raise ValueError("a network that is no perceptron has neither dntk nor the scalar sampler")
    if isinstance(network, Architecture) and len(network.shapes[-1]) > 1:
        raise ValueError("tangent kernels are of networks whose outputs have no places")
    size = block_size(sampler, drawn_width(network, sampler))
    shard = Shard.of(size, blocks, networks, seed, name)
    index = np.arange(shard.begin, shard.end)
    if sampler == "scalar":
        assert isinstance(network, Perceptron)
        scalar_ntk.check(network, len(x))
        kernels = of_tangents(len(index), 1, 1)
        squared_norm = float(x[0] @ x[0])
        if compiled:
            fill_scalars(
                network, rates, squared_norm, kernels,
                seed=seed, name=name, first=shard.begin, networks=len(index), on_tile=on_tile,
            )  # fmt: skip
        for block in range(*shard.blocks) if not compiled else ():
            done = block * size - shard.begin
            stop = done + shard.count(block)
            stream = numpy_stream(seed, *name, "networks", block)
            one = scalar_ntk.sample(network, rates, squared_norm, stop - done, stream)
            for key, values in one.items():
                kernels[key][done:stop].reshape(-1)[:] = values
            on_tile(stop, len(shard))
        return tangent_dataset(network, kernels, {}, index, ()).assign_attrs(precision="float64")
    outputs = min(outputs, network.widths[-1])
    kernels = of_tangents(len(index), len(x), outputs, "dntk" in measure)
    last_layer = len(network.result_widths) - 1
    layers, arrays = tuple(layers or range(1, last_layer + 1)), {}
    if "preactivations" in measure:
        neurons = min(record, *(network.result_widths[layer] for layer in layers))
        with_norm = isinstance(network, Perceptron) and network.is_scale_invariant
        arrays = of_layers(len(index), len(layers), len(x), neurons, measure, with_norm)
    if isinstance(network, Architecture) and network.has_places:
        tile = placed_tile_size(sampler, size, network.map_sizes, len(x), device, columns=outputs)
    else:
        tile = ntk_tile_size(
            sampler,
            network.widths,
            size,
            len(x),
            outputs,
            np.dtype(precision).itemsize,
            memory,
            device,
            dntk="dntk" in measure,
        )
    these: dict[str, Any] = {
        "seed": seed, "name": name, "first": shard.begin, "networks": len(shard),
        "on_tile": on_tile,
    }  # fmt: skip
    on_gpu = compiled and is_there(device)
    if on_gpu and is_ntk_covered(network, len(x), outputs, sampler, measure, precision):
        # Imported where it is used: torch for processors alone comes without what it needs.
        from finitewidth.sampling.triton_kernels.marginal_ntk import fill as fill_on_gpu

        fill_on_gpu(network, rates, x, kernels, **these)
    elif compiled and sampler == "marginal" and device == "cpu" and isinstance(network, Perceptron):
        recorded: dict[str, Any] = {"layers": layers, "precision": precision}
        fill_tangents(network, rates, x, kernels, arrays, **recorded, **these)
    else:
        from finitewidth.sampling import on_torch

        on_torch.fill_tangents(
            network,
            rates,
            x,
            kernels,
            arrays,
            shard,
            sampler=sampler,
            measure=measure,
            layers=layers,
            precision=precision,
            device=device,
            tile=tile,
            on_tile=on_tile,
        )
    return tangent_dataset(network, kernels, arrays, index, layers).assign_attrs(
        precision=precision
    )


def tangent_dataset(
    network: HasWidths,
    kernels: dict[str, np.ndarray],
    arrays: dict[str, np.ndarray],
    networks: np.ndarray,
    layers: Sequence[int],
) -> xr.Dataset:
    """The kernels of ``networks``, with what else is recorded of them in ``arrays``."""
    data = {
        name: (("network", *_DIMENSIONS[name]), values, {"long_name": _MEANING[name], "units": "1"})
        for name, values in kernels.items()
    }
    recorded, inputs = kernels["ntk"].shape[2:4]
    a, b = pairs(inputs).T
    outputs = network.widths[-1]
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "layer": (
            "layer",
            np.array([len(network.result_widths) - 1]),
            {"long_name": "layer l = 1..L"},
        ),
        "width": (
            "layer",
            np.array([outputs]),
            {"long_name": "neurons n_l of the layer"},
        ),
        "pair_a": ("pair", a, {"long_name": "input a"}),
        "pair_b": ("pair", b, {"long_name": "input b"}),
    }
    used = 3 if "dntk" in data else 2
    for dimension in _OUTPUTS[:used]:
        about = {"long_name": "recorded output"}
        coordinates[dimension] = (dimension, np.arange(recorded), about)
    for dimension in _INPUTS[:used]:
        coordinates[dimension] = (dimension, np.arange(inputs), {"long_name": "input"})
    if arrays:
        both = dataset(network, arrays, inputs, networks, np.array(layers))
        rest = {k: v for k, v in coordinates.items() if k not in both.coords}
        return both.assign(data).assign_coords(rest)
    return xr.Dataset(data, coords=coordinates)
