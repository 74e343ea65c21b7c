"""Tangent kernels of whole ensembles, every weight drawn: a structured sum, no differentiation."""

from __future__ import annotations

import torch

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.layerwise import layerwise
from finitewidth.sampling.layers.draws import Tile, draw_weights
from finitewidth.sampling.mlp.explicit_dntk import dntk
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.streams import Streams


def sample_tile(
    mlp: Perceptron,
    rates: LearningRates,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder | None,
    kernels: NtkRecorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile; hand layers to ``recorder`` and tangent kernels to ``kernels``.

    As :func:`finitewidth.sampling.mlp.marginal_ntk.sample_tile`, for weights of any law.
    """
    networks = streams.networks
    tile = Tile(streams, kernels.workspace, dtype, x.device)
    weights, biases = [], []
    for layer in range(1, mlp.depth + 1):
        W, b = draw_weights(mlp.dense(layer), tile, f"weights{layer}")
        if b is None and rates.lambda_b[layer - 1] > 0:
            # A bias of variance 0 is there, and learns.
            b = W.new_zeros(1).expand(networks, W.shape[1])
        weights.append(W)
        biases.append(b)
    x = x.to(dtype)
    found = layerwise(mlp.activation, weights, biases, x, rates, outputs=kernels.outputs)
    if recorder is not None:
        zero = x.new_zeros(networks, len(x), dtype=torch.float64)
        for layer, z in enumerate(found.preactivations, start=1):
            recorder.put(layer, z, zero if mlp.is_scale_invariant else None)
    z = found.preactivations[-1][..., : kernels.outputs].double()
    if mlp.depth > 1:
        s = mlp.activation.on_tensor(torch, found.preactivations[-2].double())
    else:
        s = x.double().expand(networks, *x.shape)
    gram = torch.bmm(s, s.transpose(1, 2))
    conditional = mlp.C_b[-1] + mlp.C_W[-1] / mlp.widths[-2] * gram
    derivative = None
    if "dntk" in kernels.arrays:
        derivative = dntk(mlp.activation, weights, x, found.preactivations, rates, kernels.outputs)
    kernels.put(found.total, z, conditional, derivative)
