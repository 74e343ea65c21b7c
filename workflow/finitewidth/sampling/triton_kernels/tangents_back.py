"""Tangent kernels on a GPU, backwards: neurons drawn again, derivatives summed as they are made.

With U the derivatives at the layer above, a row an output and input, those at a layer are
(root of U U^T times fresh normals off the span of S, and U T^T on it) times the gates sigma'(z)
(:mod:`finitewidth.sampling.mlp.marginal_ntk`). Of each layer only U U^T and U T^T are handed on.
"""

from __future__ import annotations

import triton
import triton.language as tl

from finitewidth.sampling.triton_kernels.activations import slope
from finitewidth.sampling.triton_kernels.matrices import (
    correlate,
    factor_of,
    pseudo_inverse,
    single,
    totals,
    zeros,
)
from finitewidth.sampling.triton_kernels.networks import add_gram, keep_living
from finitewidth.sampling.triton_kernels.normals import first_neuron
from finitewidth.sampling.triton_kernels.tangents import (
    activations_of,
    add_crossed,
    draw_rows,
    fetch,
    preactivations,
    scaled,
)


@triton.jit
def orthonormal(inverse, s, A: tl.constexpr):
    """Q = F^+ S in single precision; one input is left as it is.

    Entries of F^+ are large where inputs nearly coincide and nearly cancel, hence products in
    double precision.
    """
    if A == 1:
        q = s
    else:
        q = ()
        for a in tl.static_range(A):
            for k in tl.static_range(4):
                value = s[k].to(tl.float64) * inverse[a * (a + 1) // 2]
                for b in tl.static_range(1, a + 1):
                    own = s[4 * b + k].to(tl.float64)
                    value = tl.fma(own, inverse[a * (a + 1) // 2 + b], value)
                q = q + (value.to(tl.float32),)
    return q


@triton.jit
def mix_of(below, on_span, crossed, inverse, scale, ROWS: tl.constexpr, A: tl.constexpr):
    """What derivatives take of Q, (ROWS, A): U T^T less what fresh normals have on the span of S.

    ``below`` is a root of U U^T, ``crossed`` the products of fresh normals with S.
    """
    found = ()
    for r in tl.static_range(ROWS):
        for a in tl.static_range(A):
            lost = below[0] * 0.0
            for b in tl.static_range(a + 1):
                part = below[0] * 0.0
                for k in tl.static_range(r + 1):
                    part += below[r * (r + 1) // 2 + k] * crossed[k * A + b]
                lost += part * inverse[a * (a + 1) // 2 + b]
            entry = (on_span[r * A + a] - lost) * scale
            if A == 1:
                entry = entry * inverse[0]
            found = found + (entry,)
    return found


@triton.jit
def _derivative(back, q, mix, r: tl.constexpr, k: tl.constexpr, A: tl.constexpr):
    """Vector k of row r before the gates: off the span of S and on it."""
    value = back[4 * r + k]
    for c in tl.static_range(A):
        value = tl.fma(q[4 * c + k], mix[r * A + c], value)
    return value


@triton.jit
def _back(
    words, last, network, layer, below, on_span, scratch, place, index, networks, root,
    widths, biases, naturals, lane,
    A: tl.constexpr, OUT: tl.constexpr, ROWS: tl.constexpr, CODE: tl.constexpr,
    PLUS: tl.constexpr, MINUS: tl.constexpr, BIAS: tl.constexpr, WHOLE: tl.constexpr,
    NETS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """U U^T (lower triangle) and U T^T (OUT A, A) of a layer, from those of the layer above."""
    pairs: tl.constexpr = A * (A + 1) // 2
    every: tl.constexpr = OUT * A
    width = tl.load(widths + layer)
    bias = tl.sqrt(tl.load(biases + layer)).to(tl.float32)
    inverse = pseudo_inverse(fetch(scratch, place, index, networks, pairs), A)
    crossed = fetch(scratch, place + 2 * pairs, index, networks, ROWS * A)
    # Of the weights above: natural C_W over this layer's width.
    scale = tl.sqrt(tl.load(naturals + layer + 1))
    mix = single(mix_of(below, on_span, crossed, inverse, scale, ROWS, A), ROWS * A)
    spread = single(scaled(below, scale, ROWS * (ROWS + 1) // 2), ROWS * (ROWS + 1) // 2)
    products = zeros(every * (every + 1) // 2, NETS, LANES, tl.float64)
    spans = zeros(every * A, NETS, LANES, tl.float32)
    for start in range(0, (width + 63) // 64 * 16, LANES):
        counter = start + lane
        neuron = first_neuron(counter)
        u, z = preactivations(words, counter, network, layer, last, root, bias, A, BIAS)
        s = activations_of(z, neuron, width, A, CODE, PLUS, MINUS, WHOLE)
        q = orthonormal(inverse, s, A)
        fresh = draw_rows(words, counter, network, layer, last, A, ROWS)
        back = correlate(spread, fresh, ROWS)
        rows = ()
        for o in tl.static_range(OUT):
            for a in tl.static_range(A):
                for k in tl.static_range(4):
                    # In the last hidden layer there is a row an output, for every input.
                    if ROWS == OUT * A:
                        value = _derivative(back, q, mix, o * A + a, k, A)
                    else:
                        value = _derivative(back, q, mix, o, k, A)
                    gate = slope(z[4 * a + k], s[4 * a + k], CODE, PLUS, MINUS)
                    rows = rows + (value * gate,)
        if not WHOLE:
            rows = keep_living(rows, neuron, width, every)
        products = add_gram(products, rows, every)
        spans = add_crossed(spans, rows, u, every, A, False)
    return totals(products, every * (every + 1) // 2), totals(spans, every * A)


@triton.jit
def _entry(matrix, a: tl.constexpr, b: tl.constexpr):
    """Entry (a, b) of a symmetric matrix."""
    if a < b:
        return matrix[b * (b + 1) // 2 + a]
    return matrix[a * (a + 1) // 2 + b]


@triton.jit
def _add_term(total, gram, weight, rate_W, rate_b, OUT: tl.constexpr, A: tl.constexpr):
    """total + U U^T times what the parameters below the layer have: lower triangles."""
    found = ()
    for o in tl.static_range(OUT):
        for a in tl.static_range(A):
            for p in tl.static_range(o + 1):
                for b in tl.static_range(A):
                    if o * A + a >= p * A + b:
                        term = _entry(weight, a, b) * rate_W + rate_b
                        found = found + (total[len(found)] + gram[len(found)] * term,)
    return found


@triton.jit(do_not_specialize=["first", "networks", "depth"])
def backwards(
    key, shared, widths, biases, gains, naturals, rates_W, rates_b, scratch, ntk,
    first, networks, depth,
    A: tl.constexpr, OUT: tl.constexpr, CODE: tl.constexpr, PLUS: tl.constexpr,
    MINUS: tl.constexpr, BIAS: tl.constexpr, WHOLE: tl.constexpr, NETS: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """The tangent kernels of networks that :func:`.tangents.forwards` has drawn.

    Parameters
    ----------
    key, shared, widths, biases, gains, naturals, scratch, first, networks, depth
        As there; ``scratch`` holds what it left.
    rates_W, rates_b : float64, (depth + 1,)
        Learning rates of each layer: of its weights, over the width below, and of its biases.
    ntk : float64, (networks, OUT, OUT, A, A)
    """
    pairs: tl.constexpr = A * (A + 1) // 2
    rows: tl.constexpr = OUT * A
    kept: tl.constexpr = 2 * pairs + rows * A
    index = (tl.program_id(0) * NETS + tl.arange(0, NETS))[:, None]
    network = first + index
    lane = tl.arange(0, LANES)[None, :]
    words, last = tl.load(key), tl.load(key + 1).to(tl.int32)
    nothing = tl.zeros((NETS, 1), tl.float64)
    # The last layer: derivatives of an output by itself are 1.
    unit, total, below, inputs = (), (), (), ()
    for o in tl.static_range(OUT):
        for p in tl.static_range(o + 1):
            below = below + (nothing + (1.0 if o == p else 0.0),)
        for a in tl.static_range(A):
            for p in tl.static_range(o + 1):
                for b in tl.static_range(A):
                    if o * A + a >= p * A + b:
                        unit = unit + (nothing + (1.0 if o == p else 0.0),)
                        total = total + (nothing,)
    for k in tl.static_range(pairs):
        inputs = inputs + (nothing + tl.load(shared + k),)
    place = (depth - 2) * kept
    weight = fetch(scratch, place + pairs, index, networks, pairs)
    rate_W, rate_b = tl.load(rates_W + depth), tl.load(rates_b + depth)
    total = _add_term(total, unit, weight, rate_W, rate_b, OUT, A)
    on_span = fetch(scratch, (depth - 1) * kept, index, networks, rows)
    first_factor = factor_of(inputs, A)
    # The last hidden layer, and then the others downwards.
    factor, weight = first_factor, inputs
    if depth > 2:
        factor = fetch(scratch, place - kept, index, networks, pairs)
        weight = fetch(scratch, place - kept + pairs, index, networks, pairs)
    root = single(scaled(factor, tl.sqrt(tl.load(gains + depth - 1)), pairs), pairs)
    gram, on_span = _back(
        words, last, network, depth - 1, below, on_span, scratch, place, index, networks, root,
        widths, biases, naturals, lane,
        A, OUT, OUT, CODE, PLUS, MINUS, BIAS, WHOLE, NETS, LANES,
    )  # fmt: skip
    rate_W, rate_b = tl.load(rates_W + depth - 1), tl.load(rates_b + depth - 1)
    total = _add_term(total, gram, weight, rate_W, rate_b, OUT, A)
    for above in range(2, depth):
        layer = depth - above
        place = (layer - 1) * kept
        factor, weight = first_factor, inputs
        if layer > 1:
            factor = fetch(scratch, place - kept, index, networks, pairs)
            weight = fetch(scratch, place - kept + pairs, index, networks, pairs)
        root = single(scaled(factor, tl.sqrt(tl.load(gains + layer)), pairs), pairs)
        gram, on_span = _back(
            words, last, network, layer, factor_of(gram, rows), on_span, scratch, place, index,
            networks, root, widths, biases, naturals, lane,
            A, OUT, rows, CODE, PLUS, MINUS, BIAS, WHOLE, NETS, LANES,
        )  # fmt: skip
        rate_W, rate_b = tl.load(rates_W + layer), tl.load(rates_b + layer)
        total = _add_term(total, gram, weight, rate_W, rate_b, OUT, A)
    stored = ()
    there = index < networks
    for o in tl.static_range(OUT):
        for a in tl.static_range(A):
            for p in tl.static_range(o + 1):
                for b in tl.static_range(A):
                    if o * A + a >= p * A + b:
                        value = total[len(stored)]
                        at = ntk + index.to(tl.int64) * (rows * rows)
                        tl.store(at + ((o * OUT + p) * A + a) * A + b, value, there)
                        tl.store(at + ((p * OUT + o) * A + b) * A + a, value, there)
                        stored = stored + (value,)
