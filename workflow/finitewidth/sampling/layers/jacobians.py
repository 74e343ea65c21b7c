"""Singular values of the derivatives of each layer of results by the input, of drawn networks.

J_l = dz_l/dx takes a forward pass of tangents, one a number of the input: t becomes W t at a
matrix, and all else on the way multiplies it by a symmetric matrix (the slopes of an activation,
the derivative of a norm), so that :func:`~finitewidth.sampling.layers.steps.pull_back` takes
tangents forward, too. A matrix meets values and tangents alike. So without weights both come out
together: Gaussian rows, of which values alone have a bias.

A product of many matrices has singular values that differ by more than a number has digits. So J is
kept in three factors, J = Q exp(s) T: the tangents that go on are the orthonormal columns of Q, the
rows of T have length 1, and s are logarithms. All is computed in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.sampling.layers.draws import (
    Tile,
    by_basis,
    draw_weights,
    multiplied,
)
from finitewidth.sampling.layers.networks import recorded_rows, rows_of
from finitewidth.sampling.layers.singular_values import log_singular_values
from finitewidth.sampling.layers.steps import Rows, forward, pull_back
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.requirements import require_normal
from finitewidth.sampling.streams import Streams

#: A row of a triangle that is less than this share of the largest is rounding.
_ROUNDING = 1e-13
#: What a matrix makes of rows (networks, rows, fan-in), the first so many of which have its bias.
Draw = Callable[[Map, torch.Tensor, int, Tile], torch.Tensor]


def with_weights(layer: Map, rows: torch.Tensor, values: int, tile: Tile) -> torch.Tensor:
    """Draw the matrix, and multiply by it; the first ``values`` rows have a bias."""
    weights, biases = draw_weights(layer, tile, "weights")
    z = multiplied(rows, weights, None)
    if biases is not None:
        z[:, :values] += biases[:, None]
    return z


def without_weights(layer: Map, rows: torch.Tensor, values: int, tile: Tile) -> torch.Tensor:
    """Draw what comes out alone. Of as many rows as numbers in each, weights are fewer numbers."""
    require_normal(layer.weights)
    if rows.shape[1] >= layer.fan_in:
        return with_weights(layer, rows, values, tile)
    z = by_basis(replace(layer, C_b=0.0), rows, tile)
    if layer.C_b:
        biases = z.new_empty(len(z), 1, layer.fan_out)
        z[:, :values] += tile.streams.normal_(biases, math.sqrt(layer.C_b))
    return z


@dataclass(frozen=True)
class _Moving:
    """Inputs, and their tangents (networks, tangents, inputs, channels)."""

    rows: Rows
    tangents: torch.Tensor


@dataclass(frozen=True)
class _Passed:
    """What the tangents left behind: exp(s) T of J = Q exp(s) T, by network and input.

    ``logs`` is s, (networks, inputs, rank), and ``turned`` T, (networks, inputs, rank, n_0).
    """

    logs: torch.Tensor
    turned: torch.Tensor

    def times(self, triangle: torch.Tensor) -> _Passed:
        """R exp(s) T as exp(s') T', R an upper triangle (networks, inputs, rank', rank)."""
        size = triangle.abs().amax(-1)
        kept = size > _ROUNDING * size.amax(-1, keepdim=True)
        # The largest number of a row, and of those that meet a triangle's row.
        logs = self.logs.flip(-1).cummax(-1).values.flip(-1)[..., : triangle.shape[-2]]
        finite = torch.where(logs.isfinite(), logs, 0.0)
        relative = triangle.triu() * (self.logs[..., None, :] - finite[..., None]).triu().exp()
        turned = relative @ self.turned
        lengths = torch.linalg.vector_norm(turned, dim=-1) * kept
        alive = lengths > 0
        turned = torch.where(alive[..., None], turned / lengths[..., None], 0.0)
        return _Passed(finite + lengths.log(), turned)


def jacobian_tile(
    network: Architecture,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
    draw: Draw = with_weights,
) -> None:
    """Draw the networks of a tile; hand layers, and logarithms of the singular values of their
    derivatives by the input, to ``recorder``.

    Parameters
    ----------
    network : Architecture
        Of vectors, without places; weights of any law, or normal where they are not drawn.
    x : tensor, shape (inputs, n_0), float64
    streams : Streams
        What to draw from, and how many networks.
    dtype : torch.dtype
        Not used: of products of many matrices single precision leaves no small singular value.
    draw : callable
        What a matrix makes of values and tangents.
    """
    tile = Tile(streams, recorder.workspace, torch.float64, x.device)
    rows = rows_of(x, torch.float64)
    inputs, directions = x.shape
    unit = torch.eye(directions, dtype=x.dtype, device=x.device)
    now = _Moving(rows, unit[None, :, None].expand(1, -1, inputs, -1))
    passed = _Passed(unit.new_zeros(1, inputs, directions), unit.expand(1, inputs, -1, -1))
    last = max(recorder.layers)
    for place, layer in enumerate(network.layers, 1):
        now = _through(layer, now, draw, tile)
        if place not in network.ends:
            continue
        number = network.ends.index(place) + 1
        basis, triangle = torch.linalg.qr(now.tangents.permute(0, 2, 3, 1))
        passed = passed.times(triangle)
        now = _Moving(now.rows, basis.permute(0, 3, 1, 2).contiguous())
        recorder.put(number, recorded_rows(network, number, now.rows), None)
        recorder.put_scores(number, ())
        if number in recorder.layers:
            logs = log_singular_values(passed.logs, passed.turned)
            short = directions - logs.shape[-1]
            logs = torch.nn.functional.pad(logs, (0, short), value=-torch.inf)
            recorder.put_jacobian(number, logs.expand(streams.networks, -1, -1))
        if number == last:
            return


#: The same with the weights integrated out, exactly.
marginal_jacobian_tile = partial(jacobian_tile, draw=without_weights)


def _through(layer: Layer, now: _Moving, draw: Draw, tile: Tile) -> _Moving:
    """Values and tangents behind a layer."""
    if isinstance(layer, Block):
        inside = now
        for inner in layer.branch:
            inside = _through(inner, inside, draw, tile)
        values, tangents = layer.beta * inside.rows.values, layer.beta * inside.tangents
        if layer.gamma:
            values = layer.gamma * now.rows.values + values
            tangents = layer.gamma * now.tangents + tangents
        return _Moving(Rows(values, inside.rows.shape), tangents)
    z, t = now.rows.values, now.tangents
    if isinstance(layer, Map):
        inputs, many = z.shape[1], t.shape[1]
        both = torch.cat([z, t.flatten(1, 2)], dim=1)
        out = draw(layer, both, inputs, tile)
        split = out[:, inputs:].unflatten(1, (many, inputs))
        return _Moving(Rows(out[:, :inputs], (layer.fan_out,)), split)
    after = forward(layer, Rows(z.clone(), now.rows.shape), _no_matrix)
    return _Moving(after, pull_back(layer, now.rows, after, t))


def _no_matrix(layer: Map, seen: object) -> torch.Tensor:
    raise NotImplementedError(f"no tangent goes through the matrix of {type(layer).__name__}")
