"""Normal numbers from random words, by Box and Muller's transformation.

Two words make two independent normals, r cos(phi) and r sin(phi): r^2 = -2 log(v), where v of the
first word is one of the 2^31 midpoints of (0, 1), and phi, of the second, one of the 2^32 midpoints
of the circle. Angles come in pairs of opposite sines and of opposite cosines, so that normals are
exactly symmetric; r ends at 6.66. What rounding and the grid do to moments is known exactly, since
all first words and all second words can be gone through: E[u^2] is 2.2e-9 and E[u^4] 6e-10 off, as
a share (tests/unit/sampling/test_fused_normals.py). In double precision each of the two has a
second word behind it, so that the numbers of single precision are refined, not replaced.
"""

from __future__ import annotations

from finitewidth.sampling.fused import coefficients as of
from finitewidth.sampling.fused.conversions import (
    bits,
    from_bits,
    to_float32,
    to_float64,
    to_int32,
    to_int64,
    to_uint32,
)
from finitewidth.sampling.fused.elementary import log_of_scaled
from finitewidth.sampling.fused.lanes import constant, fma, inlined, root

_ONE = constant(1.0, 1.0)


@inlined
def radius(word):
    """r of a word."""
    v = to_float32(to_int32(to_uint32(word) >> 1)) + 0.5
    return root(log_of_scaled(v, 31) * -2.0)


@inlined
def radius_double(word, more):
    """r of a word and of those bits that refine it."""
    high = to_float64(to_int32(to_uint32(word) >> 1))
    low = to_float64(to_int32(more)) + (2.0**31 + 0.5)
    return root(log_of_scaled(fma(high, 2.0**32, low), 63) * -2.0)


@inlined
def _circle(y):
    """cos and sin of pi y/2, for -1 <= y <= 1."""
    square = y * y
    return fma(y * -1.0, y, _ONE(y)) * of.COS_TURN(square), y * of.SIN_TURN(square)


@inlined
def angle(word):
    """cos and sin of a word's angle: the highest bit is the sign of the cosine."""
    # Odd numbers from -2^31 + 1 to 2^31 - 1: as many on each side.
    y = to_float32(to_int32((word << 1) | 1)) * 2.0**-31
    cosine, sine = _circle(y)
    return from_bits(bits(cosine) ^ (to_int32(word) & _SIGN)), sine


@inlined
def angle_double(word, more):
    """The same of a word and of those bits that refine it."""
    high = to_float64(to_int32(word << 1))
    low = to_float64(to_int32(more)) + (2.0**31 + 0.5)
    # Here the 31 bits of the angle and 32 more count midpoints.
    cosine, sine = _circle(fma(high, 2.0**32, low + low) * 2.0**-63)
    sign = to_int64(to_int32(word) & _SIGN) << 32
    return from_bits(bits(cosine) ^ sign), sine


_SIGN = -(2**31)


@inlined
def pair(first, second):
    """Two normals of two words."""
    r = radius(first)
    cosine, sine = angle(second)
    return r * cosine, r * sine


@inlined
def pair_double(first, more_first, second, more_second):
    """Two normals in double precision."""
    r = radius_double(first, more_first)
    cosine, sine = angle_double(second, more_second)
    return r * cosine, r * sine
