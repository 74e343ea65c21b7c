"""Logarithm, exponential and what follows from them, lane by lane, in IEEE operations alone.

A C library takes other code on other processors, and its functions end a loop that a compiler
would make wide. These are polynomials (:mod:`.coefficients`) after a reduction of the argument, the
same operations everywhere. :mod:`.activations` states errors.
"""

from __future__ import annotations

import math

import numpy as np

from finitewidth.sampling.fused import coefficients as of
from finitewidth.sampling.fused.conversions import bits, converted, from_bits, to_float64, to_int32
from finitewidth.sampling.fused.lanes import absolute, constant, fma, inlined, select, with_sign


def _split(value: float, digits: int) -> tuple[float, float]:
    """``value`` as a sum of two, the first of so many bits."""
    scale = 2.0 ** (digits - math.frexp(value)[1])
    high = round(value * scale) / scale
    return high, value - high


_LOG2 = math.log(2)
_HIGH_SINGLE, _LOW_SINGLE = _split(_LOG2, 24)
#: log(2) = 0x1.62e42fefa39efp-1 + 0x1.abc9e3b39803fp-56.
_HIGH, _LOW = _LOG2, float.fromhex("0x1.abc9e3b39803fp-56")

#: Adding this to a small number leaves the nearest integer in its last bits.
_ROUNDER = constant(1.5 * 2.0**23, 1.5 * 2.0**52)
_FRACTION = constant(23, 52)
_ONE = constant(1.0, 1.0)
_LOG2_E = constant(1 / _LOG2, 1 / _LOG2)
_LOG2_HIGH, _LOG2_LOW = constant(_HIGH_SINGLE, _HIGH), constant(_LOW_SINGLE, _LOW)
_EXP_MOST, _EXP_LEAST = constant(89.0, 710.0), constant(-104.0, -746.0)
#: Where exp(-a^2/2) is 0 already.
_TAIL_MOST = constant(20.0, 45.0)


@inlined
def exp(x):
    """The exponential, from 0 to infinity, through subnormal numbers."""
    x = select(x > _EXP_MOST(x), _EXP_MOST(x), x)
    x = select(x < _EXP_LEAST(x), _EXP_LEAST(x), x)
    shifted = fma(x, _LOG2_E(x), _ROUNDER(x))
    whole = shifted - _ROUNDER(x)
    rest = fma(whole, _LOG2_LOW(x) * -1.0, fma(whole, _LOG2_HIGH(x) * -1.0, x))
    value = fma(rest * rest, of.EXP(rest), rest) + 1.0
    # Two factors, since 2^whole alone may be out of range where the result is not.
    power = bits(shifted) - bits(_ROUNDER(x))
    half = power >> 1
    one = bits(_ONE(x))
    here = from_bits((half << _FRACTION(half)) + one)
    there = from_bits(((power - half) << _FRACTION(half)) + one)
    return value * here * there


@inlined
def sigmoid(x):
    """1/(1 + exp(-x))."""
    return 1.0 / (exp(x * -1.0) + 1.0)


@inlined
def log1p_of_unit(e):
    """log(1 + e) for 0 <= e <= 1."""
    s = e / (e + 2.0)
    return s * of.ATANH(s * s)


@inlined
def tanh(x):
    """The hyperbolic tangent."""
    size = absolute(x)
    square = x * x
    small = fma(size * square, of.TANH(square), size)
    large = 1.0 - 2.0 / (exp(size + size) + 1.0)
    return with_sign(select(size < 0.625, small, large), x)


@inlined
def within_tail(a):
    """The a >= 0 at which :func:`upper_tail` is computed: beyond the last of them it is 0."""
    return select(a > _TAIL_MOST(a), _TAIL_MOST(a), a)


@inlined
def upper_tail(a):
    """Q(a) = P(normal > a) for a >= 0."""
    a = within_tail(a)
    s = (a - 4.0) / (a + 4.0)
    square = a * a
    lost = fma(a, a, square * -1.0)
    value = exp(square * -0.5) * (of.TAIL(s) / fma(a, 2.0, _ONE(a)))
    return fma(lost * -0.5, value, value)


@inlined
def erf(x):
    """The error function."""
    size = absolute(x)
    small = size * of.ERF(x * x)
    large = 1.0 - 2.0 * upper_tail(size * math.sqrt(2))
    return with_sign(select(size < 1.0, small, large), x)


@inlined
def arctan(x):
    """The inverse tangent."""
    size = absolute(x)
    steep = size > 1.0
    t = select(steep, 1.0, size) / select(steep, size, 1.0)
    square = t * t
    angle = fma(t * square, of.ATAN(square), t)
    return with_sign(select(steep, math.pi / 2 - angle, angle), x)


#: pi/2 in three parts.
_QUARTER = (
    float.fromhex("0x1.921fb54442d18p+0"),
    float.fromhex("0x1.1a62633145c07p-54"),
    float.fromhex("-0x1.f1976b7ed8fbcp-110"),
)


@inlined
def _sine(x, shift):
    """sin(x + shift pi/2). The angle is reduced in double precision."""
    wide = to_float64(x)
    shifted = fma(wide, 2 / math.pi, _ROUNDER(wide))
    whole = shifted - _ROUNDER(wide)
    angle = fma(whole, -_QUARTER[0], wide)
    angle = fma(whole, -_QUARTER[1], angle)
    angle = fma(whole, -_QUARTER[2], angle)
    # Beyond the range of the reduction nothing is left of the angle but that it is bounded.
    angle = select(angle > 1.0, 1.0, select(angle < -1.0, -1.0, angle))
    r = converted(angle, x)
    turn = to_int32(bits(shifted)) + shift
    square = r * r
    sine = fma(r * square, of.SIN(square), r)
    cosine = fma(square, of.COS(square), _ONE(x))
    value = select((turn & 1) > 0, cosine, sine)
    return select((turn & 2) > 0, value * -1.0, value)


@inlined
def sin(x):
    """The sine."""
    return _sine(x, 0)


@inlined
def cos(x):
    """The cosine."""
    return _sine(x, 1)


_FLOOR = constant(float(np.float32(math.sqrt(0.5))), math.sqrt(0.5))


@inlined
def log_of_scaled(x, shift):
    """log(x 2^-shift) for positive x that are not subnormal."""
    spelt = bits(x)
    power = (spelt - bits(_FLOOR(x))) >> _FRACTION(spelt)
    f = from_bits(spelt - (power << _FRACTION(spelt))) - 1.0
    s = f / (f + 2.0)
    whole = converted(to_int32(power) - shift, x)
    return fma(whole, _LOG2_HIGH(x), fma(whole, _LOG2_LOW(x), s * of.ATANH(s * s)))


@inlined
def log(x):
    """The logarithm of x >= 0 of float64, from minus infinity to infinity."""
    small = x < 2.0**-1000
    y = select(small, x * 2.0**200, x)
    value = log_of_scaled(y, 0)
    value = select(small, value - 200 * _LOG2, value)
    # What is neither more nor less than 0 is 0, or no number.
    value = select(x > 0.0, value, select(x < 1.0, -math.inf, x))
    return select(x > _MOST, x, value)


_MOST = np.finfo(np.float64).max
