"""Blocks of networks: those that share one random stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

#: Floats of one layer of a tile.
TILE = 2**19


def block_size(sampler: str, widest: int) -> int:
    """Networks a block: a power of two that depends on the law alone, never on the machine.

    It bounds what a block touches at once: a layer's neurons for the marginal sampler, a layer's
    weights for the explicit one. Smaller blocks cost more calls a network, larger ones leave the
    processor's cache (benchmarks/README.md).
    """
    if sampler == "scalar":
        return 2**16
    floats, per_network = {"marginal": (2**20, widest), "explicit": (2**22, widest**2)}[sampler]
    return 2 ** min(12, int(math.log2(max(1, floats // per_network))))


def tile_size(block: int, widest: int, inputs: int) -> int:
    """Networks of a block that the marginal sampler takes through the layers together.

    Few enough that their neurons stay in a processor's cache from one pass to the next.
    """
    return min(block, max(1, TILE // (widest * inputs)))


def ntk_tile_size(
    sampler: str,
    widths: Sequence[int],
    block: int,
    inputs: int,
    outputs: int,
    itemsize: int,
    memory: float,
) -> int:
    """Networks of a block whose tangent kernels are computed together.

    Parameters
    ----------
    widths : sequence of int
        n_0 to n_L.
    itemsize : int
        Bytes a number.
    memory : float
        GiB that they may take at most.

    Raises
    ------
    ValueError
        Where a single network takes more.
    """
    neurons, columns = sum(widths[1:]), inputs * (1 + outputs)
    # Drawn numbers, activations and slopes of every layer, and a few times the way back.
    numbers = 3 * neurons * inputs + 4 * max(widths) * columns
    # Twice as many as of preactivations: there are more small matrices to a tile, too.
    tile = min(block, max(1, 2 * TILE // (max(widths[1:]) * inputs)))
    if sampler == "explicit":
        numbers = sum(a * b for a, b in pairwise(widths)) + 2 * neurons * (inputs + columns)
        tile = block
    most = int(memory * 2**30 / (numbers * itemsize))
    if most < 1:
        raise ValueError(
            f"memory of {memory:g} GiB does not hold one network of widths"
            f" {', '.join(map(str, widths))}, which takes {numbers * itemsize / 2**30:.2g} GiB"
            f" with the {sampler} sampler"
        )
    return min(tile, most)
