"""The explicit sampler: every weight drawn, one batched matrix product a layer."""

from __future__ import annotations

import math

import torch

from finitewidth.models.law import Law
from finitewidth.sampling.record import Recorder, Workspace
from finitewidth.sampling.streams import Streams


def sample_tile(
    law: Law,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile and hand their layers to ``recorder``.

    Parameters
    ----------
    law : Law
        Weights of any law.
    x : tensor, shape (inputs, n_0), float64
        On the device to compute on.
    streams : Streams
        What to draw from, and how many networks.
    """
    networks = streams.networks
    s = x.T.to(dtype).expand(networks, -1, -1)
    log_scale = x.new_zeros(networks, x.shape[0]) if law.is_scale_invariant else None
    last = max(recorder.layers)
    for layer in range(1, last + 1):
        weights, biases = draw_layer(
            law, layer, streams, dtype, x.device, recorder.workspace, "weights"
        )
        z = torch.bmm(weights, s)
        if biases is not None:
            z += biases[:, :, None]
        if log_scale is not None:
            # Without this a deep network leaves the range of floating-point numbers.
            size = z.double().square().mean(1).sqrt()
            z = z / torch.where(size > 0, size, 1.0)[:, None, :].to(dtype)
            log_scale = log_scale + size.log()
        recorder.put(layer, z.transpose(1, 2), log_scale)
        s = law.activation.on_tensor_(torch, z)


def draw_layer(
    law: Law,
    layer: int,
    streams: Streams,
    dtype: torch.dtype,
    device: torch.device,
    workspace: Workspace,
    name: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The weights (networks, n_l, n_{l-1}) of one layer and its biases (networks, n_l), or None.

    ``name`` is that of the memory in ``workspace``; each layer has its own where it is left out.
    """
    draw = _normal if law.weights == "normal" else _uniform
    fan_in, fan_out, networks = law.widths[layer - 1], law.widths[layer], streams.networks
    weights = workspace(name or f"weights{layer}", (networks, fan_out, fan_in), dtype, device)
    draw(weights, law.C_W[layer - 1] / fan_in, streams)
    if law.C_b[layer - 1] == 0:
        return weights, None
    biases = torch.empty(networks, fan_out, dtype=dtype, device=device)
    draw(biases, law.C_b[layer - 1], streams)
    return weights, biases


def _normal(values: torch.Tensor, variance: float, streams: Streams) -> None:
    streams.normal_(values, math.sqrt(variance))


def _uniform(values: torch.Tensor, variance: float, streams: Streams) -> None:
    streams.uniform_(values, math.sqrt(3 * variance))
