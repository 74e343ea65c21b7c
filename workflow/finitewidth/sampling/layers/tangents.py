"""Tangent kernels of networks of any layers, every weight drawn, without automatic differentiation.

Theta_{ia,jb} = sum over maps and over places p of input a and q of input b of (lambda_b +
lambda_W/fan-in S~_ap . S~_bq) (U_iap . U_jbq), where S~ is what the matrix multiplies and U_iap the
derivative of output i of input a by what the matrix gives at p (PDLT chapter 8; places share their
weights, so that pairs of places count).
"""

from __future__ import annotations

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import Map
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.layers.draws import Tile, draw_weights, multiplied
from finitewidth.sampling.layers.networks import rows_of
from finitewidth.sampling.layers.steps import Rows, forward, pull_back
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.streams import Streams


def tangent_tile(
    network: Architecture,
    rates: LearningRates,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder | None,
    kernels: NtkRecorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile; hand layers to ``recorder`` and tangent kernels to ``kernels``.

    Parameters
    ----------
    network : Architecture
        Its outputs are a vector; weights of any law.
    rates : LearningRates
        A bias of variance 0 is there, and learns.
    x : tensor, shape (inputs, *shape), float64
    streams : Streams
        What to draw from, and how many networks.
    recorder : Recorder, optional
    kernels : NtkRecorder
    """
    tile = Tile(streams, kernels.workspace, dtype, x.device)
    drawn: list[tuple[torch.Tensor, torch.Tensor]] = []

    def draw(layer: Map, seen: torch.Tensor) -> torch.Tensor:
        # All are wanted on the way back, so each has memory of its own.
        weights, biases = draw_weights(layer, tile, f"weights{len(drawn)}")
        drawn.append((seen, weights))
        return multiplied(seen, weights, biases)

    passed = [rows_of(x, dtype)]
    for layer in network.layers:
        before = passed[-1]
        passed.append(forward(layer, Rows(before.values.clone(), before.shape), draw))
        if recorder is not None and isinstance(layer, Map):
            recorder.put(len(drawn), passed[-1].values, None)
    last, seen = network.maps[-1], drawn[-1][0].double()
    gram = torch.bmm(seen, seen.mT).expand(streams.networks, -1, -1)
    z = passed[-1].values[..., : kernels.outputs].double()
    total = _total(network, rates, passed, drawn, kernels.outputs)
    kernels.put(total, z, last.C_b + last.C_W / last.fan_in * gram)


def _total(
    network: Architecture,
    rates: LearningRates,
    passed: list[Rows],
    drawn: list[tuple[torch.Tensor, torch.Tensor]],
    outputs: int,
) -> torch.Tensor:
    """Theta, (networks, output, output, input, input), float64, from a forward pass."""
    end = passed[-1].values
    networks, inputs, channels = end.shape
    unit = torch.eye(channels, dtype=end.dtype, device=end.device)[:outputs, None]
    back = unit.expand(networks, outputs, inputs, channels)
    total = torch.zeros(networks, outputs, outputs, inputs, inputs, dtype=torch.float64)
    total = total.to(end.device)
    number = len(drawn)
    for layer, before, after in reversed(
        list(zip(network.layers, passed, passed[1:], strict=False))
    ):
        if isinstance(layer, Map):
            number -= 1
            seen, weights = drawn[number]
            rate = rates.lambda_b[number], rates.lambda_W[number] / layer.fan_in
            total += _of_map(seen.double(), back.double(), rate, inputs)
            back = back @ weights[:, None]
        back = pull_back(layer, before, after, back)
    return total


def _of_map(
    seen: torch.Tensor, back: torch.Tensor, rate: tuple[float, float], inputs: int
) -> torch.Tensor:
    """What the parameters of one map add to Theta."""
    gram = rate[0] + rate[1] * torch.bmm(seen, seen.mT)
    networks, outputs, rows, _ = back.shape
    places = rows // inputs
    flat = back.flatten(1, 2)
    products = torch.bmm(flat, flat.mT).view(networks, outputs, rows, outputs, rows)
    counted = products * gram[:, None, :, None]
    by_place = counted.view(networks, outputs, inputs, places, outputs, inputs, places)
    return by_place.sum((3, 6)).transpose(2, 3)
