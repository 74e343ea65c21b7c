"""Networks of any layers gone through with all that their way back wants, and gone back through.

What becomes of derivatives at a matrix is left to how that was drawn (`tangent_draws.py`): each is
used once, in the reverse order of drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map
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
from finitewidth.sampling.layers.tangent_draws import Drawn
from finitewidth.sampling.record import Recorder

#: Draws a matrix, and keeps what its way back wants, under a name for its memory.
Keep = Callable[[Map, Seen, Tile, str], Drawn]
#: Told of each matrix on the way back, with the derivatives by what it gave.
AtMap = Callable[[Map, Drawn, torch.Tensor], None]


@dataclass(frozen=True)
class Passed:
    """A layer that was gone through: what came in and out, its matrix, the steps of its branch."""

    layer: Layer
    before: Rows
    after: Rows
    drawn: Drawn | None
    inside: tuple[Passed, ...] = ()


class WayThere:
    """The networks of a tile, drawn layer by layer.

    Attributes
    ----------
    passed : list of Passed
        The layers that were gone through.
    each : list of Drawn
        Their matrices, in the order of drawing.
    """

    def __init__(self, tile: Tile, keep: Keep) -> None:
        self.passed: list[Passed] = []
        self.each: list[Drawn] = []
        self._tile, self._keep = tile, keep

    def go(self, network: Architecture, x: torch.Tensor, recorder: Recorder | None) -> None:
        """Take inputs x (inputs, *shape) through all layers, handing these to ``recorder``."""
        rows = rows_of(x, self._tile.dtype)
        for place, layer in enumerate(network.layers, 1):
            self.passed.append(self._through(layer, rows))
            rows = self.passed[-1].after
            if recorder is not None and place in network.ends:
                number = network.ends.index(place) + 1
                recorder.put(number, recorded_rows(network, number, rows), None)

    def go_back(
        self, outputs: int, at_map: AtMap = lambda layer, drawn, back: None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Derivatives of the first ``outputs`` outputs by what each layer gave, from the last back.

        With the layer's number, from 1: (networks, outputs, rows, channels), of a row's own input.
        """
        end = self.passed[-1].after.values
        networks, inputs, channels = end.shape
        unit = torch.eye(channels, dtype=end.dtype, device=end.device)[:outputs, None]
        back = unit.expand(networks, outputs, inputs, channels)
        for number in range(len(self.passed), 0, -1):
            yield number, back
            back = _gone_back([self.passed[number - 1]], back, at_map)

    def _draw(self, layer: Map, seen: Seen) -> torch.Tensor:
        """Draw one; what comes out of it."""
        # All are wanted on the way back, so each has memory of its own.
        self.each.append(self._keep(layer, seen, self._tile, f"kept{len(self.each)}"))
        return self.each[-1].outputs

    def _through(self, layer: Layer, before: Rows) -> Passed:
        """One layer gone through, which may not overwrite what comes in."""
        if isinstance(layer, Block):
            inside, now = [], before
            for inner in layer.branch:
                inside.append(self._through(inner, now))
                now = inside[-1].after
            values = layer.beta * now.values
            if layer.gamma:
                values = layer.gamma * before.values + values
            return Passed(layer, before, Rows(values, now.shape), None, tuple(inside))
        if isinstance(layer, Attention):
            return self._attention(layer, before)
        count = len(self.each)
        copied = Rows(before.values.clone(), before.shape)
        after = forward(layer, copied, self._draw)
        return Passed(layer, before, after, self.each[-1] if len(self.each) > count else None)

    def _attention(self, layer: Attention, before: Rows) -> Passed:
        inside = [self._through(one, before) for one in (layer.query, layer.key, layer.value)]
        query, key, value = _by_head(layer, inside)
        mixed = side_by_side(scores(layer, logits(layer, query, key)) @ value)
        inside.append(self._through(layer.output, Rows(mixed, (mixed.shape[2], *before.shape[1:]))))
        return Passed(layer, before, inside[-1].after, None, tuple(inside))


def _by_head(layer: Attention, inside: Sequence[Passed]) -> list[torch.Tensor]:
    """Queries, keys and values of an attention that was gone through, head by head."""
    tokens = torch.Size(inside[0].before.shape[1:]).numel()
    return [by_head(one.after.values, layer.heads, tokens) for one in inside[:3]]


def _gone_back(
    passed: Iterable[Passed],
    back: torch.Tensor,
    at_map: AtMap,
) -> torch.Tensor:
    """Go back through layers, in the reverse order of drawing."""
    for one in reversed(list(passed)):
        if isinstance(one.layer, Block):
            branch = _gone_back(one.inside, one.layer.beta * back, at_map)
            back = one.layer.gamma * back + branch if one.layer.gamma else branch
            continue
        if isinstance(one.layer, Attention):
            back = _attention_back(one.layer, one.inside, back, at_map)
            continue
        if isinstance(one.layer, Map) and one.drawn is not None:
            at_map(one.layer, one.drawn, back)
            back = one.drawn.back(back)
        back = pull_back(one.layer, one.before, one.after, back)
    return back


def _attention_back(
    layer: Attention,
    inside: Sequence[Passed],
    back: torch.Tensor,
    at_map: AtMap,
) -> torch.Tensor:
    query, key, value = _by_head(layer, inside)
    mixed = _gone_back(inside[3:], back, at_map)
    networks, outputs = mixed.shape[:2]
    split = by_head(mixed.flatten(0, 1), layer.heads, query.shape[3])
    each = scores_back(layer, query, key, value, split.unflatten(0, (networks, outputs)))
    found = torch.zeros_like(back[..., :1])
    for one, own in reversed(list(zip(inside[:3], each, strict=True))):
        flat = side_by_side(own.flatten(0, 1)).unflatten(0, (networks, outputs))
        found = found + _gone_back([one], flat, at_map)
    return found
