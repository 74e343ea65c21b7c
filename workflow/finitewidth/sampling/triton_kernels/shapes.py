"""How networks are divided into programs, by their widths alone, so that no byte depends on how
many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Warps of a program, of 32 threads.
WARPS = 4
#: Neurons that a counter has normals of.
FOUR = 4


class Shape(NamedTuple):
    """Networks of a program; counters of each that are drawn at once."""

    networks: int
    lanes: int

    def whole(self, widths: Sequence[int]) -> bool:
        """Whether layers of these widths consist of whole rounds."""
        return all(width % max(64, FOUR * self.lanes) == 0 for width in widths)


def shape_of(widths: Sequence[int]) -> Shape:
    """A counter a thread: a warp has one network, or two where layers are narrow.

    Wide layers take four warps a network, which add up through shared memory once a layer; where a
    network has a warp of its own nothing is waited for.
    """
    counters = max(widths) // FOUR
    lanes = 16 if counters <= 16 else 32 if counters < 4096 else 32 * WARPS
    return Shape(32 * WARPS // lanes, lanes)
