"""Whole ensembles of tangent kernels, jointly with the preactivations of the same networks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from finitewidth.core.blocks import block_size, ntk_tile_size
from finitewidth.core.indices import pairs
from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.sampling.ensemble import check_inputs, dataset
from finitewidth.sampling.layers.tangents import tangent_tile
from finitewidth.sampling.mlp import explicit_ntk, marginal_ntk, scalar_ntk
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.streams import tiles

#: What samples a tile, by the name of the sampler and by whether the network is a perceptron.
SAMPLERS: dict[tuple[str, bool], Callable] = {
    ("marginal", True): marginal_ntk.sample_tile,
    ("explicit", True): explicit_ntk.sample_tile,
    ("explicit", False): tangent_tile,
}

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
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample tangent kernels of an ensemble's networks at the inputs ``x``.

    Parameters
    ----------
    network : Architecture or Perceptron
        On vectors. One that is no perceptron takes the explicit sampler, and no ``dntk``.
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
        ``quartic`` and ``sextic`` what :func:`finitewidth.sampling.ensemble.sample` records.
    memory : float
        GiB that the networks computed together may take.

    Returns
    -------
    xarray.Dataset
        As ``docs/architecture.md`` describes a samples file.

    Raises
    ------
    ValueError
        For what a sampler cannot do, inputs that do not fit, and one network beyond ``memory``.
    """
    network = as_perceptron(network) or network
    x = check_inputs(network, x)
    if "dntk" in measure and sampler != "explicit":
        raise ValueError(f"dntk needs the explicit sampler, not the {sampler} one")
    if not isinstance(network, Perceptron) and (sampler != "explicit" or "dntk" in measure):
        raise ValueError(
            "tangent kernels of a network that is no perceptron are sampled by the explicit sampler"
            " alone, and without dntk"
        )
    size = block_size(sampler, max(network.widths[1:]))
    first, last = blocks or (0, -(-networks // size))
    begin, end = first * size, min(last * size, networks)
    index = np.arange(begin, end)
    if sampler == "scalar":
        assert isinstance(network, Perceptron)
        scalar_ntk.check(network, len(x))
        kernels = NtkRecorder(len(index), 1, 1)
        for block in range(first, last):
            done, stop = block * size, min((block + 1) * size, networks)
            stream = numpy_stream(seed, *name, "networks", block)
            one = scalar_ntk.sample(network, rates, float(x[0] @ x[0]), stop - done, stream)
            for key, values in one.items():
                kernels.arrays[key][done - begin : stop - begin].reshape(-1)[:] = values
            on_tile(stop - begin, end - begin)
        return _dataset(network, kernels, None, index, ()).assign_attrs(precision="float64")
    outputs = min(outputs, network.widths[-1])
    kernels = NtkRecorder(len(index), len(x), outputs, "dntk" in measure)
    layers, recorder = tuple(layers or range(1, network.depth + 1)), None
    if "preactivations" in measure:
        neurons = min(record, *(network.widths[layer] for layer in layers))
        with_norm = isinstance(network, Perceptron) and network.is_scale_invariant
        recorder = Recorder(len(index), layers, len(x), neurons, measure, with_norm)
    sample_tile = SAMPLERS[sampler, isinstance(network, Perceptron)]
    dtype = getattr(torch, precision)
    tile = ntk_tile_size(
        sampler,
        network.widths,
        size,
        len(x),
        outputs,
        dtype.itemsize,
        memory,
        device,
        dntk="dntk" in measure,
    )
    tensor = torch.from_numpy(x).to(device)
    draw = partial(torch_stream, seed, *name, "networks", device=device)
    for at, streams in tiles(draw, (first, last), size, networks, tile):
        sample_tile(network, rates, tensor, streams, recorder, kernels, dtype)
        kernels.end_tile(at)
        if recorder is not None:
            recorder.end_tile(at)
        on_tile(at.stop, end - begin)
    return _dataset(network, kernels, recorder, index, layers).assign_attrs(precision=precision)


def _dataset(
    network: Architecture | Perceptron,
    kernels: NtkRecorder,
    recorder: Recorder | None,
    networks: np.ndarray,
    layers: Sequence[int],
) -> xr.Dataset:
    data = {
        name: (("network", *_DIMENSIONS[name]), values, {"long_name": _MEANING[name], "units": "1"})
        for name, values in kernels.arrays.items()
    }
    a, b = pairs(kernels.inputs).T
    outputs = network.widths[-1]
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "layer": ("layer", np.array([network.depth]), {"long_name": "layer l = 1..L"}),
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
        coordinates[dimension] = (dimension, np.arange(kernels.outputs), about)
    for dimension in _INPUTS[:used]:
        coordinates[dimension] = (dimension, np.arange(kernels.inputs), {"long_name": "input"})
    if recorder is not None:
        both = dataset(network, recorder, networks, np.array(layers))
        rest = {k: v for k, v in coordinates.items() if k not in both.coords}
        return both.assign(data).assign_coords(rest)
    return xr.Dataset(data, coords=coordinates)
