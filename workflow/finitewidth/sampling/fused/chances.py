"""Random counts and squared lengths, for 16 networks at a time: each lane draws for its own.

What a lane draws is a function of its network, of the layer and of ``which``, whatever the other
lanes draw, and however often these have to try.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from finitewidth.sampling.fused.conversions import (
    float64_lanes,
    ones_of,
    to_float64,
    to_uint32,
    total,
    uint64_lanes,
)
from finitewidth.sampling.fused.elementary import log
from finitewidth.sampling.fused.lanes import absolute, floor, fma, inlined, root, select
from finitewidth.sampling.fused.normals import pair_double
from finitewidth.sampling.fused.philox import ROUNDS, words

_SIXTEEN = np.uint64(16)
#: Beyond so many trials a count is no longer made of bits.
BITS = 1024


@inlined
def _words(place, networks, key, layer, which):
    """Four words a network."""
    last = (key[2] << _SIXTEEN) | np.uint64(which)
    return words(uint64_lanes(place), networks, np.uint64(layer), last, key[0], key[1], ROUNDS)


@inlined
def _uniform(word, more):
    """Midpoints of a grid of 2^64 points in (0, 1)."""
    low = (to_float64(to_uint32(more)) + 0.5) * 2.0**-32
    return (to_float64(to_uint32(word)) + low) * 2.0**-32


@njit(error_model="numpy")
def normal(networks, key, layer, which):
    """A normal a network."""
    a, b, c, d = _words(0, networks, key, layer, which)
    one, _ = pair_double(to_uint32(a), to_uint32(b), to_uint32(c), to_uint32(d))
    return one


@inlined
def _tried(x, u, d, c, value, pending):
    """Take a proposal of Marsaglia and Tsang where it is wanted and accepted."""
    side = fma(x, c, 1.0)
    cube = side * side * side
    bound = fma(d, (1.0 - cube) + log(cube), x * x * 0.5)
    good = select(side > 0.0, select(log(u) < bound, pending, 0.0), 0.0)
    return select(good > 0.0, d * cube * 2.0, value), select(good > 0.0, 0.0, pending)


@njit(error_model="numpy")
def chi_square(freedom, networks, key, layer, which):
    """A chi-square variable a network, of whole degrees of freedom; 0 where these are 0 or less.

    Two and more by twice the gamma variable of Marsaglia and Tsang (ACM TOMS 26, 2000), which is
    exact; one by its definition.
    """
    several = freedom > 1.5
    d = select(several, freedom * 0.5, 1.0) - 1.0 / 3.0
    c = (1.0 / 3.0) / root(d)
    pending = select(several, float64_lanes(1.0), 0.0)
    value = float64_lanes(0.0)
    place = 0
    while True:
        a, b, e, f = _words(place, networks, key, layer, which)
        x, y = pair_double(to_uint32(a), to_uint32(b), to_uint32(e), to_uint32(f))
        if place == 0:
            single = select(freedom > 0.5, x * x, 0.0)
            value = select(several, 0.0, single)
        a, b, e, f = _words(place + 1, networks, key, layer, which)
        value, pending = _tried(x, _uniform(a, b), d, c, value, pending)
        if total(pending) == 0.0:
            return value
        value, pending = _tried(y, _uniform(e, f), d, c, value, pending)
        if total(pending) == 0.0:
            return value
        place += 2


@inlined
def _bits_of_a_count(trials, networks, key, layer, which):
    """How many of so many random bits are 1."""
    found = float64_lanes(0.0)
    for place in range((trials + 127) // 128):
        a, b, c, d = _words(place, networks, key, layer, which)
        for word, begin in ((a, 0), (b, 32), (c, 64), (d, 96)):
            left = trials - place * 128 - begin
            if left > 0:
                mask = np.uint64(0xFFFFFFFF)
                if left < 32:
                    mask = (np.uint64(1) << np.uint64(left)) - np.uint64(1)
                found = found + to_float64(ones_of(to_uint32(word & mask)))
    return found


@inlined
def _stirling(k):
    """log k! less Stirling's formula for it, from 10 on."""
    inverse = 1.0 / (k + 1.0)
    square = inverse * inverse
    return inverse * fma(square, fma(square, 1.0 / 1260.0, -1.0 / 360.0), 1.0 / 12.0)


@inlined
def _count_by_rejection(trials, networks, key, layer, which):
    """Hoermann's transformed rejection (BTRS, J. Stat. Comput. Simul. 46, 1993), at p = 1/2."""
    n = float(trials)
    spread = math.sqrt(n) / 2
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.005
    alpha = (2.83 + 5.1 / b) * spread
    middle = float((trials + 1) // 2)
    at_middle = float64_lanes(middle)
    # The logarithm of the largest probability, but for what is common to all counts.
    most = _stirling(at_middle) + _stirling(n - at_middle)
    most = most + (middle + 0.5) * log((at_middle + 1.0) / (n - at_middle + 1.0))
    pending, found = float64_lanes(1.0), float64_lanes(0.0)
    place = 0
    while total(pending) > 0.0:
        w, x, y, z = _words(place, networks, key, layer, which)
        u, v = _uniform(w, x) - 0.5, _uniform(y, z)
        edge = 0.5 - absolute(u)
        k = floor(fma(2.0 * a / edge + b, u, float64_lanes(n / 2 + 0.5)))
        inside = select(k < 0.0, 0.0, select(k > n, 0.0, pending))
        # What lies outside is not taken: any count in its place keeps logarithms finite.
        k = select(inside > 0.0, k, middle)
        rest = n - k + 1.0
        bound = most + (n + 1.0) * log((n - at_middle + 1.0) / rest)
        bound = bound + (k + 0.5) * log(rest / (k + 1.0)) - _stirling(k) - _stirling(n - k)
        share = log(v * alpha / (a / (edge * edge) + b))
        good = select(share < bound, inside, 0.0)
        found = select(good > 0.0, k, found)
        pending = select(good > 0.0, 0.0, pending)
        place += 1
    return found


@njit(error_model="numpy")
def fair_count(trials, networks, key, layer, which):
    """How many of ``trials`` fair coins show heads, a count a network, in lanes of float64."""
    if trials <= BITS:
        return _bits_of_a_count(trials, networks, key, layer, which)
    return _count_by_rejection(trials, networks, key, layer, which)
