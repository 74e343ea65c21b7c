"""Backwards through one network, weights integrated out: its tangent kernel.

Let S be the activations of a layer of n neurons (a row an input), K = C_b + C_W/n S S^T = F F^T the
covariance of the next layer's preactivations Z = F T, T normals, and Q = sqrt(C_W/n) F^+ S. For
rows U that are functions of Z and of later layers, such as its derivatives, U U^T = R R^T,

    U W = sqrt(C_W/n) {R Xi + [U T^T - R (Xi Q^T + sqrt(C_b) eta (F^+ 1)^T)] Q}

in law, given Z, where Xi (row, n) and eta (row,) are fresh normals: what W and the biases have not
shown in Z is as it was, the rest is known (a bias is one more weight, of an activation
sqrt(C_b n/C_W); derived here). So the biases cost no normal a neuron.

Rows of U are kept at unit length, and their scales apart: single precision will do for any depth.
"""

from __future__ import annotations

import math

from numba import njit

from finitewidth.sampling.fused.conversions import (
    converted,
    load,
    store,
    to_float64,
    total,
)
from finitewidth.sampling.fused.covariance import semidefinite_factor
from finitewidth.sampling.fused.drawing import draw
from finitewidth.sampling.fused.lanes import LANES, fma, joined
from finitewidth.sampling.fused.networks import ROW, clear
from finitewidth.sampling.fused.products import add_products_of, add_squares_of


@njit(error_model="numpy")
def _to_span(spans, layer, active, at, row, stop):
    """Turn rows of activations into rows of Q, in place. Where inputs nearly coincide large numbers
    nearly cancel, hence double precision."""
    for a in range(spans.shape[1] - 1, -1, -1):
        for i in range(0, stop, LANES):
            s = load(active, at + a * row + i)
            value = to_float64(s) * spans[layer, a, a]
            for b in range(a):
                value = fma(to_float64(load(active, at + b * row + i)), spans[layer, a, b], value)
            store(active, at + a * row + i, converted(value, s))


@joined
def _add_terms(layer, mlp, kept, gram, row_scales, theta):
    """What the weights and biases of a layer add, ``gram`` being that of its derivatives."""
    widths, lambda_b, lambda_W = mlp[0], mlp[3], mlp[4]
    squares, scales = kept[5], kept[6]
    rate, before = lambda_W[layer - 1] / widths[layer - 1], layer - 1
    inputs, outputs = theta.shape[2], len(theta)
    for i in range(outputs):
        for a in range(inputs):
            r = i * inputs + a
            one = row_scales[r]
            for j in range(outputs):
                for b in range(inputs):
                    q = j * inputs + b
                    other = row_scales[q]
                    # Scales of activations and of derivatives may be far out, but not together.
                    weights = (one * scales[before, a]) * (other * scales[before, b])
                    weights *= rate * squares[before, a, b]
                    biases = one * other * lambda_b[layer - 1]
                    theta[i, j, a, b] += (weights + biases) * gram[r, q]


@joined
def _begin(mlp, kept, room, theta):
    """Derivatives at the outputs are 1, and add the first term."""
    widths, outputs = mlp[0], mlp[10]
    drawn, last = kept[2], len(widths) - 1
    row, first = kept[1][last], kept[0][last]
    gram, root, mixed, row_scales = room[7], room[8], room[9], room[10]
    inputs = theta.shape[2]
    for i in range(outputs):
        for j in range(outputs):
            root[i, j] = 1.0 if i == j else 0.0
            for a in range(inputs):
                for b in range(inputs):
                    theta[i, j, a, b] = 0.0
                    gram[i * inputs + a, j * inputs + b] = 1.0 if i == j else 0.0
        for a in range(inputs):
            mixed[i, a] = drawn[first + a * row + i]
            row_scales[i * inputs + a] = 1.0
    _add_terms(last, mlp, kept, gram, row_scales, theta)


@joined
def _draw_back(layer, keys, network, mlp, kept, room, count, spread):
    """Draw Xi for ``count`` rows, ``spread`` rows of memory apart, and subtract what it has on the
    span from ``mixed``, the derivatives' products with what was drawn."""
    widths, C_b, C_W = mlp[0], mlp[1], mlp[2]
    active, spans = kept[3], kept[7]
    row, first = kept[1][layer], kept[0][layer]
    back, biases, on_span, root, mixed = room[3], room[4], room[5], room[8], room[9]
    fresh = room[7]  # (row, row), more than (row, input), and free for now
    inputs, width, apart = spans.shape[1], widths[layer], spread * row
    clear(on_span)
    for start in range(0, width, ROW):
        size = min(ROW, width - start)
        end = (size + LANES - 1) // LANES * LANES
        for r in range(count):
            draw(back, r * apart + start, start, size, keys[1], network, layer, r)
        _to_span(spans, layer, active, first + start, row, end)
        add_products_of(
            back, start, apart, count, active, first + start, row, inputs, end, on_span, 0,
            inputs * LANES,
        )  # fmt: skip
    with_biases = C_b[layer] > 0.0 and C_W[layer] > 0.0
    if with_biases:
        draw(biases, 0, 0, count, keys[2], network, layer, 0)
    for a in range(inputs):
        seen = 0.0
        if with_biases:
            for b in range(a + 1):
                seen += spans[layer, a, b]
            seen *= math.sqrt(C_b[layer] / (C_W[layer] / width))
        for q in range(count):
            fresh[q, a] = total(load(on_span, (q * inputs + a) * LANES))
            if with_biases:
                fresh[q, a] += biases[q] * seen
        for r in range(count):
            for q in range(r + 1):
                mixed[r, a] -= root[r, q] * fresh[q, a]


@joined
def _returned(root, mixed, r, back, at, apart, active, there, row):
    """16 neurons of row r of R Xi + mixed Q."""
    value = load(back, at + r * apart) * root[r, r]
    for q in range(r):
        value = fma(load(back, at + q * apart), root[r, q], value)
    for a in range(mixed.shape[1]):
        value = fma(load(active, there + a * row), mixed[r, a], value)
    return value


@joined
def _pass_back(layer, mlp, kept, room, count, spread):
    """Derivatives at a layer, in ``back``, and the sums of their products."""
    widths = mlp[0]
    drawn, active, slopes = kept[2], kept[3], kept[4]
    row, first = kept[1][layer], kept[0][layer]
    back, on_span, squares, root, mixed = room[3], room[5], room[6], room[8], room[9]
    inputs, rows, width, apart = mixed.shape[1], len(mixed), widths[layer], spread * row
    clear(on_span)
    clear(squares)
    for start in range(0, width, ROW):
        end = (min(ROW, width - start) + LANES - 1) // LANES * LANES
        here = first + start
        for r in range(count - 1, -1, -1):
            for i in range(0, end, LANES):
                at, there = start + i, here + i
                value = _returned(root, mixed, r, back, at, apart, active, there, row)
                if spread == 1:
                    slope = load(slopes, there + r % inputs * row)
                    store(back, r * row + at, value * slope)
                else:
                    for a in range(inputs):
                        slope = load(slopes, there + a * row)
                        store(back, (r * inputs + a) * row + at, value * slope)
        add_squares_of(back, start, row, rows, end, squares)
        if layer > 1:
            add_products_of(
                back, start, row, rows, drawn, here, row, inputs, end, on_span, 0, inputs * LANES
            )


@joined
def _to_unit_rows(layer, room):
    """Sums as matrices, with the lengths of rows taken to their scales."""
    on_span, squares, gram, mixed = room[5], room[6], room[7], room[9]
    row_scales, rows, inputs = room[10], len(mixed), mixed.shape[1]
    for r in range(rows):
        for q in range(r, rows):
            gram[r, q] = gram[q, r] = total(load(squares, (r * rows + q) * LANES))
    for r in range(rows):
        length = math.sqrt(gram[r, r])
        row_scales[r] *= length
        if length != 0.0:
            for q in range(rows):
                gram[r, q] /= length
                gram[q, r] /= length
            gram[r, r] = 1.0
        if layer > 1:
            for a in range(inputs):
                product = total(load(on_span, (r * inputs + a) * LANES))
                mixed[r, a] = product / length if length != 0.0 else 0.0


@joined
def go_back(keys, network, mlp, kept, room, theta):
    """The tangent kernel (output, output, input, input) of the network that ``kept`` tells of.

    Parameters
    ----------
    keys : array, shape (3, 3), uint64
        Of what is drawn on the way there, on the way back, and for the biases on the way back.
    mlp, kept, room : tuple
        A :class:`.tangent_workspace.TangentMlp`, its ``Kept`` and its ``Room``, as plain tuples.
        Activations are overwritten.
    """
    widths, C_W, outputs = mlp[0], mlp[2], mlp[10]
    gram, root, row_scales = room[7], room[8], room[10]
    inputs, last = theta.shape[2], len(widths) - 1
    _begin(mlp, kept, room, theta)
    for layer in range(last - 1, 0, -1):
        # Gradients of an output at the last layer but one are the same vector for all inputs, but
        # for the slopes.
        count, spread = (outputs, inputs) if layer == last - 1 else (outputs * inputs, 1)
        _draw_back(layer, keys, network, mlp, kept, room, count, spread)
        _pass_back(layer, mlp, kept, room, count, spread)
        _to_unit_rows(layer, room)
        scale = math.sqrt(C_W[layer] / widths[layer])
        for r in range(len(row_scales)):
            row_scales[r] *= scale
        _add_terms(layer, mlp, kept, gram, row_scales, theta)
        if layer > 1:
            semidefinite_factor(gram, root)
