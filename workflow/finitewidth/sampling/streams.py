"""The random streams of the networks that go through the layers together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from finitewidth.core.torch_random import torch_stream
from finitewidth.sampling.shard import Shard


class Streams:
    """The streams of a tile: of one block, or of several, each for the networks of its own.

    Parameters
    ----------
    generators : sequence of torch.Generator
        One a block, on the device of what they fill.
    counts : sequence of int
        How many networks of the tile each draws for, in their order.
    usual : int, optional
        What ``most`` is where the tile alone must not decide it.

    Attributes
    ----------
    networks : int
        Of the whole tile.
    most : int
        Networks of one block that samplers choose by what to draw together.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        counts: Sequence[int],
        usual: int | None = None,
    ):
        self._generators, self._counts = list(generators), list(counts)
        self.networks = sum(counts)
        self.most = usual or max(counts)

    def normal_(self, values: torch.Tensor, std: float = 1.0, axis: int = 0) -> torch.Tensor:
        """Fill ``values``, whose networks stand along ``axis``, with normals; return it."""
        return self._fill(values, axis, lambda part, g: part.normal_(std=std, generator=g))

    def uniform_(self, values: torch.Tensor, edge: float, axis: int = 0) -> torch.Tensor:
        """The same with uniform numbers from -edge to edge."""
        return self._fill(values, axis, lambda part, g: part.uniform_(-edge, edge, generator=g))

    def chi_(self, values: torch.Tensor, freedom: np.ndarray) -> torch.Tensor:
        """Fill ``values``, (networks, ..., k), with roots of chi^2 of k different ``freedom``.

        By numpy, under a key that a stream of torch tells: torch has no public function that takes
        one. A GPU is waited for.
        """

        def draw(part: torch.Tensor, generator: torch.Generator) -> None:
            words = torch.empty(2, dtype=torch.int64, device=generator.device)
            key = np.array(words.random_(generator=generator).tolist(), dtype=np.uint64)
            squares = np.random.Generator(np.random.Philox(key=key)).chisquare(freedom, part.shape)
            part.copy_(torch.from_numpy(np.sqrt(squares)))

        return self._fill(values, 0, draw)

    def _fill(self, values: torch.Tensor, axis: int, draw: Callable) -> torch.Tensor:
        if len(self._generators) == 1:
            draw(values, self._generators[0])
            return values
        parts = values.split(self._counts, axis)
        for part, generator in zip(parts, self._generators, strict=True):
            if part.is_contiguous():
                draw(part, generator)
            else:
                # torch draws other numbers for a tensor with gaps than for one without.
                whole = torch.empty_like(part, memory_format=torch.contiguous_format)
                draw(whole, generator)
                part.copy_(whole)
        return values


def tiles(shard: Shard, tile: int, device: str) -> Iterator[tuple[slice, Streams]]:
    """The tiles of a shard: parts of its blocks, or several blocks each where ``tile`` holds them.

    Parameters
    ----------
    shard : Shard
    tile : int
        Networks of a tile; beyond ``shard.size`` whole blocks are taken, as many as it holds.
    device : str
        What the streams fill.

    Yields
    ------
    slice, Streams
        Which networks of the shard a tile has, counted from the shard's first; its streams.
    """
    stream = partial(torch_stream, shard.seed, *shard.name, "networks", device=device)
    size, begin = shard.size, shard.begin
    if tile > size:
        for first in range(*shard.blocks, tile // size):
            numbers = range(first, min(first + tile // size, shard.blocks[1]))
            counts = [shard.count(block) for block in numbers]
            at = first * size - begin
            # The last block may be short. What is drawn together must not depend on which blocks
            # stand beside it, hence the number of a full one.
            usual = min(size, shard.networks)
            streams = Streams([stream(b) for b in numbers], counts, usual)
            yield slice(at, at + streams.networks), streams
        return
    for block in range(*shard.blocks):
        generator = stream(block)
        done = block * size
        stop = done + shard.count(block)
        while done < stop:
            count = min(tile, stop - done)
            yield slice(done - begin, done - begin + count), Streams([generator], [count])
            done += count
