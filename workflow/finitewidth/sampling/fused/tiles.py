"""The marginal sampler for an activation that the kernels do not know: layer by layer.

Neurons of a tile of networks leave the cache for the activation's own function and come back:
slower by that, and only as reproducible as that function is from one processor to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import load, total
from finitewidth.sampling.fused.covariance import correlate, semidefinite_factor
from finitewidth.sampling.fused.drawing import draw_neurons
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.fused.networks import ROW, Found, Workspace
from finitewidth.sampling.fused.sums import add_four_products, add_products

#: Numbers of one layer of a tile; no number depends on it.
TILE = 2**19


def sample_tiles(
    mlp: Perceptron,
    shared: np.ndarray,
    places: np.ndarray,
    key: np.ndarray,
    first: int,
    found: Found,
    work: Workspace,
    networks: int,
    tile: int,
    on_tile: Callable[[int, int], None],
) -> None:
    """Draw networks ``first`` and following; arguments as those of ``sample_networks``.

    The activation has no slopes, so that no scales are carried apart.
    """
    inputs, last, dtype = len(shared), len(places) - 1, work.neurons.dtype
    for begin in range(0, networks, tile):
        count = min(tile, networks - begin)
        gram = np.broadcast_to(shared, (count, inputs, inputs))
        for layer in range(1, last + 1):
            z = np.empty((count, inputs, mlp.widths[layer]), dtype)
            draw_layer(
                gram.copy(), key, first + begin, layer, z, work.neurons, work.shared, work.factor
            )
            if places[layer] >= 0:
                _record(z, begin, places[layer], found, work)
            if layer < last:
                s = np.ascontiguousarray(mlp.activation.function(z), dtype)
                sums, width = np.empty((count, len(work.sums) // LANES)), mlp.widths[layer]
                _sum(s, False, False, sums, work)
                gram = mlp.C_b[layer] + mlp.C_W[layer] / width * _matrices(sums, inputs)
        on_tile(begin + count, networks)


def _matrices(sums: np.ndarray, inputs: int) -> np.ndarray:
    """Sums of pairs (network, pair or more) as matrices (network, input, input)."""
    a, b = np.triu_indices(inputs)
    found = np.empty((len(sums), inputs, inputs))
    found[:, a, b] = found[:, b, a] = sums[:, : len(a)]
    return found


def _record(z: np.ndarray, begin: int, place: int, found: Found, work: Workspace) -> None:
    count, inputs, width = z.shape
    sums, at = np.empty((count, len(work.sums) // LANES)), slice(begin, begin + count)
    _sum(z, len(found.quartic) > 0, len(found.sextic) > 0, sums, work)
    sums /= width
    pairs = inputs * (inputs + 1) // 2
    if len(found.kernel):
        found.kernel[at, place] = _matrices(sums, inputs)
        found.preactivation[at, place] = z[:, :, : found.preactivation.shape[3]]
    if len(found.quartic):
        found.quartic[at, place] = sums[:, pairs : pairs + len(work.fours)]
    if len(found.sextic):
        found.sextic[at, place] = sums[:, pairs + len(work.fours) :]


def _sum(z: np.ndarray, with_four: bool, sixth: bool, found: np.ndarray, work: Workspace) -> None:
    sum_layer(z, with_four, sixth, found, work.neurons, work.sums, work.fours, work.products)


@cached
def draw_layer(version):
    def draw_layer(gram, key, first, layer, z, neurons, shared, factor):
        """Fill z (network, input, width) with preactivations of covariance ``gram`` (network,
        input, input), which is overwritten."""
        _ = version
        networks, inputs, width = z.shape
        for k in range(networks):
            semidefinite_factor(gram[k], factor)
            for start in range(0, width, ROW):
                count = min(ROW, width - start)
                draw_neurons(
                    neurons, ROW, inputs, start, count, width, key, first + k, layer, shared, 0
                )
                correlate(factor, neurons, ROW, (count + LANES - 1) // LANES * LANES)
                for a in range(inputs):
                    for i in range(count):
                        z[k, a, start + i] = neurons[a * ROW + i]

    return draw_layer


@cached
def sum_layer(version):
    def sum_layer(z, with_four, sixth, found, neurons, sums, fours, products):
        """Sums over the neurons of z (network, input, width), as (network, place of a sum)."""
        _ = version
        networks, inputs, width = z.shape
        for k in range(networks):
            for i in range(len(sums)):
                sums[i] = 0
            for start in range(0, width, ROW):
                count = min(ROW, width - start)
                stop = (count + LANES - 1) // LANES * LANES
                for a in range(inputs):
                    for i in range(stop):
                        neurons[a * ROW + i] = z[k, a, start + i] if i < count else 0
                if with_four:
                    add_four_products(neurons, ROW, inputs, stop, sums, fours, products, sixth)
                else:
                    add_products(neurons, ROW, inputs, stop, sums)
            for i in range(len(sums) // LANES):
                found[k, i] = total(load(sums, i * LANES))

    return sum_layer
