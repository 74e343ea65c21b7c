"""The marginal sampler on a GPU: whole networks, layer by layer, in registers.

A program draws NETS networks, LANES counters (four neurons each) of every one at a time. Sums are
kept lane by lane and added up in a fixed order at the end of a layer, so that no number depends on
how networks are divided into programs and launches.
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
from finitewidth.sampling.triton_kernels.normals import draw, first_neuron
from finitewidth.sampling.triton_kernels.recording import add_recorded, keep_means, keep_neurons


@triton.jit
def draw_inputs(key, counter, network, layer, last, A: tl.constexpr):
    """Normals of every input, vector k of input a in the place 4 a + k."""
    u = ()
    for a in tl.static_range(A):
        u = u + draw(key, counter, network, layer, last, a)
    return u


@triton.jit
def keep_living(values, neuron, width, A: tl.constexpr):
    """Zeros beyond the last neuron: they add nothing to a sum."""
    found = ()
    for a in tl.static_range(A):
        for k in tl.static_range(4):
            found = found + (tl.where(neuron + 16 * k < width, values[4 * a + k], 0.0),)
    return found


@triton.jit
def add_gram(sums, s, A: tl.constexpr):
    """Add products of activations.

    In double precision, in which they are exact: the part of one input that is independent of the
    others is a difference of these sums. One input has no such part.
    """
    found = ()
    for a in tl.static_range(A):
        for b in tl.static_range(a + 1):
            if A == 1:
                four = s[0] * s[0]
                for k in tl.static_range(1, 4):
                    four = tl.fma(s[k], s[k], four)
                found = found + (sums[len(found)] + four.to(tl.float64),)
            else:
                total = sums[len(found)]
                for k in tl.static_range(4):
                    one, other = s[4 * a + k].to(tl.float64), s[4 * b + k].to(tl.float64)
                    total = tl.fma(one, other, total)
                found = found + (total,)
    return found


@triton.jit
def to_unit_diagonal(gram, log_scale, A: tl.constexpr):
    """Move the scale of each input out of ``gram``; a dead layer keeps its zeros, at -inf."""
    roots, scales, found = (), (), ()
    for a in tl.static_range(A):
        size = gram[a * (a + 1) // 2 + a]
        scales = scales + (log_scale[a] + 0.5 * tl.log(size),)
        roots = roots + (tl.where(size > 0.0, tl.sqrt(size), 1.0),)
    for a in tl.static_range(A):
        for b in tl.static_range(a):
            found = found + (gram[a * (a + 1) // 2 + b] / (roots[a] * roots[b]),)
        found = found + (tl.where(gram[a * (a + 1) // 2 + a] > 0.0, 1.0, 0.0).to(tl.float64),)
    return found, scales


@triton.jit(do_not_specialize=["first", "networks", "recorded", "neurons", "depth"])
def sample_networks(
    key,
    shared,
    widths,
    places,
    biases,
    gains,
    preactivation,
    kernel,
    quartic,
    sextic,
    log_norm,
    first,
    networks,
    recorded,
    neurons,
    depth,
    A: tl.constexpr,
    CODE: tl.constexpr,
    PLUS: tl.constexpr,
    MINUS: tl.constexpr,
    INVARIANT: tl.constexpr,
    MOMENTS: tl.constexpr,
    FOURS: tl.constexpr,
    SIXTH: tl.constexpr,
    WHOLE: tl.constexpr,
    NETS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Draw networks and record them.

    Parameters
    ----------
    key : int64, (2,)
        Key of the stream, and what stands in the counters' last word beside the input.
    shared : float64, (A(A+1)/2,)
        Covariance of the first layer's preactivations, lower triangle.
    widths, places : int32, (depth + 1,)
        From layer 0 on: neurons; where a layer is recorded, negative where it is not.
    biases, gains : float64, (depth + 1,)
        C_b, and C_W over the width below, of each layer.
    preactivation, kernel, quartic, sextic, log_norm
        Where to record, as a :class:`finitewidth.sampling.record.Recorder` has it: the first
        three letters say which are there (MOMENTS, FOURS, SIXTH, INVARIANT).
    first, networks : int
        Number of the first network, a part of its normals' names; how many there are.
    recorded, neurons, depth : int
        Layers recorded, neurons recorded of each, and the last layer that is drawn.
    WHOLE : bool
        Whether every layer consists of whole rounds of 4 LANES neurons.
    """
    pairs: tl.constexpr = A * (A + 1) // 2
    fours: tl.constexpr = FOURS * A * (A + 1) * (A + 2) * (A + 3) // 24
    kept: tl.constexpr = pairs + fours + SIXTH * A
    index = (tl.program_id(0) * NETS + tl.arange(0, NETS))[:, None]
    there = index < networks
    network = first + index
    lane = tl.arange(0, LANES)[None, :]
    words, last = tl.load(key), tl.load(key + 1).to(tl.int32)
    nothing = tl.zeros((NETS, 1), tl.float64)
    gram, log_scale = (), ()
    for k in tl.static_range(pairs):
        gram = gram + (nothing + tl.load(shared + k),)
    for a in tl.static_range(A):
        log_scale = log_scale + (nothing,)
    for layer in range(1, depth + 1):
        width, place = tl.load(widths + layer), tl.load(places + layer)
        if INVARIANT:
            gram, log_scale = to_unit_diagonal(gram, log_scale, A)
        scale = log_scale
        if INVARIANT:
            if place >= 0:
                scale = ()
                for a in tl.static_range(A):
                    scale = scale + (tl.exp(log_scale[a]),)
        factor = single(factor_of(gram, A), pairs)
        at = index.to(tl.int64) * recorded + place
        sums = zeros(kept, NETS, LANES, tl.float32)
        products = zeros(pairs, NETS, LANES, tl.float64)
        for start in range(0, (width + 63) // 64 * 16, LANES):
            counter = start + lane
            neuron = first_neuron(counter)
            u = draw_inputs(words, counter, network, layer, last, A)
            z = correlate(factor, u, A)
            if not WHOLE:
                z = keep_living(z, neuron, width, A)
            if place >= 0:
                sums = add_recorded(sums, z, A, FOURS, SIXTH)
                if MOMENTS:
                    if start * 4 < neurons:
                        keep_neurons(
                            z, neuron, scale, at, there, preactivation, neurons, A, INVARIANT
                        )
            if layer < depth:
                s = ()
                for k in tl.static_range(4 * A):
                    s = s + (activate(z[k], CODE, PLUS, MINUS),)
                # The activation of 0 may be another number.
                if not WHOLE:
                    s = keep_living(s, neuron, width, A)
                products = add_gram(products, s, A)
        if place >= 0:
            keep_means(
                totals(sums, kept),
                width,
                scale,
                log_scale,
                at,
                there,
                kernel,
                quartic,
                sextic,
                log_norm,
                A,
                INVARIANT,
                MOMENTS,
                FOURS,
                SIXTH,
            )
        if layer < depth:
            bias, gain = tl.load(biases + layer + 1), tl.load(gains + layer + 1)
            found, total = (), totals(products, pairs)
            for k in tl.static_range(pairs):
                found = found + (bias + gain * total[k],)
            gram = found
