"""The marginal sampler on compiled kernels: what it records is what the one on torch records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused import tiles
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.fused.covariance import covariance_of_inputs
from finitewidth.sampling.fused.drawing import key_of
from finitewidth.sampling.fused.networks import CompiledMlp, Found, sample_networks, workspace
from finitewidth.sampling.requirements import require_normal

#: Normals that are drawn between two calls of ``on_tile``; no number depends on it.
TILE = 2**22


def fill(
    mlp: Perceptron,
    x: np.ndarray,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
    name: Sequence[str],
    layers: Sequence[int],
    first: int,
    networks: int,
    precision: str = "float32",
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Draw networks and put what is recorded of them into ``arrays``.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    x : array, shape (inputs, n_0)
    arrays : dict of arrays
        Those of a :class:`finitewidth.sampling.record.Recorder`: some of ``preactivation``
        (network, layer, input, neuron), float32, and ``kernel`` (network, layer, input, input),
        ``quartic`` (network, layer, quad), ``sextic`` and ``log_norm`` (network, layer, input),
        float64.
    seed, name
        Name the stream.
    layers : sequence of int
        The recorded layers, in their order.
    first, networks : int
        Number of the network that stands first in ``arrays``, a part of its numbers' names; and
        how many stand there.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Raises
    ------
    ValueError
        For weights of another law than the normal one: their sum is not Gaussian.
    """
    require_normal(mlp.weights)
    places = np.full(max(layers) + 1, -1)
    places[list(layers)] = np.arange(len(layers))
    found = found_of(arrays)
    shared = covariance_of_inputs(np.ascontiguousarray(x, float), mlp.C_b[0], mlp.C_W[0])
    work = workspace(len(x), max(layers), len(layers), precision, "quartic" in arrays)
    key = key_of(seed, *name, "networks")
    code = code_of(mlp.activation)
    if code is None:
        few = max(1, tiles.TILE // (max(mlp.widths[1:]) * len(x)))
        tiles.sample_tiles(mlp, shared, places, key, first, found, work, networks, few, on_tile)
        return
    # As plain tuples: what numba keeps on disk must name no class of ours, which a later version
    # might not have.
    plain = tuple(compiled_mlp(mlp, code)), tuple(found), tuple(work)
    step = max(1, TILE // (sum(mlp.widths[1 : len(places)]) * len(x)))
    for begin in range(0, networks, step):
        end = min(begin + step, networks)
        sample_networks(shared, places, key, first, first + begin, first + end, *plain)
        on_tile(end, networks)


def compiled_mlp(mlp: Perceptron, code: int) -> CompiledMlp:
    """The perceptron as compiled code reads it."""
    plus, minus = mlp.activation.slopes or (1.0, 1.0)
    return CompiledMlp(
        np.array(mlp.widths),
        np.array(mlp.C_b, float),
        np.array(mlp.C_W, float),
        code,
        float(plus),
        float(minus),
        mlp.is_scale_invariant,
    )


def found_of(arrays: dict[str, np.ndarray]) -> Found:
    """The arrays in their places, with empty ones for what is not recorded."""
    dimensions = {"preactivation": 4, "kernel": 4, "quartic": 3, "sextic": 3, "log_norm": 3}
    empty = {"preactivation": np.float32}
    return Found(
        *(
            arrays.get(name, np.empty((0,) * count, empty.get(name, np.float64)))
            for name, count in dimensions.items()
        )
    )
