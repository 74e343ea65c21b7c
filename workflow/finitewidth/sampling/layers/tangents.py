"""Tangent kernels of networks of any layers, without automatic differentiation.

Theta_{ia,jb} = sum over maps and over places p of input a and q of input b of (lambda_b +
lambda_W/fan-in S~_ap . S~_bq) (U_iap . U_jbq), where S~ is what the matrix multiplies and U_iap the
derivative of output i of input a by what the matrix gives at p (PDLT chapter 8; places share their
weights, so that pairs of places count). What becomes of U at a matrix is left to how that was drawn
(`tangent_draws.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.layers.attention import (
    by_head,
    logits,
    scores,
    scores_back,
    side_by_side,
)
from finitewidth.sampling.layers.draws import Tile
from finitewidth.sampling.layers.networks import recorded_rows, rows_of
from finitewidth.sampling.layers.patches import Seen
from finitewidth.sampling.layers.steps import Rows, forward, pull_back
from finitewidth.sampling.layers.tangent_draws import Drawn, kept_basis, kept_weights
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.streams import Streams

#: Draws a matrix, and keeps what its way back wants, under a name for its memory.
_Keep = Callable[[Map, Seen, Tile, str], Drawn]


@dataclass(frozen=True)
class _Passed:
    """A layer that was gone through: what came in and out, its matrix, the steps of its branch."""

    layer: Layer
    before: Rows
    after: Rows
    drawn: Drawn | None
    inside: tuple[_Passed, ...] = ()


def tangent_tile(
    network: Architecture,
    rates: LearningRates,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder | None,
    kernels: NtkRecorder,
    dtype: torch.dtype = torch.float32,
    keep: _Keep = kept_weights,
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
    tile = Tile(streams, kernels.workspace, dtype, x.device)
    passed: list[_Passed] = []
    rows, draws = rows_of(x, dtype), _Draws(tile, keep)
    for place, layer in enumerate(network.layers, 1):
        passed.append(draws.through(layer, rows))
        rows = passed[-1].after
        if recorder is not None and place in network.ends:
            number = network.ends.index(place) + 1
            recorder.put(number, recorded_rows(network, number, rows), None)
    last = network.maps[-1]
    seen = draws.each[-1].seen.double()
    gram = torch.bmm(seen, seen.mT).expand(streams.networks, -1, -1)
    z = rows.values[..., : kernels.outputs].double()
    total = _total(passed, zip(rates.lambda_b, rates.lambda_W, strict=True), kernels.outputs)
    kernels.put(total, z, last.C_b + last.C_W / last.fan_in * gram)


#: The same with the weights integrated out, exactly.
marginal_tangent_tile = partial(tangent_tile, keep=kept_basis)


class _Draws:
    """What the matrices of a tile are drawn from, and those that were."""

    def __init__(self, tile: Tile, keep: _Keep) -> None:
        self.each: list[Drawn] = []
        self._tile, self._keep = tile, keep

    def draw(self, layer: Map, seen: Seen) -> torch.Tensor:
        """Draw one; what comes out of it."""
        # All are wanted on the way back, so each has memory of its own.
        self.each.append(self._keep(layer, seen, self._tile, f"kept{len(self.each)}"))
        return self.each[-1].outputs

    def through(self, layer: Layer, before: Rows) -> _Passed:
        """One layer gone through, which may not overwrite what comes in."""
        if isinstance(layer, Block):
            inside, now = [], before
            for inner in layer.branch:
                inside.append(self.through(inner, now))
                now = inside[-1].after
            values = layer.gamma * before.values + layer.beta * now.values
            if not layer.gamma:
                values = layer.beta * now.values
            return _Passed(layer, before, Rows(values, now.shape), None, tuple(inside))
        if isinstance(layer, Attention):
            return self._attention(layer, before)
        count = len(self.each)
        copied = Rows(before.values.clone(), before.shape)
        after = forward(layer, copied, self.draw)
        return _Passed(layer, before, after, self.each[-1] if len(self.each) > count else None)

    def _attention(self, layer: Attention, before: Rows) -> _Passed:
        inside = [self.through(one, before) for one in (layer.query, layer.key, layer.value)]
        query, key, value = _by_head(layer, inside)
        mixed = side_by_side(scores(layer, logits(layer, query, key)) @ value)
        inside.append(self.through(layer.output, Rows(mixed, (mixed.shape[2], *before.shape[1:]))))
        return _Passed(layer, before, inside[-1].after, None, tuple(inside))


def _by_head(layer: Attention, inside: Sequence[_Passed]) -> list[torch.Tensor]:
    """Queries, keys and values of an attention that was gone through, head by head."""
    tokens = torch.Size(inside[0].before.shape[1:]).numel()
    return [by_head(one.after.values, layer.heads, tokens) for one in inside[:3]]


def _total(
    passed: list[_Passed], rates: Iterable[tuple[float, float]], outputs: int
) -> torch.Tensor:
    """Theta, (networks, output, output, input, input), float64, from a forward pass."""
    end = passed[-1].after.values
    networks, inputs, channels = end.shape
    unit = torch.eye(channels, dtype=end.dtype, device=end.device)[:outputs, None]
    back = unit.expand(networks, outputs, inputs, channels)
    total = torch.zeros(networks, outputs, outputs, inputs, inputs, dtype=torch.float64)
    total = total.to(end.device)
    _way_back(passed, back, reversed(list(rates)), total)
    return total


def _way_back(
    passed: Iterable[_Passed],
    back: torch.Tensor,
    rates: Iterator[tuple[float, float]],
    total: torch.Tensor,
) -> torch.Tensor:
    """Go back through layers, in the reverse order of drawing; adds to ``total``."""
    for one in reversed(list(passed)):
        if isinstance(one.layer, Block):
            branch = _way_back(one.inside, one.layer.beta * back, rates, total)
            back = one.layer.gamma * back + branch if one.layer.gamma else branch
            continue
        if isinstance(one.layer, Attention):
            back = _attention_back(one.layer, one.inside, back, rates, total)
            continue
        if isinstance(one.layer, Map) and one.drawn is not None:
            lambda_b, lambda_W = next(rates)
            rate = lambda_b, lambda_W / one.layer.fan_in
            total += _of_map(one.drawn.seen.double(), back.double(), rate, total.shape[-1])
            back = one.drawn.back(back)
        back = pull_back(one.layer, one.before, one.after, back)
    return back


def _attention_back(
    layer: Attention,
    inside: Sequence[_Passed],
    back: torch.Tensor,
    rates: Iterator[tuple[float, float]],
    total: torch.Tensor,
) -> torch.Tensor:
    query, key, value = _by_head(layer, inside)
    mixed = _way_back(inside[3:], back, rates, total)
    networks, outputs = mixed.shape[:2]
    split = by_head(mixed.flatten(0, 1), layer.heads, query.shape[3])
    each = scores_back(layer, query, key, value, split.unflatten(0, (networks, outputs)))
    found = torch.zeros_like(back[..., :1])
    for one, own in reversed(list(zip(inside[:3], each, strict=True))):
        flat = side_by_side(own.flatten(0, 1)).unflatten(0, (networks, outputs))
        found = found + _way_back([one], flat, rates, total)
    return found


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
