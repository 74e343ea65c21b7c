"""How large the maps of a network made of blocks are, before it is a list of layers.

A network of ten thousand blocks is planned without ten thousand layers: alike maps are counted.
"""

from __future__ import annotations

from typing import NamedTuple

from finitewidth.core.blocks import MapSize
from finitewidth.models.block_shapes import (
    AttentionStep,
    BlockNetwork,
    BlockShape,
    ConvStep,
    DenseStep,
    ImageShape,
    PoolStep,
    Step,
)


class _Now(NamedTuple):
    """What a stream is: channels on rows and columns."""

    channels: int
    rows: int
    columns: int
    is_line: bool


def map_sizes(network: BlockNetwork, outputs: int) -> list[tuple[MapSize, int]]:
    """Each map's size, and how many maps in a row are alike.

    The fan-in of the embedding of vectors, which their dimension tells, is n here.
    """
    image = network.input
    shape = image.shape if image else (network.embed.neurons,)
    is_line = isinstance(image, ImageShape) and len(image.positions) == 1
    # Tokens stand along a line.
    channels, rows, columns = (*shape, 1, 1)[:3]
    sizes, now = _after(network.embed, _Now(channels, rows, columns, is_line))
    found = [(size, 1) for size in sizes]
    if network.positions:
        found.append((MapSize(now.rows, now.channels, now.rows), 1))
    for block in network.blocks:
        now = _through(block, now, found)
    last = network.readout
    if last is not None:
        places = now.rows * now.columns
        fan_in = now.channels * (places if last.pool == "flatten" else 1)
        found.append((MapSize(fan_in, outputs, places if last.pool is None else 1), 1))
    return found


def _through(block: BlockShape, now: _Now, found: list[tuple[MapSize, int]]) -> _Now:
    """All repeats of a block: those that change nothing are alike."""
    for done in range(block.repeat):
        before, sizes = now, []
        for step in block.branch:
            own, now = _after(step, now)
            sizes += own
        alike = block.repeat - done if now == before else 1
        found += [(size, alike) for size in sizes]
        if alike > 1:
            break
    return now


def _after(step: Step, now: _Now) -> tuple[list[MapSize], _Now]:
    """The sizes of a step's maps, and the stream behind it."""
    if isinstance(step, PoolStep):
        high, wide = window_of(step, now.is_line)
        rows, columns = max(1, now.rows // high), max(1, now.columns // wide)
        return [], now._replace(rows=rows, columns=columns)
    if isinstance(step, AttentionStep):
        tokens, width = now.rows * now.columns, step.heads * step.head_dim
        heads = MapSize(now.channels, width, tokens, step.head_dim)
        out = MapSize(width, step.neurons, tokens)
        return [heads, heads, heads, out], now._replace(channels=step.neurons)
    if not isinstance(step, DenseStep | ConvStep):
        return [], now
    fan_in, after = now.channels, now._replace(channels=step.neurons)
    if isinstance(step, ConvStep):
        high, wide = kernel_of(step, now.is_line)
        fan_in *= high * wide
        rows, columns = -(-now.rows // step.stride), -(-now.columns // step.stride)
        after = after._replace(rows=rows, columns=columns)
    return [MapSize(fan_in, step.neurons, after.rows * after.columns)], after


def kernel_of(step: ConvStep, is_line: bool) -> tuple[int, int]:
    """Rows and columns of a patch; on a line it has one row."""
    return (1 if is_line else step.kernel), step.kernel


def window_of(step: PoolStep, is_line: bool) -> tuple[int, int]:
    """Rows and columns of a window; on a line it has one row."""
    return (1 if is_line else step.average), step.average
