"""Blocks of networks: those that share one random stream."""

from __future__ import annotations

import math

#: Floats of one layer of a tile.
TILE = 2**19


def block_size(sampler: str, widest: int) -> int:
    """Networks a block: a power of two that depends on the law alone, never on the machine.

    It bounds what a block touches at once: a layer's neurons for the marginal sampler, a layer's
    weights for the explicit one. Smaller blocks cost more calls a network, larger ones leave the
    processor's cache (benchmarks/README.md).
    """
    floats, per_network = {"marginal": (2**20, widest), "explicit": (2**22, widest**2)}[sampler]
    return 2 ** min(12, int(math.log2(max(1, floats // per_network))))


def tile_size(block: int, widest: int, inputs: int) -> int:
    """Networks of a block that the marginal sampler takes through the layers together.

    Few enough that their neurons stay in a processor's cache from one pass to the next.
    """
    return min(block, max(1, TILE // (widest * inputs)))
