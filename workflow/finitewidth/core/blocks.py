"""Blocks of networks: those that share one random stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

#: Floats of one layer of a tile on a processor: few enough to stay in its cache.
TILE = 2**19
#: Numbers of one layer of a tile on a GPU, and of what is recorded of its networks: enough to keep
#: it busy for far longer than it takes to be told what to do.
FILL = 2**26
#: Networks of such a tile. Batched products may count matrices along the second or the third
#: direction of a grid, which ends at 2^16 - 1.
MOST_NETWORKS = 2**16 - 1


def block_size(sampler: str, widest: int) -> int:
    """Networks a block: a power of two that depends on the network alone, never on the machine.

    It bounds what a block touches at once: a layer's neurons for the marginal sampler, a layer's
    weights for the explicit one. Smaller blocks cost more calls a network, larger ones leave the
    processor's cache (benchmarks/README.md).
    """
    if sampler == "scalar":
        return 2**16
    floats, per_network = {"marginal": (2**20, widest), "explicit": (2**22, widest**2)}[sampler]
    return 2 ** min(12, int(math.log2(max(1, floats // per_network))))


def tile_size(block: int, widest: int, inputs: int, device: str = "cpu", recorded: int = 0) -> int:
    """Networks that the marginal sampler takes through the layers together.

    On a processor a part of a block: few enough that their neurons stay in its cache from one pass
    to the next. On a GPU as many whole blocks as fill it. Their memory then is bounded, whatever
    the card: by 20 bytes a neuron and input of a layer (normals, correlated ones, their copy in
    double precision, the activation's own), 2 (inputs + 1) more where four-point sums are
    recorded, and 32 a recorded number; 4 GiB together at most in single precision.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``, never a particular card: numbers follow from it.
    recorded : int
        Numbers recorded of one network.
    """
    if device == "cpu":
        return min(block, max(1, TILE // (widest * inputs)))
    # Matrices (inputs, inputs) in double precision, a few of them, count where layers are narrow.
    return _blocks_of(block, FILL // max(inputs * max(widest, 8 * inputs), recorded))


def explicit_tile_size(
    block: int, widths: Sequence[int], inputs: int, device: str = "cpu", recorded: int = 0
) -> int:
    """The same for the explicit sampler: a block, or on a GPU as many as fill it.

    On a GPU a tile holds the weights of one layer, its neurons in single and in double precision,
    and what is recorded. Together they take at most 2 GiB in single precision, unless a single
    network takes more.
    """
    if device == "cpu":
        return block
    layer = max(a * b for a, b in pairwise(widths)) + 4 * max(widths[1:]) * inputs
    return _blocks_of(block, FILL // max(layer, recorded))


def ladder_tile_size(
    block: int,
    widths: Sequence[int],
    inputs: int,
    device: str = "cpu",
    recorded: int = 0,
    layers: int = 0,
) -> int:
    """The same for a ladder with rungs of these widths; 2 GiB at most on a GPU.

    Normals, neurons and controls stand beside each other, so a tile holds half as many networks. On
    a GPU the neurons of every rung count, and a few dozen controls and copies of the widest;
    ``layers`` is how many keep sums of four activations or slopes for tangent kernels, 0 for none.
    """
    if device == "cpu":
        return tile_size(block, 2 * max(widths), inputs)
    beside = 24 + (4 * inputs if layers else 0)
    recorded += 4 * layers * len(widths) * inputs**4
    return tile_size(block, (sum(widths) + beside * max(widths)) // 4, inputs, device, recorded)


def _blocks_of(block: int, networks: int) -> int:
    """So many networks, rounded down to whole blocks unless they are fewer than one block."""
    networks = max(1, min(networks, MOST_NETWORKS))
    return networks if networks < block else networks // block * block


def ntk_tile_size(
    sampler: str,
    widths: Sequence[int],
    block: int,
    inputs: int,
    outputs: int,
    itemsize: int,
    memory: float,
    device: str = "cpu",
    dntk: bool = False,
) -> int:
    """Networks whose tangent kernels are computed together: of a block, or on a GPU several blocks.

    Parameters
    ----------
    widths : sequence of int
        n_0 to n_L.
    itemsize : int
        Bytes a number.
    memory : float
        GiB that they may take at most; on a GPU as many are taken as that holds.
    device : str
        ``cpu`` or ``cuda``.
    dntk : bool
        Whether derivatives of tangent kernels are computed, too.

    Raises
    ------
    ValueError
        Where a single network takes more.
    """
    neurons, columns = sum(widths[1:]), inputs * (1 + outputs)
    # Drawn numbers, activations and slopes of every layer, and a few arrays of the backward pass.
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
    if device == "cpu":
        return min(tile, most)
    # What a block on a processor may neglect: rows in double precision, kernels layer by layer, and
    # second-order jets.
    rows = inputs * outputs
    numbers += 4 * max(widths) * columns + (2 * len(widths) + 16) * rows**2
    if dntk:
        numbers += 4 * rows**2 * inputs * max(widths)
    # And a quarter for copies that live for a moment.
    numbers += numbers // 4
    return _blocks_of(block, int(memory * 2**30 / (numbers * itemsize)))
