"""Ladders on torch: the networks of a tile, layer by layer, of every rung."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from finitewidth.core.indices import pairs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.mlp.conditional_ntk import LayerSums, conditional_ntk, layer_sums
from finitewidth.sampling.mlp.control_means import means_of_neurons, means_of_normals
from finitewidth.sampling.mlp.ladder_record import Kept
from finitewidth.sampling.mlp.marginal import unit_diagonal
from finitewidth.sampling.mlp.width_controls import of_neurons
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams


def sample_tile(
    mlps: Sequence[Perceptron],
    rates: Sequence[LearningRates] | None,
    x: torch.Tensor,
    layers: Sequence[int],
    names: Sequence[str],
    streams: Streams,
    workspace: Workspace,
    dtype: torch.dtype,
    kept: Kept,
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
