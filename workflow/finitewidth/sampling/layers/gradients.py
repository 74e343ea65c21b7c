"""Squared norms of derivatives of outputs by each layer of results, of drawn networks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.sampling.layers.draws import Tile
from finitewidth.sampling.layers.tangent_draws import kept_basis, kept_weights
from finitewidth.sampling.layers.way_back import Keep, WayThere
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.streams import Streams


def gradient_tile(
    network: Architecture,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
    keep: Keep = kept_weights,
) -> None:
    """Draw the networks of a tile; hand layers, and derivatives of the first output by them, to
    ``recorder``.

    Parameters
    ----------
    network : Architecture
        Its outputs are a vector; weights of any law, or normal where they are not drawn.
    x : tensor, shape (inputs, *shape), float64
    streams : Streams
        What to draw from, and how many networks.
    keep : callable
        How matrices are drawn.
    """
    way = WayThere(Tile(streams, recorder.workspace, dtype, x.device), keep)
    way.go(network, x, recorder)
    put_gradients(network, way.go_back(1), recorder)


#: The same with the weights integrated out, exactly.
marginal_gradient_tile = partial(gradient_tile, keep=kept_basis)


def put_gradients(
    network: Architecture, back: Iterable[tuple[int, torch.Tensor]], recorder: Recorder | None
) -> None:
    """Go all the way back, handing squared norms (networks, inputs) to ``recorder``: sums over all
    channels and places of a layer of results, means over outputs."""
    for place, derivatives in back:
        if recorder is None or not recorder.with_gradient or place not in network.ends:
            continue
        places = torch.Size(network.shapes[place][1:]).numel()
        squares = derivatives.double().square().sum(-1).mean(1)
        by_input = squares.view(len(squares), -1, places).sum(-1)
        recorder.put_gradient(network.ends.index(place) + 1, by_input)
