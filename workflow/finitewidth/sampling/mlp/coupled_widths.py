"""Ladders: one perceptron at several widths, on common random numbers.

A rung of width n builds its layers from the first n columns of the normals that the widest rung
draws, so that what the widths have in common cancels in their differences. Kept are the conditional
kernels Ghat, which hold all that a layer can tell of the ones before it (the neurons of the next
layer are drawn from them and from nothing else), and, as controls, means of functions of the
normals whose expectations are known to be 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr

from finitewidth.core.blocks import block_size, ladder_tile_size
from finitewidth.core.indices import pairs
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.mlp.conditional_ntk import LayerSums, conditional_ntk, layer_sums
from finitewidth.sampling.mlp.marginal import unit_diagonal
from finitewidth.sampling.mlp.width_controls import (
    controls_of,
    means_of_neurons,
    means_of_normals,
    of_neurons,
)
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams, tiles


def sample_ladder(
    mlps: Sequence[Perceptron],
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    controls: bool = True,
    rates: Sequence[LearningRates] | None = None,
    precision: str = "float32",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample networks of several widths from common normals.

    Parameters
    ----------
    mlps : sequence of Perceptron
        One a rung, the same but for the hidden widths; the hidden layers of each are equally wide.
        Weights must be normal.
    x : array, shape (inputs, n_0)
    networks : int
        Networks of each rung in the whole ladder.
    seed, name
        With the number of a block they name its random stream, as for a single ensemble.
    layers : sequence of int, optional
        Layers to record, from 1 to L; all of them where left out.
    controls : bool
        Whether to record what estimators reduce their variance with.
    rates : sequence of LearningRates, optional
        One a rung: tangent kernels are recorded, averaged over the backward pass.
    precision : str
        Of neurons; kernels are summed and kept in float64.
    blocks : (int, int), optional
        First block and one past the last: a shard. All of them where left out.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/architecture.md`` describes the samples of a ladder.

    Raises
    ------
    ValueError
        For rungs that differ in more than their width or have weights that are not normal, inputs
        of the wrong dimension or not finite, and layers that do not exist.
    """
    x = np.asarray(x, dtype=np.float64)
    widths = _check(mlps, x)
    layers = tuple(layers or range(1, mlps[0].depth + 1))
    if not all(1 <= layer <= mlps[0].depth for layer in layers):
        raise ValueError(f"layers {layers} must lie from 1 to the depth, {mlps[0].depth}")
    widest, last = max(widths), max(layers)
    size = block_size("marginal", widest)
    first, stop = blocks or (0, -(-networks // size))
    begin, end = first * size, min(stop * size, networks)
    names, about = controls_of(mlps[0], x, tangent=rates is not None) if controls else ((), {})
    shape = (end - begin, len(mlps))
    kept = _Kept(
        np.zeros((*shape, len(layers), len(pairs(len(x))))),
        np.zeros((*shape, last - 1, len(pairs(len(x)))), np.float32) if controls else None,
        np.zeros((*shape, last - 1, len(names)), np.float32) if controls else None,
        np.zeros((*shape, len(layers), len(pairs(len(x))))) if rates else None,
        np.zeros((*shape, last - 1, len(pairs(len(x)))), np.float32)
        if rates and controls
        else None,
    )
    tensor, workspace = torch.from_numpy(x).to(device), Workspace()
    summed = last - 1 if rates else 0
    tile = ladder_tile_size(size, widths, len(x), device, kept.numbers, summed)
    stream = partial(torch_stream, seed, *name, "networks", device=device)
    for at, streams in tiles(stream, (first, stop), size, networks, tile):
        tile_kept = kept.of_tile(streams.networks, device)
        dtype = getattr(torch, precision)
        _sample_tile(mlps, rates, tensor, layers, names, streams, workspace, dtype, tile_kept)
        kept.put(at, tile_kept)
        on_tile(at.stop, end - begin)
    found = _dataset(kept, np.arange(begin, end), widths, np.array(layers), names, len(x))
    return found.assign_coords(about).assign_attrs(precision=precision)


@dataclass(frozen=True)
class _Kept:
    """What is recorded: kernels of recorded layers, kernels and means of every driven layer.

    Arrays (network, rung, ...) of the shard, or tensors of the tile under way on its device, from
    where they are fetched once: a GPU that is waited for at every layer does nothing meanwhile.
    """

    kernel: np.ndarray | torch.Tensor
    driven: np.ndarray | torch.Tensor | None
    drive: np.ndarray | torch.Tensor | None
    ntk: np.ndarray | torch.Tensor | None
    driven_ntk: np.ndarray | torch.Tensor | None

    @property
    def numbers(self) -> int:
        """How many are recorded of one network."""
        return sum(math.prod(v.shape[1:]) for v in vars(self).values() if v is not None)

    def of_tile(self, networks: int, device: str) -> _Kept:
        """Workspace for a tile's own, on its device."""

        def workspace(array: np.ndarray | torch.Tensor) -> torch.Tensor:
            dtype = torch.as_tensor(array).dtype
            return torch.empty((networks, *array.shape[1:]), dtype=dtype, device=device)

        return _Kept(
            workspace(self.kernel),
            *(
                None if v is None else workspace(v)
                for v in (self.driven, self.drive, self.ntk, self.driven_ntk)
            ),
        )

    def put(self, at: slice, tile: _Kept) -> None:
        """Store the values of a tile in the places ``at`` of its networks."""
        for name, array in vars(self).items():
            if array is not None:
                array[at] = getattr(tile, name).cpu().numpy()


def _check(mlps: Sequence[Perceptron], x: np.ndarray) -> list[int]:
    """The widths of the rungs, from 1 on; raises as :func:`sample_ladder` does."""
    first = mlps[0]
    if x.ndim != 2 or x.shape[1] != first.widths[0]:
        raise ValueError(
            f"inputs of shape {x.shape} do not fit a network of {first.widths[0]} inputs"
        )
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    for mlp in mlps:
        if mlp.weights != "normal":
            raise ValueError(f"a ladder needs normal weights, not {mlp.weights} ones")
        if (mlp.activation_name, mlp.depth) != (first.activation_name, first.depth) or (
            (mlp.C_b, mlp.C_W) != (first.C_b, first.C_W)
        ):
            raise ValueError("the rungs of a ladder may differ in their width alone")
        if len(set(mlp.widths[1:-1])) > 1:
            raise ValueError(f"the hidden layers of a rung must be equally wide, not {mlp.widths}")
    return [mlp.widths[1] for mlp in mlps]


def _sample_tile(
    mlps: Sequence[Perceptron],
    rates: Sequence[LearningRates] | None,
    x: torch.Tensor,
    layers: Sequence[int],
    names: Sequence[str],
    streams: Streams,
    workspace: Workspace,
    dtype: torch.dtype,
    kept: _Kept,
) -> None:
    """Draw the networks of a tile, of every rung, and keep what is recorded of them."""
    inputs, networks, last = len(x), streams.networks, max(layers)
    widths = [mlp.widths[1] for mlp in mlps]
    a, b = pairs(inputs).T
    first = mlps[0].C_b[0] + mlps[0].C_W[0] / mlps[0].widths[0] * (x @ x.T)
    grams = [first.expand(networks, inputs, inputs)] * len(mlps)
    # Scale-invariant networks are computed at unit scale, as by the marginal sampler.
    apart = mlps[0].is_scale_invariant
    log_scales = [x.new_zeros(networks, inputs)] * len(mlps)
    places = {layer: place for place, layer in enumerate(layers)}
    sums: list[list[LayerSums]] = [[] for _ in mlps]
    for layer in range(1, last + 1):
        for rung, gram in enumerate(grams):
            kernel = gram
            if apart:
                scale = log_scales[rung].exp()
                kernel = gram * (scale[:, :, None] * scale[:, None, :])
                grams[rung], log_scales[rung] = unit_diagonal(gram, log_scales[rung])
            kernel = kernel[:, a, b]
            if layer in places:
                kept.kernel[:, rung, places[layer]] = kernel
            if layer < last and names and kept.driven is not None:
                kept.driven[:, rung, layer - 1] = kernel
            if rates and (layer in places or names):
                mlp = mlps[rung]
                ntk = conditional_ntk(sums[rung], x @ x.T, rates[rung], mlp.widths, mlp.C_W)
                ntk = ntk.expand(networks, inputs, inputs)[:, a, b]
                if layer in places and kept.ntk is not None:
                    kept.ntk[:, rung, places[layer]] = ntk
                if layer < last and names and kept.driven_ntk is not None:
                    kept.driven_ntk[:, rung, layer - 1] = ntk
        if layer == last:
            return
        shape = (networks, inputs, max(widths))
        normals = streams.normal_(workspace("normals", shape, dtype, x.device))
        if kept.drive is not None and names and not of_neurons(names):
            kept.drive[:, :, layer - 1] = means_of_normals(normals, names, widths, workspace)
        for rung, (mlp, n) in enumerate(zip(mlps, widths, strict=True)):
            z = workspace(f"z{n}", (networks, inputs, n), dtype, x.device).copy_(normals[..., :n])
            z = correlate(grams[rung], z, workspace)
            before = z.clone() if rates else z
            s = mlp.activation.on_tensor_(torch, z)
            gram = gram_of(s, workspace)
            grams[rung] = mlp.C_b[layer] + mlp.C_W[layer] / n * gram
            if rates:
                unit = log_scales[rung].exp() if apart else None
                sums[rung].append(_sums(mlp, layer, before, s, gram, unit))
            if kept.drive is not None and of_neurons(names):
                unit = log_scales[rung].exp() if apart else None
                sums_now = means_of_neurons(gram, unit, sums[rung], len(names))
                kept.drive[:, rung, layer - 1] = sums_now / n


def _sums(
    mlp: Perceptron,
    layer: int,
    z: torch.Tensor,
    s: torch.Tensor,
    gram: torch.Tensor,
    scale: torch.Tensor | None,
) -> LayerSums:
    """What the tangent kernels of later layers take from this one."""
    slope = mlp.activation.derivative_on_tensor(torch, z, s)
    if scale is not None:
        gram = gram * (scale[:, :, None] * scale[:, None, :])
    kernel = mlp.C_b[layer] + mlp.C_W[layer] / z.shape[2] * gram
    return layer_sums(z, s, slope, gram, kernel, mlp.C_W[layer], scale)


_MEANING = {
    "conditional_kernel": "covariance of the layer's neurons given the layer before",
    "driven_kernel": "conditional kernel that scales the normals of the layer",
    "conditional_ntk": "tangent kernel of a neuron, averaged over its way back",
    "driven_ntk": "tangent kernel of a neuron of the layer, averaged over its way back",
    "drive": "mean over the layer's neurons of functions of them or of their normals",
}


def _dataset(
    kept: _Kept,
    networks: np.ndarray,
    widths: Sequence[int],
    layers: np.ndarray,
    names: Sequence[str],
    inputs: int,
) -> xr.Dataset:
    arrays: dict[str, tuple[tuple[str, str], np.ndarray | torch.Tensor | None]] = {
        "conditional_kernel": (("layer", "pair"), kept.kernel)
    }
    if kept.ntk is not None:
        arrays["conditional_ntk"] = (("layer", "pair"), kept.ntk)
    if names:
        arrays["driven_kernel"] = (("driven", "pair"), kept.driven)
        if kept.driven_ntk is not None:
            arrays["driven_ntk"] = (("driven", "pair"), kept.driven_ntk)
        arrays["drive"] = (("driven", "control"), kept.drive)
    data = {
        name: (("network", "rung", *dims), values, {"long_name": _MEANING[name], "units": "1"})
        for name, (dims, values) in arrays.items()
    }
    a, b = pairs(inputs).T
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "rung": ("rung", np.arange(len(widths)), {"long_name": "rung of the ladder"}),
        "width": ("rung", np.array(widths), {"long_name": "neurons of every hidden layer"}),
        "layer": ("layer", layers, {"long_name": "layer l = 1..L"}),
        "pair_a": ("pair", a, {"long_name": "input a"}),
        "pair_b": ("pair", b, {"long_name": "input b"}),
        "input": ("input", np.arange(inputs), {"long_name": "input"}),
    }
    if names:
        driven = np.arange(1, max(layers))
        coordinates["driven"] = ("driven", driven, {"long_name": "layer whose neurons are driven"})
        coordinates["control"] = ("control", np.array(names), {"long_name": "function of normals"})
    return xr.Dataset(data, coords=coordinates)
