"""Normals from counters: the words of the compiled kernels on processors, transformed likewise.

The counter of four words and the key are those of :mod:`finitewidth.sampling.fused.drawing`, so
that a neuron has the same words on a GPU and on a processor, and normals that differ by rounding.
The transformation is Box and Muller's on the same grids (:mod:`finitewidth.sampling.fused.normals`)
with polynomials in single precision. None of the card's approximate logarithms, sines and cosines
takes part: their errors are not known well enough for moments (an absolute 2^-22 in the logarithm,
where that is nearly 0).
"""

from __future__ import annotations

import triton
import triton.language as tl

#: Rounds of Philox4x32, as on the processor.
ROUNDS: tl.constexpr = tl.constexpr(7)


@triton.jit
def log_of_scaled(v):
    """log(v 2^-31) for v from 1/2 to 2^31.

    v = 2^e (1 + f) with f from sqrt(1/2) - 1 to sqrt(2) - 1; log(1 + f) is Cephes's logf
    (S. L. Moshier), which needs no quotient.
    """
    spelt = v.to(tl.int32, bitcast=True)
    power = (spelt - 0x3F3504F3) >> 23
    f = (spelt - (power << 23)).to(tl.float32, bitcast=True) - 1.0
    p = tl.fma(f, 7.0376836292e-2, -1.1514610310e-1)
    p = tl.fma(f, p, 1.1676998740e-1)
    p = tl.fma(f, p, -1.2420140846e-1)
    p = tl.fma(f, p, 1.4249322787e-1)
    p = tl.fma(f, p, -1.6668057665e-1)
    p = tl.fma(f, p, 2.0000714765e-1)
    p = tl.fma(f, p, -2.4999993993e-1)
    p = tl.fma(f, p, 3.3333331174e-1)
    square = f * f
    whole = (power - 31).to(tl.float32)
    # log(2) in two parts, the first of so few bits that its product is exact.
    rest = tl.fma(f * square, p, whole * -2.12194440e-4)
    rest = tl.fma(square, -0.5, rest) + f
    return tl.fma(whole, 0.693359375, rest)


@triton.jit
def pair(first, second):
    """Two normals of two words, r cos(phi) and r sin(phi)."""
    v = (first >> 1).to(tl.int32, bitcast=True).to(tl.float32) + 0.5
    r = tl.sqrt(log_of_scaled(v) * -2.0)
    # Odd numbers from -2^31 + 1 to 2^31 - 1; the highest bit is the sign of the cosine.
    y = ((second << 1) | 1).to(tl.int32, bitcast=True).to(tl.float32) * 4.656612873077393e-10
    q = y * y
    # cos(pi y/2)/(1 - y^2) and sin(pi y/2)/y: single precision of fused/coefficients.py.
    c = tl.fma(q, -3.888127935169905e-07, 2.456773836456705e-05)
    c = tl.fma(q, c, -0.0008943763677962124)
    c = tl.fma(q, c, 0.019968904554843903)
    c = tl.fma(q, c, -0.23370054364204407)
    c = tl.fma(q, c, 1.0)
    s = tl.fma(q, -7.58703708925168e-06, 0.00017167032638099045)
    s = tl.fma(q, s, -0.004693056922405958)
    s = tl.fma(q, s, 0.07969757914543152)
    s = tl.fma(q, s, -0.6459649801254272)
    s = tl.fma(q, s, 1.5707963705062866)
    cosine = tl.fma(y * -1.0, y, 1.0) * c
    sine = y * s
    sign = second.to(tl.int32, bitcast=True) & -2147483648
    cosine = (cosine.to(tl.int32, bitcast=True) ^ sign).to(tl.float32, bitcast=True)
    return r * cosine, r * sine


@triton.jit
def draw(key, counter, network, layer, last, which):
    """Four normals of each counter: of neurons 16 apart (see :func:`first_neuron`).

    Parameters
    ----------
    key : int64
        The first two words of the stream's key.
    counter : int32, shape (1, lanes)
    network : int32, shape (networks, 1)
    layer : int32
    last : int32
        What the last word of the counter holds beside ``which``: 16 bits of the key, shifted.
    which : int
        The input.
    """
    a, b, c, d = tl.philox(key, counter, network, layer, last | which, ROUNDS)
    one, two = pair(a, b)
    three, four = pair(c, d)
    return one, two, three, four


@triton.jit
def first_neuron(counter):
    """The first of the four neurons whose normals a counter makes; the others follow 16 apart."""
    return (counter >> 4) * 64 + (counter & 15)
