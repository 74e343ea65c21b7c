"""The marginal sampler of tangent kernels on compiled kernels: there and back, network by network.

What it records is what :mod:`finitewidth.sampling.mlp.marginal_ntk` records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused import way_back, way_there
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import borrowed
from finitewidth.sampling.fused.covariance import covariance_of_inputs
from finitewidth.sampling.fused.drawing import key_of
from finitewidth.sampling.fused.lanes import joined
from finitewidth.sampling.fused.marginal import found_of
from finitewidth.sampling.fused.networks import workspace
from finitewidth.sampling.fused.scales import to_natural_units
from finitewidth.sampling.fused.tangent_workspace import Kept, kept, room, tangent_mlp
from finitewidth.sampling.requirements import require_normal

#: Normals that are drawn between two calls of ``on_tile``; no number depends on it.
TILE = 2**22
#: Neurons and inputs kept at once where the activation is a function of numpy; nor on this.
KEPT = 2**18


def fill_tangents(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    kernels: dict[str, np.ndarray],
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
    """Draw networks, and put their tangent kernels into ``kernels``.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    rates : LearningRates
    x : array, shape (inputs, n_0)
        Zero, duplicated and linearly dependent inputs are ordinary, and so are more inputs than
        neurons.
    kernels : dict of arrays, float64
        ``ntk`` (network, output, output, input, input), ``output_preactivation`` (network, output,
        input) and ``conditional_kernel`` (network, pair), of the first outputs.
    arrays, seed, name, layers, first, networks, precision, on_tile
        What is recorded of the same networks' layers, as of
        :func:`finitewidth.sampling.fused.marginal.fill`; nothing where ``arrays`` is empty.

    Raises
    ------
    ValueError
        For weights of another law than the normal one.
    """
    require_normal(mlp.weights)
    inputs, outputs, depth = len(x), kernels["ntk"].shape[1], mlp.depth
    places = np.full(depth + 1, -1)
    if arrays:
        places[list(layers)] = np.arange(len(layers))
    x = np.ascontiguousarray(x, float)
    shared = covariance_of_inputs(x, mlp.C_b[0], mlp.C_W[0])
    plain = covariance_of_inputs(x, 0.0, float(mlp.widths[0]))
    # What is recorded while a network passes; kernels take their numbers by place in the tuple.
    work = workspace(inputs, depth, len(layers), precision, "quartic" in arrays)
    recording = (work.neurons, work.sums, work.products, work.fours, work.norms, work.quads)
    code = code_of(mlp.activation)
    law = tuple(tangent_mlp(mlp, rates, code, outputs))
    keys = np.stack([key_of(seed, *name, what) for what in ("networks", "back", "back biases")])
    numbers = sum(mlp.widths[1:]) * inputs
    step = max(1, TILE // (2 * outputs * numbers) if code is not None else KEPT // numbers)
    memory = kept(mlp, inputs, outputs, precision, 1 if code is not None else min(step, networks))
    memory.sums[:, 0] = plain
    into = tuple(kernels[k] for k in ("ntk", "output_preactivation", "conditional_kernel"))
    own = tuple(room(mlp, inputs, outputs, precision))
    about = law, tuple(memory), own, into, tuple(found_of(arrays)), recording
    for begin in range(first, first + networks, step):
        stop = min(begin + step, first + networks)
        where = shared, places, keys, first, begin, stop
        if code is None:
            _sample_unknown(mlp, memory, where, about)
        else:
            sample_tangents(*where, *about)
        on_tile(stop - first, networks)


def _sample_unknown(mlp: Perceptron, memory: Kept, where: tuple, about: tuple) -> None:
    """A tile of networks of an activation that the kernels do not know, layer by layer.

    Neurons leave the cache for the activation's own functions of numpy, and come back.
    """
    *_, begin, stop = where
    count, activation = stop - begin, mlp.activation
    for layer in range(1, mlp.depth):
        sample_layer(*where, layer, True, *about)
        start, row, width = memory.starts[layer], memory.rows[layer], mlp.widths[layer]
        inputs = memory.gram.shape[1]
        shape = count, inputs, row
        slopes, active = (
            values[:count, start : start + inputs * row]
            for values in (memory.slopes, memory.active)
        )
        z = np.ascontiguousarray(slopes.reshape(shape)[:, :, :width])
        for values, function in ((slopes, activation.derivative), (active, activation.function)):
            # Zeros behind the last neuron add nothing to a sum.
            whole = np.zeros(shape, z.dtype)
            whole[:, :, :width] = function(z)
            values[:] = whole.reshape(count, -1)
        sample_layer(*where, layer, False, *about)
    sample_layer(*where, mlp.depth, True, *about)


@cached
def sample_tangents(version):
    def sample_tangents(
        shared, places, keys, first, begin, stop, mlp, kept, room, kernels, found, recording
    ):
        """Draw the networks ``begin`` to ``stop``, one after another in the same memory.

        Parameters
        ----------
        shared, places, first
            As :func:`finitewidth.sampling.fused.networks.sample_networks` takes them.
        keys : array, shape (3, 3), uint64
            As :func:`finitewidth.sampling.fused.way_back.go_back` takes them.
        mlp, kept, room, kernels, found, recording : tuple
        """
        _ = version
        places, keys = borrowed((places, keys))
        mlp, kept, room, kernels, found, recording = borrowed(
            (mlp, kept, room, kernels, found, recording)
        )
        last, one = len(places) - 1, way_there.of_network(kept, 0)
        for network in range(begin, stop):
            at = network - first
            way_there.begin(shared, one)
            for layer in range(1, last):
                way_there.enter(layer, mlp, one, room[2])
                way_there.go_through(
                    layer, keys[0], network, True, True, mlp, one, room, found, at, places[layer],
                    recording,
                )  # fmt: skip
                way_there.leave(layer, mlp, one, room[1])
            _finish(keys, network, at, mlp, one, room, kernels, found, places, recording)
            if len(found[4]):
                to_natural_units(
                    one[9], recording[4], places, found[0], found[1], found[2], found[3],
                    found[4], recording[5], at,
                )  # fmt: skip

    return sample_tangents


@cached
def sample_layer(version):
    def sample_layer(
        shared, places, keys, first, begin, stop, layer, drawing,
        mlp, kept, room, kernels, found, recording,
    ):  # fmt: skip
        """The same for one layer, of networks that are all kept.

        Where ``drawing``, preactivations of a hidden layer are drawn, else the activations that
        have been made of them are summed. The last layer is drawn, and it is gone back.
        """
        _ = version
        places, keys = borrowed((places, keys))
        mlp, kept, room, kernels, found, recording = borrowed(
            (mlp, kept, room, kernels, found, recording)
        )
        last = len(places) - 1
        for network in range(begin, stop):
            at, one = network - first, way_there.of_network(kept, network - begin)
            if layer == 1 and drawing:
                way_there.begin(shared, one)
            if layer == last:
                _finish(keys, network, at, mlp, one, room, kernels, found, places, recording)
                continue
            if drawing:
                way_there.enter(layer, mlp, one, room[2])
            way_there.go_through(
                layer, keys[0], network, drawing, not drawing, mlp, one, room, found, at,
                places[layer], recording,
            )  # fmt: skip
            if not drawing:
                way_there.leave(layer, mlp, one, room[1])

    return sample_layer


@joined
def _finish(keys, network, at, mlp, one, room, kernels, found, places, recording):
    """The last layer, and the way back."""
    ntk, output, conditional = kernels
    last = len(places) - 1
    way_there.keep_conditional(last, one, conditional[at])
    way_there.enter(last, mlp, one, room[2])
    way_there.arrive(
        keys[0], network, mlp, one, room, output[at], found, at, places[last], recording
    )
    way_back.go_back(keys, network, mlp, one, room, ntk[at])
