"""Which networks of an ensemble are drawn together, and which random streams they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Blocks of an ensemble, one after another.

    Parameters
    ----------
    size : int
        Networks of a block; the last one of the ensemble may be short.
    blocks : (int, int)
        First block and one past the last.
    networks : int
        Of the whole ensemble.
    seed, name
        Name the random streams, with the number of the block or of the network.
    """

    size: int
    blocks: tuple[int, int]
    networks: int
    seed: int
    name: tuple[str, ...]

    @classmethod
    def of(
        cls,
        size: int,
        blocks: tuple[int, int] | None,
        networks: int,
        seed: int,
        name: Sequence[str],
    ) -> Shard:
        """The shard of these blocks, all that there are where ``blocks`` is None."""
        return cls(size, blocks or (0, -(-networks // size)), networks, seed, tuple(name))

    @property
    def begin(self) -> int:
        """The first network."""
        return self.blocks[0] * self.size

    @property
    def end(self) -> int:
        """One past the last network."""
        return min(self.blocks[1] * self.size, self.networks)

    def __len__(self) -> int:
        return self.end - self.begin

    def count(self, block: int) -> int:
        """Networks of one of its blocks."""
        return min(self.size, self.networks - block * self.size)
