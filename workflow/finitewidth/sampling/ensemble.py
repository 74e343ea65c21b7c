"""Whole ensembles: blocks of networks under named streams, gathered into one dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from finitewidth.core.blocks import block_size, explicit_tile_size, tile_size
from finitewidth.core.indices import quads
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS as MOST_INPUTS
from finitewidth.sampling.layers.networks import explicit_tile, marginal_tile
from finitewidth.sampling.mlp import marginal
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.streams import tiles

#: What samples a tile, by the name of the sampler and by whether the network is a perceptron.
SAMPLERS: dict[tuple[str, bool], Callable] = {
    ("marginal", True): marginal.sample_tile,
    ("marginal", False): marginal_tile,
    ("explicit", True): explicit_tile,
    ("explicit", False): explicit_tile,
}

_DIMENSIONS = {
    "preactivation": ("network", "layer", "input", "neuron"),
    "kernel": ("network", "layer", "input", "input_"),
    "quartic": ("network", "layer", "quad"),
    "sextic": ("network", "layer", "input"),
    "log_norm": ("network", "layer", "input"),
}
_MEANING = {
    "preactivation": "preactivations z of the recorded neurons",
    "kernel": "mean over all neurons of z_a z_b",
    "quartic": "mean over all neurons of z_a z_b z_c z_d",
    "sextic": "mean over all neurons of z_a^6",
    "log_norm": "log of the root mean square of z over all neurons, -inf for a dead layer",
}


def sample(
    network: Architecture | Perceptron,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    sampler: str = "marginal",
    layers: Sequence[int] | None = None,
    record: int = 8,
    measure: Collection[str] = ("preactivations",),
    precision: str = "float32",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample an ensemble of networks of one architecture on the inputs ``x``.

    Parameters
    ----------
    network : Architecture or Perceptron
        On vectors; one that is a perceptron takes the fast way that perceptrons have.
    x : array, shape (inputs, n_0)
    networks : int
        Size of the whole ensemble.
    seed, name
        The config's seed, and what the ensemble and its member are called: with the number of the
        block they name the random streams, so equal arguments give equal bytes.
    sampler : str
        ``marginal`` (weights integrated out) or ``explicit`` (weights drawn).
    layers : sequence of int, optional
        Layers to record, from 1 to L; all of them where left out.
    record : int
        Neurons to record in each layer, at most the narrowest recorded layer has.
    measure : collection of str
        ``preactivations`` (neurons and kernels), ``quartic`` and ``sextic`` (sums of higher powers,
        each with the one before) and ``log_norm`` (for scale-invariant networks without bias it
        comes along with any of them).
    blocks : (int, int), optional
        First block and one past the last: a shard. All of them where left out.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/architecture.md`` describes a samples file.

    Raises
    ------
    ValueError
        For networks on images, inputs of the wrong dimension or not finite, layers that do not
        exist, and whatever the sampler refuses.
    """
    network = as_perceptron(network) or network
    x = check_inputs(network, x)
    layers = check_recorded(network, x, layers, measure)
    size = block_size(sampler, max(network.widths[1:]))
    first, last = blocks or (0, -(-networks // size))
    begin, end = first * size, min(last * size, networks)
    neurons = min(record, *(network.widths[layer] for layer in layers))
    with_norm = isinstance(network, Perceptron) and network.is_scale_invariant
    recorder = Recorder(end - begin, layers, len(x), neurons, measure, with_norm)
    tensor = torch.from_numpy(x).to(device)
    sample_tile = SAMPLERS[sampler, isinstance(network, Perceptron)]
    if sampler == "marginal":
        tile = tile_size(size, max(network.widths[1:]), len(x), device, recorder.numbers)
    else:
        tile = explicit_tile_size(size, network.widths, len(x), device, recorder.numbers)
    stream = partial(torch_stream, seed, *name, "networks", device=device)
    for at, streams in tiles(stream, (first, last), size, networks, tile):
        sample_tile(network, tensor, streams, recorder, getattr(torch, precision))
        recorder.end_tile(at)
        on_tile(at.stop, end - begin)
    found = dataset(network, recorder, np.arange(begin, end), np.array(layers))
    # Sums are kept in double precision, whatever the neurons were computed in.
    return found.assign_attrs(precision=precision)


def check_inputs(network: Architecture | Perceptron, x: np.ndarray) -> np.ndarray:
    """``x`` as float64; raises ``ValueError`` where it does not fit or is not finite."""
    if isinstance(network, Architecture) and any(len(shape) > 1 for shape in network.shapes):
        raise ValueError("ensembles are recorded of networks on vectors, not of ones on images")
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != network.widths[0]:
        raise ValueError(
            f"inputs of shape {x.shape} do not fit a network of {network.widths[0]} inputs"
        )
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    return x


def check_recorded(
    network: Architecture | Perceptron,
    x: np.ndarray,
    layers: Sequence[int] | None,
    measure: Collection[str],
) -> tuple[int, ...]:
    """The layers to record, all where left out; raises ``ValueError`` for what cannot be."""
    if "quartic" in measure and len(x) > MOST_INPUTS:
        raise ValueError(f"four-point sums take at most {MOST_INPUTS} inputs, not {len(x)}")
    layers = tuple(layers or range(1, network.depth + 1))
    if not all(1 <= layer <= network.depth for layer in layers):
        raise ValueError(f"layers {layers} must lie from 1 to the depth, {network.depth}")
    return layers


def dataset(
    network: Architecture | Perceptron, recorder: Recorder, networks: np.ndarray, layers: np.ndarray
) -> xr.Dataset:
    """What a recorder holds of ``networks``, with coordinates."""
    data = {
        name: (
            _DIMENSIONS[name],
            values,
            {"long_name": _MEANING[name], "units": "1"},
        )
        for name, values in recorder.arrays.items()
    }
    inputs = np.arange(recorder.inputs)
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "layer": ("layer", layers, {"long_name": "layer l = 1..L"}),
        "width": (
            "layer",
            np.array(network.widths)[layers],
            {"long_name": "neurons n_l of the layer"},
        ),
        "input": ("input", inputs, {"long_name": "input"}),
    }
    if "kernel" in data:
        coordinates["input_"] = ("input_", inputs, {"long_name": "second input"})
        neurons = np.arange(recorder.arrays["preactivation"].shape[-1])
        coordinates["neuron"] = ("neuron", neurons, {"long_name": "recorded neuron"})
    if "quartic" in data:
        for letter, column in zip("abcd", quads(recorder.inputs).T, strict=True):
            coordinates[f"quad_{letter}"] = ("quad", column, {"long_name": f"input {letter}"})
    return xr.Dataset(data, coords=coordinates)
