"""Tangent kernels of networks of any layers, without automatic differentiation.

Theta_{ia,jb} = sum over maps and over places p of input a and q of input b of (lambda_b +
lambda_W/fan-in S~_ap . S~_bq) (U_iap . U_jbq), where S~ is what the matrix multiplies and U_iap the
derivative of output i of input a by what the matrix gives at p (PDLT chapter 8; places share their
weights, so that pairs of places count). `way_back.py` tells U.
"""

from __future__ import annotations

from functools import partial

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import Map
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.layers.draws import Tile
from finitewidth.sampling.layers.gradients import put_gradients
from finitewidth.sampling.layers.tangent_draws import Drawn, kept_basis, kept_weights
from finitewidth.sampling.layers.way_back import Keep, WayThere
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
    keep: Keep = kept_weights,
) -> None:
    """Draw the networks of a tile; hand layers to ``recorder`` and tangent kernels to ``kernels``.

    Parameters
    ----------
    network : Architecture
        Its outputs are a vector; weights of any law, or normal where they are not drawn.
    rates : LearningRates
        A bias of variance 0 is there, and learns.
    x : tensor, shape (inputs, *shape), float64
    streams : Streams
        What to draw from, and how many networks.
    recorder : Recorder, optional
    kernels : NtkRecorder
    keep : callable
        How matrices are drawn.
    """
    way = WayThere(Tile(streams, kernels.workspace, dtype, x.device), keep)
    way.go(network, x, recorder)
    last, outputs = network.maps[-1], kernels.outputs
    seen = way.each[-1].seen.double()
    gram = torch.bmm(seen, seen.mT).expand(streams.networks, -1, -1)
    z = way.passed[-1].after.values[..., :outputs].double()
    total = torch.zeros(len(z), outputs, outputs, len(x), len(x), dtype=torch.float64)
    total = total.to(x.device)
    left = reversed(list(zip(rates.lambda_b, rates.lambda_W, strict=True)))

    def add(layer: Map, drawn: Drawn, back: torch.Tensor) -> None:
        lambda_b, lambda_W = next(left)
        rate = lambda_b, lambda_W / layer.fan_in
        total.add_(_of_map(drawn.seen.double(), back.double(), rate, len(x)))

    put_gradients(network, way.go_back(outputs, add), recorder)
    kernels.put(total, z, last.C_b + last.C_W / last.fan_in * gram)


#: The same with the weights integrated out, exactly.
marginal_tangent_tile = partial(tangent_tile, keep=kept_basis)


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
