"""Tangent kernels on a GPU, forwards: hidden layers as small matrices, kept for the way back.

The method is that of :mod:`finitewidth.sampling.mlp.marginal_ntk`. No neuron is kept: the way back
(:mod:`.tangents_back`) draws each one again, from its counter. What it wants of a whole layer is
small: the root F of the Gram matrix S S^T, and products of its own normals with S, which are summed
here, where both are at hand.

Normals of a neuron have the names 0 to A - 1 for the inputs, A for its bias, and A + 1 + r for row
r of the way back.
"""

from __future__ import annotations

import triton
import triton.language as tl

from finitewidth.sampling.triton_kernels.activations import activate
from finitewidth.sampling.triton_kernels.matrices import (
    correlate,
    factor_of,
    single,
    totals,
    zeros,
)
from finitewidth.sampling.triton_kernels.networks import add_gram, draw_inputs, keep_living
from finitewidth.sampling.triton_kernels.normals import draw, first_neuron


@triton.jit
def preactivations(
    words, counter, network, layer, last, root, bias, A: tl.constexpr, BIAS: tl.constexpr
):
    """Normals T of the weights, and z: four vectors of neurons an input."""
    u = draw_inputs(words, counter, network, layer, last, A)
    z = correlate(root, u, A)
    if BIAS:
        shared = draw(words, counter, network, layer, last, A)
        found = ()
        for a in tl.static_range(A):
            for k in tl.static_range(4):
                found = found + (tl.fma(shared[k], bias, z[4 * a + k]),)
        z = found
    return u, z


@triton.jit
def draw_rows(words, counter, network, layer, last, A: tl.constexpr, ROWS: tl.constexpr):
    """Fresh normals of the way back."""
    found = ()
    for r in tl.static_range(ROWS):
        found = found + draw(words, counter, network, layer, last, A + 1 + r)
    return found


@triton.jit
def activations_of(
    z, neuron, width, A: tl.constexpr, CODE: tl.constexpr, PLUS: tl.constexpr, MINUS: tl.constexpr,
    WHOLE: tl.constexpr,
):  # fmt: skip
    """sigma(z), and 0 beyond the last neuron."""
    s = ()
    for k in tl.static_range(4 * A):
        s = s + (activate(z[k], CODE, PLUS, MINUS),)
    if not WHOLE:
        s = keep_living(s, neuron, width, A)
    return s


@triton.jit
def add_crossed(sums, rows, s, ROWS: tl.constexpr, A: tl.constexpr, EXACT: tl.constexpr):
    """Add products of rows with ``s``, entry (r, a) in the place r A + a."""
    found = ()
    for r in tl.static_range(ROWS):
        for a in tl.static_range(A):
            if EXACT:
                total = sums[len(found)]
                for k in tl.static_range(4):
                    one, other = rows[4 * r + k].to(tl.float64), s[4 * a + k].to(tl.float64)
                    total = tl.fma(one, other, total)
                found = found + (total,)
            else:
                four = rows[4 * r] * s[4 * a]
                for k in tl.static_range(1, 4):
                    four = tl.fma(rows[4 * r + k], s[4 * a + k], four)
                found = found + (sums[len(found)] + four.to(sums[0].dtype),)
    return found


@triton.jit
def scaled(matrix, factor, COUNT: tl.constexpr):
    """Every entry times a number."""
    found = ()
    for k in tl.static_range(COUNT):
        found = found + (matrix[k] * factor,)
    return found


@triton.jit
def keep(values, scratch, place, index, networks, COUNT: tl.constexpr):
    """Store entries from ``place`` on: entry k of network i at (place + k) networks + i."""
    for k in tl.static_range(COUNT):
        tl.store(scratch + (place + k).to(tl.int64) * networks + index, values[k], index < networks)


@triton.jit
def fetch(scratch, place, index, networks, COUNT: tl.constexpr):
    """Load what :func:`keep` stored."""
    found = ()
    for k in tl.static_range(COUNT):
        at = scratch + (place + k).to(tl.int64) * networks + index
        found = found + (tl.load(at, index < networks, other=0.0),)
    return found


@triton.jit
def _hidden(
    words, last, network, layer, factor, widths, biases, gains, lane,
    A: tl.constexpr, ROWS: tl.constexpr, CODE: tl.constexpr, PLUS: tl.constexpr,
    MINUS: tl.constexpr, BIAS: tl.constexpr, WHOLE: tl.constexpr, NETS: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Gram matrix S S^T of a layer, and products (ROWS, A) of fresh normals with S."""
    pairs: tl.constexpr = A * (A + 1) // 2
    width = tl.load(widths + layer)
    root = single(scaled(factor, tl.sqrt(tl.load(gains + layer)), pairs), pairs)
    bias = tl.sqrt(tl.load(biases + layer)).to(tl.float32)
    products = zeros(pairs, NETS, LANES, tl.float64)
    crossed = zeros(ROWS * A, NETS, LANES, tl.float64)
    for start in range(0, (width + 63) // 64 * 16, LANES):
        counter = start + lane
        _, z = preactivations(words, counter, network, layer, last, root, bias, A, BIAS)
        s = activations_of(z, first_neuron(counter), width, A, CODE, PLUS, MINUS, WHOLE)
        products = add_gram(products, s, A)
        fresh = draw_rows(words, counter, network, layer, last, A, ROWS)
        crossed = add_crossed(crossed, fresh, s, ROWS, A, A > 1)
    return totals(products, pairs), totals(crossed, ROWS * A)


@triton.jit(do_not_specialize=["first", "networks", "depth"])
def forwards(
    key, shared, widths, biases, gains, naturals, units, scratch, output, conditional,
    first, networks, depth,
    A: tl.constexpr, OUT: tl.constexpr, CODE: tl.constexpr, PLUS: tl.constexpr,
    MINUS: tl.constexpr, BIAS: tl.constexpr, WHOLE: tl.constexpr, NETS: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Draw networks as far as their outputs.

    Parameters
    ----------
    key : int64, (2,)
        As for :func:`finitewidth.sampling.triton_kernels.networks.sample_networks`.
    shared : float64, (A(A+1)/2,)
        Lower triangle of x x^T.
    widths : int32, (depth + 1,)
    biases, gains : float64, (depth + 1,)
        Of each layer C_b, and what S S^T of the layer below is multiplied by, at the scale at which
        networks are computed.
    naturals, units : float64, (depth + 1,)
        The same as ``gains`` in natural units; what a square of layer l counts there.
    scratch : float64, (entries, networks)
        Of every hidden layer F, S S^T (natural units) and products of fresh normals with S, room
        for OUT A rows of them; behind these T of the last layer.
    output : float64, (networks, OUT, A)
    conditional : float64, (networks, A(A+1)/2)
        Pairs of inputs in the order of :func:`finitewidth.core.indices.pairs`.
    first, networks, depth : int
        Number of the first network; how many there are; the last layer.
    """
    pairs: tl.constexpr = A * (A + 1) // 2
    rows: tl.constexpr = OUT * A
    kept: tl.constexpr = 2 * pairs + rows * A
    index = (tl.program_id(0) * NETS + tl.arange(0, NETS))[:, None]
    there = index < networks
    network = first + index
    lane = tl.arange(0, LANES)[None, :]
    words, last = tl.load(key), tl.load(key + 1).to(tl.int32)
    nothing = tl.zeros((NETS, 1), tl.float64)
    gram = ()
    for k in tl.static_range(pairs):
        gram = gram + (nothing + tl.load(shared + k),)
    factor = factor_of(gram, A)
    for layer in range(1, depth - 1):
        gram, crossed = _hidden(
            words, last, network, layer, factor, widths, biases, gains, lane,
            A, rows, CODE, PLUS, MINUS, BIAS, WHOLE, NETS, LANES,
        )  # fmt: skip
        factor = factor_of(gram, A)
        place = (layer - 1) * kept
        keep(factor, scratch, place, index, networks, pairs)
        natural = scaled(gram, tl.load(units + layer), pairs)
        keep(natural, scratch, place + pairs, index, networks, pairs)
        keep(crossed, scratch, place + 2 * pairs, index, networks, rows * A)
    # The last hidden layer has one row an output: the weights above it know of no input.
    gram, crossed = _hidden(
        words, last, network, depth - 1, factor, widths, biases, gains, lane,
        A, OUT, CODE, PLUS, MINUS, BIAS, WHOLE, NETS, LANES,
    )  # fmt: skip
    factor = factor_of(gram, A)
    place = (depth - 2) * kept
    keep(factor, scratch, place, index, networks, pairs)
    natural = scaled(gram, tl.load(units + depth - 1), pairs)
    keep(natural, scratch, place + pairs, index, networks, pairs)
    keep(crossed, scratch, place + 2 * pairs, index, networks, OUT * A)
    # Outputs, the first neurons of the last layer, which the first counters draw.
    gain, bias = tl.load(gains + depth), tl.load(biases + depth)
    root = single(scaled(factor, tl.sqrt(gain), pairs), pairs)
    u, z = preactivations(
        words, lane, network, depth, last, root, tl.sqrt(bias).to(tl.float32), A, BIAS
    )
    scale = tl.sqrt(tl.load(units + depth))
    drawn = ()
    for o in tl.static_range(OUT):
        for a in tl.static_range(A):
            own = lane == o
            drawn = drawn + (
                tl.sum(tl.where(own, u[4 * a], 0.0), 1, keep_dims=True).to(tl.float64),
            )
            value = tl.sum(tl.where(own, z[4 * a], 0.0), 1, keep_dims=True).to(tl.float64)
            at = (index.to(tl.int64) * OUT + o) * A + a
            tl.store(output + at, value * scale, there)
    keep(drawn, scratch, (depth - 1) * kept, index, networks, OUT * A)
    stored = ()
    for a in tl.static_range(A):
        for b in tl.static_range(a, A):
            entry = natural[b * (b + 1) // 2 + a] * tl.load(naturals + depth) + bias
            tl.store(conditional + index.to(tl.int64) * pairs + len(stored), entry, there)
            stored = stored + (entry,)
