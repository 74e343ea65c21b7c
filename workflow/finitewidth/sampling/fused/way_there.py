"""Forwards through one network, keeping what the way back needs: see :mod:`.way_back`.

Networks are those of :mod:`.networks`, number by number, as long as no layer has fewer than 33
neurons: here narrow layers do not share counters.
"""

from __future__ import annotations

import math

from finitewidth.sampling.fused.conversions import load, store, total
from finitewidth.sampling.fused.covariance import correlate, semidefinite_factor, to_unit_diagonal
from finitewidth.sampling.fused.drawing import draw
from finitewidth.sampling.fused.lanes import LANES, fma, joined
from finitewidth.sampling.fused.networks import ROW, clear, clear_behind, keep_means, keep_neurons
from finitewidth.sampling.fused.products import add_squares_of
from finitewidth.sampling.fused.slopes import activate_with_slopes
from finitewidth.sampling.fused.sums import add_four_products, add_products


@joined
def of_network(kept, slot):
    """Of what is kept of several networks, that of one."""
    starts, rows, drawn, active, slopes, sums, scales, spans, gram, diagonals = kept
    return (
        starts,
        rows,
        drawn[slot],
        active[slot],
        slopes[slot],
        sums[slot],
        scales[slot],
        spans[slot],
        gram[slot],
        diagonals[slot],
    )


@joined
def _inverse_of(factor, inverses, at):
    """F^+ of a lower triangular F whose dependent inputs have columns of zeros.

    F^+ S has orthonormal rows where S S^T = F F^T, and a row of zeros for each dependent input.
    """
    for b in range(len(factor)):
        for a in range(len(factor)):
            inverses[at, a, b] = 0.0
        for a in range(b, len(factor)):
            pivot = factor[a, a]
            if pivot != 0.0:
                value = 1.0 if a == b else 0.0
                for c in range(b, a):
                    value -= factor[a, c] * inverses[at, c, b]
                inverses[at, a, b] = value / pivot


@joined
def begin(shared, kept):
    """Begin with the covariance of the first layer."""
    gram = kept[8]
    for a in range(len(gram)):
        for b in range(len(gram)):
            gram[a, b] = shared[a, b]


@joined
def enter(layer, mlp, kept, factor):
    """Factor the covariance of a layer, and keep what takes the activations before it to Q."""
    widths, C_W, is_scale_invariant = mlp[0], mlp[2], mlp[9]
    scales, spans, gram, diagonals = kept[6], kept[7], kept[8], kept[9]
    inputs = len(factor)
    if is_scale_invariant:
        to_unit_diagonal(gram, diagonals, layer * inputs)
        for a in range(inputs):
            gained = math.sqrt(diagonals[layer * inputs + a])
            scales[layer, a] = scales[layer - 1, a] * gained
    semidefinite_factor(gram, factor)
    _inverse_of(factor, spans, layer - 1)
    unit = math.sqrt(C_W[layer - 1] / widths[layer - 1])
    for b in range(inputs):
        scale = unit
        if is_scale_invariant:
            # A dead input stays one.
            gained = math.sqrt(diagonals[layer * inputs + b])
            scale = unit / gained if gained != 0.0 else 0.0
        for a in range(b, inputs):
            spans[layer - 1, a, b] *= scale


@joined
def _correlated(factor, drawn, at, slopes, row, stop):
    """Rows of covariance R R^T, where there were slopes; as :func:`.covariance.correlate`."""
    for a in range(len(factor)):
        own = factor[a, a]
        for i in range(0, stop, LANES):
            z = load(drawn, at + a * row + i) * own
            for b in range(a):
                z = fma(load(drawn, at + b * row + i), factor[a, b], z)
            store(slopes, at + a * row + i, z)


@joined
def _record(inputs, start, count, end, found, at, place, recording):
    """Take what is asked for of the neurons of one layer that are in cache."""
    preactivation, kernel, quartic, sextic = found[0], found[1], found[2], found[3]
    neurons, sums, products, fours = recording[0], recording[1], recording[2], recording[3]
    clear_behind(neurons, inputs, count, end)
    if len(kernel) and start < preactivation.shape[3]:
        keep_neurons(neurons, inputs, start, count, preactivation, at, place)
    if len(quartic):
        add_four_products(neurons, ROW, inputs, end, sums, fours, products, len(sextic) > 0)
    else:
        add_products(neurons, ROW, inputs, end, sums)


@joined
def go_through(layer, key, network, drawing, summing, mlp, kept, room, found, at, place, recording):
    """Draw a hidden layer, and sum its activations.

    Without a number for the activation z stays in place of the slopes.
    """
    widths, code, plus, minus, at_zero = mlp[0], mlp[5], mlp[6], mlp[7], mlp[8]
    drawn, active, slopes = kept[2], kept[3], kept[4]
    row, first, factor, sums = kept[1][layer], kept[0][layer], room[2], room[1]
    neurons, recorded_sums = recording[0], recording[1]
    inputs, width, recorded = len(factor), widths[layer], place >= 0 and drawing
    if recorded:
        clear(recorded_sums)
    clear(sums)
    for start in range(0, width, ROW):
        count = min(ROW, width - start)
        end = (count + LANES - 1) // LANES * LANES
        here = first + start
        if drawing:
            for a in range(inputs):
                draw(drawn, here + a * row, start, count, key, network, layer, a)
            _correlated(factor, drawn, here, slopes, row, end)
            if recorded:
                for a in range(inputs):
                    for i in range(0, end, LANES):
                        store(neurons, a * ROW + i, load(slopes, here + a * row + i))
                _record(inputs, start, count, end, found, at, place, recording)
            if code >= 0:
                for a in range(inputs):
                    to = here + a * row
                    activate_with_slopes(code, plus, minus, at_zero, slopes, to, active, to, end)
                    for i in range(count, end):
                        active[to + i] = slopes[to + i] = 0
        if summing:
            add_squares_of(active, here, row, inputs, end, sums)
    if recorded:
        keep_means(
            recorded_sums, inputs, width, found[1], found[2], found[3], recording[4], at, place
        )


@joined
def leave(layer, mlp, kept, sums):
    """Keep the sums of a layer's activations, and make of them the covariance of the next."""
    widths, C_b, C_W = mlp[0], mlp[1], mlp[2]
    squares, gram = kept[5], kept[8]
    inputs = len(gram)
    for a in range(inputs):
        for b in range(a, inputs):
            whole = total(load(sums, (a * inputs + b) * LANES))
            squares[layer, a, b] = squares[layer, b, a] = whole
            value = C_b[layer] + C_W[layer] / widths[layer] * whole
            gram[a, b] = gram[b, a] = value


@joined
def keep_conditional(layer, kept, conditional):
    """The covariance of a layer in natural units, pair by pair."""
    scales, gram = kept[6], kept[8]
    pair = 0
    for a in range(len(gram)):
        for b in range(a, len(gram)):
            # Unit scales where none are carried apart.
            conditional[pair] = gram[a, b] * (scales[layer - 1, a] * scales[layer - 1, b])
            pair += 1


@joined
def arrive(key, network, mlp, kept, room, output, found, at, place, recording):
    """Draw the last layer: as many neurons as are wanted. ``output`` is (output, input)."""
    widths, outputs = mlp[0], mlp[10]
    layer = len(widths) - 1
    drawn, scales = kept[2], kept[6]
    row, first, factor = kept[1][layer], kept[0][layer], room[2]
    neurons, recorded_sums = recording[0], recording[1]
    inputs, width = len(factor), outputs
    if place >= 0:
        clear(recorded_sums)
        width = widths[layer]
    for start in range(0, width, ROW):
        count = min(ROW, width - start)
        end = (count + LANES - 1) // LANES * LANES
        for a in range(inputs):
            draw(neurons, a * ROW, start, count, key, network, layer, a)
            for i in range(min(count, outputs - start)):
                drawn[first + a * row + start + i] = neurons[a * ROW + i]
        correlate(factor, neurons, ROW, end)
        for a in range(inputs):
            for i in range(min(count, outputs - start)):
                output[start + i, a] = neurons[a * ROW + i] * scales[layer, a]
        if place >= 0:
            _record(inputs, start, count, end, found, at, place, recording)
    if place >= 0:
        keep_means(
            recorded_sums, inputs, width, found[1], found[2], found[3], recording[4], at, place
        )
