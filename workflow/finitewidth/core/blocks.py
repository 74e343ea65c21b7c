"""Blocks of networks: those that share one random stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

#: Floats of one layer of a tile on a processor: few enough to stay in its cache.
TILE = 2**19
#: Numbers of one layer of a tile on a GPU, and of what is recorded of its networks: enough to keep
#: it busy for far longer than it takes to be told what to do.
FILL = 2**26
#: Rows, inputs at all their places, of which theory holds the kernels of all pairs (half a GiB).
MOST_ROWS = 3000
#: GiB that networks take at most whose derivatives by layers are computed together.
GRADIENT_MEMORY = 1.0
#: Networks of such a tile. Batched products may count matrices along the second or the third
#: direction of a grid, which ends at 2^16 - 1.
MOST_NETWORKS = 2**16 - 1


def block_size(sampler: str, widest: int) -> int:
    """Networks a block: a power of two that depends on the network alone, never on the machine.

    It bounds what a block touches at once: a layer's neurons for the marginal sampler, a layer's
    weights for the explicit one; networks in training go through their weights again and again, and
    stand there twice, or, without weights, through the vectors that these would have met. Smaller
    blocks cost more calls a network, larger ones leave the processor's cache
    (benchmarks/README.md).
    """
    if sampler == "scalar":
        return 2**16
    floats, per_network = {
        "marginal": (2**20, widest),
        "explicit": (2**22, widest**2),
        "training": (2**18, widest**2),
        "marginal training": (2**13, widest),
    }[sampler]
    return 2 ** min(12, int(math.log2(max(1, floats // per_network))))


class MapSize(NamedTuple):
    """What a map of a network sees and gives, and at how many places of an input.

    ``head_dim`` is that of a map to heads of attention, 0 of any other.
    """

    fan_in: int
    fan_out: int
    places: int
    head_dim: int = 0

    def drawn(self, sampler: str, inputs: int = 1) -> int:
        """Numbers of a row that stand in memory: of heads without weights never more than rows."""
        rows = inputs * self.places
        if sampler == "explicit" or rows >= self.head_dim:
            return self.fan_out
        return self.fan_out // self.head_dim * rows

    def has_weights(self, sampler: str, inputs: int) -> bool:
        """Whether weights are drawn: where rows are no fewer than what the matrix multiplies, they
        are by either sampler, but for heads of more dimensions than rows."""
        rows = inputs * self.places
        return sampler == "explicit" or rows >= max(self.fan_in, self.head_dim)


def block_width(sampler: str, maps: Sequence[MapSize]) -> int:
    """What :func:`block_size` takes for the width of a network of such maps, on one input.

    Neurons at all places. Of drawn weights, where maps have places, the side of a square as large
    as the largest of weights, patches and neurons at all places.
    """
    if sampler == "marginal" or all(one.places == 1 for one in maps):
        return max(one.drawn(sampler) * one.places for one in maps)
    most = max(
        max(one.fan_in * one.fan_out, one.places * max(one.fan_in, one.fan_out)) for one in maps
    )
    return math.isqrt(most - 1) + 1


def placed_tile_size(
    sampler: str,
    block: int,
    maps: Sequence[MapSize],
    inputs: int,
    device: str = "cpu",
    recorded: int = 0,
    columns: int = 0,
) -> int:
    """Networks that go through layers with places together, by either sampler.

    Parameters
    ----------
    maps : sequence of MapSize
    columns : int
        Rows of derivatives that go back for each input's own, as many as outputs, where tangent
        kernels are computed: then all layers are kept.
    """
    numbers = placed_numbers(sampler, maps, inputs, columns)
    if device == "cpu":
        tile = 8 * TILE if sampler == "explicit" or columns else 4 * TILE
        return min(block, max(1, tile // numbers))
    return _blocks_of(block, FILL // max(2 * numbers, recorded))


def placed_numbers(sampler: str, maps: Sequence[MapSize], inputs: int, columns: int = 0) -> int:
    """Numbers that one network with places holds at once, in single precision.

    ``columns`` is as in :func:`placed_tile_size`.
    """
    rows = [inputs * one.places for one in maps]
    # Tangent kernels take heads as they are.
    how = "explicit" if columns else sampler
    each = [
        # Neurons and activations; their covariance in double precision, its root and a copy; what
        # weights multiply.
        (1 + columns) * r * one.drawn(how, inputs) * (3 if columns else 1)
        + (8 * r * r * (1 + columns**2) if columns or not one.has_weights(how, inputs) else 0)
        + ((one.fan_in * (one.fan_out + r * (1 + columns)))
           if columns or one.has_weights(how, inputs) else 0)
        for r, one in zip(rows, maps, strict=True)
    ]  # fmt: skip
    return sum(each) if columns else max(each)


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
