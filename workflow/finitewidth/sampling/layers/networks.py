"""Whole networks of any layers, drawn with their weights or without, layer by layer."""

from __future__ import annotations

from functools import partial

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import Map
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.models.places import ALL

# What each of these registers is a step.
from finitewidth.sampling.layers import (  # noqa: F401
    attention,
    average_pool,
    block,
    convolution,
    dense,
    flatten,
    nonlinearity,
    norms,
    positions,
)
from finitewidth.sampling.layers.draws import Tile, with_weights, without_weights
from finitewidth.sampling.layers.steps import Draw, Rows, forward
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.streams import Streams


def explicit_tile(
    network: Architecture | Perceptron,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile, every weight, and hand their layers to ``recorder``.

    Parameters
    ----------
    network : Architecture or Perceptron
        Weights of any law.
    x : tensor, shape (inputs, *shape), float64
        On the device to compute on.
    streams : Streams
        What to draw from, and how many networks.
    """
    draw = partial(with_weights, tile=Tile(streams, recorder.workspace, dtype, x.device))
    perceptron = as_perceptron(network)
    apart = perceptron is not None and perceptron.is_scale_invariant
    _through(network, rows_of(x, dtype), draw, recorder, streams.networks if apart else 0)


def marginal_tile(
    network: Architecture,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """The same with the weights integrated out, exactly.

    Perceptrons have a faster way, :mod:`finitewidth.sampling.mlp.marginal`.

    Parameters
    ----------
    network : Architecture
        Weights must be normal.
    x : tensor, shape (inputs, *shape), float64
        Zero, duplicated and linearly dependent inputs are ordinary.

    Raises
    ------
    ValueError
        For weights of another law than the normal one.
    """
    draw = partial(without_weights, tile=Tile(streams, recorder.workspace, dtype, x.device))
    _through(network, rows_of(x, torch.float64), draw, recorder)


def rows_of(x: torch.Tensor, dtype: torch.dtype) -> Rows:
    """Inputs x (inputs, channels, ...) as the rows that go into the first layer."""
    shape = x.shape[1:]
    # A copy, which the first layer may overwrite.
    by_place = x.to(dtype).reshape(len(x), shape[0], -1).transpose(1, 2).clone()
    return Rows(by_place.flatten(0, 1)[None], tuple(shape))


def recorded_rows(network: Architecture | Perceptron, number: int, rows: Rows) -> torch.Tensor:
    """The rows that are recorded of a layer of results, (networks, inputs, channels): of one place
    where it has several, unless all are, each as an input of its own."""
    if not isinstance(network, Architecture) or len(rows.shape) == 1 or network.read == ALL:
        return rows.values
    return rows.by_place[:, :, network.place_of(number)]


def _through(
    network: Architecture | Perceptron,
    rows: Rows,
    draw: Draw,
    recorder: Recorder,
    apart: int = 0,
) -> None:
    """Take the rows through the layers; scales are carried apart for so many networks."""
    log_scale, last, number = None, max(recorder.layers), 0
    scores: tuple[torch.Tensor, ...] = ()
    # A perceptron may have a hundred thousand layers: they are not counted before.
    ends = network.ends if isinstance(network, Architecture) else None
    if apart:
        log_scale = rows.values.new_zeros(apart, rows.values.shape[1], dtype=torch.float64)
    for place, layer in enumerate(network.layers, 1):
        rows = forward(layer, rows, draw)
        scores += rows.scores
        if not isinstance(layer, Map) if ends is None else place not in ends:
            continue
        number += 1
        if log_scale is not None:
            # Without this a deep network leaves the range of floating-point numbers.
            size = rows.values.double().square().mean(2).sqrt()
            scale = torch.where(size > 0, size, 1.0)[:, :, None]
            rows = Rows(rows.values / scale.to(rows.values.dtype), rows.shape)
            log_scale = log_scale + size.log()
        recorder.put(number, recorded_rows(network, number, rows), log_scale)
        recorder.put_scores(number, scores)
        scores = ()
        if number == last:
            return
