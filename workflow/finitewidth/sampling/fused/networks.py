"""The compiled marginal sampler: whole networks, layer by layer, without leaving the cache."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import pairs, quads
from finitewidth.sampling.fused.activations import activate
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import (
    borrowed,
    float64_lanes,
    load,
    to_float64,
    total,
)
from finitewidth.sampling.fused.covariance import correlate, semidefinite_factor, to_unit_diagonal
from finitewidth.sampling.fused.drawing import GROUP, draw_neurons
from finitewidth.sampling.fused.lanes import LANES, fma, inlined, select
from finitewidth.sampling.fused.scales import to_natural_units
from finitewidth.sampling.fused.sums import STEP, add_four_products, add_products

#: Neurons of a layer that pass through the cache together. No number depends on it.
ROW = 256


class CompiledMlp(NamedTuple):
    """A perceptron as compiled code reads it; indices are layers from 0 to L."""

    widths: np.ndarray  #: int64, (L + 1,)
    C_b: np.ndarray  #: float64, (L,)
    C_W: np.ndarray  #: float64, (L,)
    code: int  #: of the activation
    plus: float  #: its slopes, where it has two
    minus: float
    is_scale_invariant: bool


class Found(NamedTuple):
    """What is recorded, (network, layer, ...) each; what is not asked for has the length 0."""

    preactivation: np.ndarray
    kernel: np.ndarray
    quartic: np.ndarray
    sextic: np.ndarray
    log_norm: np.ndarray


class Workspace(NamedTuple):
    """What a network needs while it is computed."""

    neurons: np.ndarray  #: a row of neurons an input, float32 or float64
    shared: np.ndarray  #: normals of narrow layers that share counters, of the same type
    sums: np.ndarray  #: float64, lane by lane: of what is recorded
    activation_sums: np.ndarray  #: float64, lane by lane: of activations
    products: np.ndarray  #: float64
    gram: np.ndarray  #: (input, input)
    factor: np.ndarray  #: (input, input)
    diagonals: np.ndarray  #: of every layer and input, one after the other
    norms: np.ndarray  #: mean squares of every recorded layer and input
    fours: np.ndarray  #: (quadruple, 2), the pairs that make it
    quads: np.ndarray  #: (quadruple, 4), its inputs


def workspace(
    inputs: int, layers: int, recorded: int, precision: str, with_four: bool
) -> Workspace:
    """Memory for one network of so many layers, some of them recorded."""
    two = pairs(inputs)
    four = quads(inputs) if with_four else np.empty((0, 4), int)
    number = {tuple(pair): place for place, pair in enumerate(two.tolist())}
    fours = [(number[a, b], number[c, d]) for a, b, c, d in four.tolist()]
    return Workspace(
        np.zeros(inputs * ROW, precision),
        np.zeros(inputs * GROUP, precision),
        np.zeros((len(two) + (len(four) + inputs if with_four else 0)) * LANES),
        np.zeros(len(two) * LANES),
        np.zeros(len(two) * STEP),
        np.zeros((inputs, inputs)),
        np.zeros((inputs, inputs)),
        _whole_lanes((layers + 1) * inputs),
        _whole_lanes(recorded * inputs),
        np.array(fours, int).reshape(-1, 2),
        four,
    )


def _whole_lanes(count: int) -> np.ndarray:
    return np.zeros(-(-count // LANES) * LANES)


@inlined
def clear(sums):
    for i in range(len(sums)):
        sums[i] = 0


@inlined
def clear_behind(neurons, inputs, count, stop):
    """Zeros from the last neuron to the end of its lanes: they add nothing to a sum."""
    for a in range(inputs):
        for i in range(count, stop):
            neurons[a * ROW + i] = 0


@inlined
def to_matrix(sums, factor, base, matrix):
    """base + factor times the sums of pairs."""
    at = 0
    for a in range(len(matrix)):
        for b in range(a, len(matrix)):
            matrix[a, b] = matrix[b, a] = base + factor * total(load(sums, at))
            at += LANES


@inlined
def keep_neurons(neurons, inputs, start, count, preactivation, at, place):
    """Record those of the neurons in cache that are asked for."""
    for a in range(inputs):
        for i in range(min(preactivation.shape[3] - start, count)):
            preactivation[at, place, a, start + i] = neurons[a * ROW + i]


@inlined
def keep_means(sums, inputs, width, kernel, quartic, sextic, norms, at, place):
    """Record the means of one layer; ``norms`` takes the mean square of each input."""
    lane = 0
    for a in range(inputs):
        for b in range(a, inputs):
            mean = total(load(sums, lane)) / width
            lane += LANES
            if a == b:
                norms[place * inputs + a] = mean
            if len(kernel):
                kernel[at, place, a, b] = kernel[at, place, b, a] = mean
    if len(quartic):
        for k in range(quartic.shape[2]):
            quartic[at, place, k] = total(load(sums, lane)) / width
            lane += LANES
    if len(sextic):
        for a in range(inputs):
            sextic[at, place, a] = total(load(sums, lane)) / width
            lane += LANES


@inlined
def _sum_of_squares(neurons, stop, plus, minus, so_far):
    """Lanes of ``so_far`` and of sigma(u)^2 of the numbers in cache, as the general way adds."""
    if plus == 1.0 and minus == 1.0:
        for i in range(0, stop, LANES):
            x = to_float64(load(neurons, i))
            so_far = fma(x, x, so_far)
    else:
        for i in range(0, stop, LANES):
            u = load(neurons, i)
            x = to_float64(select(u > 0.0, u * plus, u * minus))
            so_far = fma(x, x, so_far)
    return so_far


@cached
def sample_networks(version):
    def sample_networks(shared, places, key, first, begin, stop, mlp, found, work):
        """Draw the networks ``begin`` to ``stop`` and record them.

        Parameters
        ----------
        shared : array, shape (inputs, inputs)
            Covariance of the first layer's preactivations.
        places : array of int, shape (layers + 1,)
            Where in ``found`` a layer is recorded, from layer 1 on; negative where it is not.
            Beyond its end nothing is drawn.
        key : array, shape (3,), uint64
        first : int
            The network that stands first in ``found``.
        mlp, found, work : tuple
            A :class:`CompiledMlp`, :class:`Found` and :class:`Workspace` as plain tuples.
        """
        _ = version
        widths, C_b, C_W, code, plus, minus, is_scale_invariant = borrowed(mlp)
        preactivation, kernel, quartic, sextic, log_norm = borrowed(found)
        (
            neurons,
            shared_normals,
            sums,
            activation_sums,
            products,
            gram,
            factor,
            diagonals,
            norms,
            fours,
            quadruples,
        ) = borrowed(work)
        inputs, last, recorded = len(shared), len(places) - 1, 0
        if len(kernel):
            recorded = preactivation.shape[3]
        for network in range(begin, stop):
            at, held = network - first, 0
            for a in range(inputs):
                for b in range(inputs):
                    gram[a, b] = shared[a, b]
            for layer in range(1, last + 1):
                width, place = widths[layer], places[layer]
                if inputs == 1 and is_scale_invariant and place < 0 and layer < last:
                    # A layer multiplies the square by a factor of its own, whatever came before.
                    square = float64_lanes(0.0)
                    for start in range(0, width, ROW):
                        count = min(ROW, width - start)
                        end = (count + LANES - 1) // LANES * LANES
                        held = draw_neurons(
                            neurons,
                            ROW,
                            1,
                            start,
                            count,
                            width,
                            key,
                            network,
                            layer,
                            shared_normals,
                            held,
                        )
                        clear_behind(neurons, 1, count, end)
                        square = _sum_of_squares(neurons, end, plus, minus, square)
                    diagonals[layer] = gram[0, 0]
                    if gram[0, 0] > 0:
                        gram[0, 0] = C_W[layer] / width * total(square)
                    continue
                if is_scale_invariant:
                    to_unit_diagonal(gram, diagonals, layer * inputs)
                semidefinite_factor(gram, factor)
                if place >= 0:
                    clear(sums)
                clear(activation_sums)
                for start in range(0, width, ROW):
                    count = min(ROW, width - start)
                    end = (count + LANES - 1) // LANES * LANES
                    held = draw_neurons(
                        neurons,
                        ROW,
                        inputs,
                        start,
                        count,
                        width,
                        key,
                        network,
                        layer,
                        shared_normals,
                        held,
                    )
                    correlate(factor, neurons, ROW, end)
                    if place >= 0:
                        clear_behind(neurons, inputs, count, end)
                        if start < recorded:
                            keep_neurons(neurons, inputs, start, count, preactivation, at, place)
                        if len(quartic):
                            add_four_products(
                                neurons, ROW, inputs, end, sums, fours, products, len(sextic) > 0
                            )
                        else:
                            add_products(neurons, ROW, inputs, end, sums)
                    if layer < last:
                        for a in range(inputs):
                            activate(code, plus, minus, neurons, a * ROW, a * ROW + end)
                        clear_behind(neurons, inputs, count, end)
                        add_products(neurons, ROW, inputs, end, activation_sums)
                if place >= 0:
                    keep_means(sums, inputs, width, kernel, quartic, sextic, norms, at, place)
                if layer < last:
                    to_matrix(activation_sums, C_W[layer] / width, C_b[layer], gram)
            if is_scale_invariant:
                to_natural_units(
                    diagonals,
                    norms,
                    places,
                    preactivation,
                    kernel,
                    quartic,
                    sextic,
                    log_norm,
                    quadruples,
                    at,
                )

    return sample_networks
