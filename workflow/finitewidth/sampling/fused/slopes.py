"""The derivatives of the activations that the kernels know, beside the activations themselves.

Absolute errors are at most 4 units in the last place of 1, in single and in double precision
(tests/unit/sampling/test_fused_slopes.py): a derivative counts by its square, summed over neurons.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from numba import njit

from finitewidth.sampling.fused import elementary
from finitewidth.sampling.fused.activations import gelu, silu, softplus
from finitewidth.sampling.fused.conversions import converted, float64_lanes, load, store
from finitewidth.sampling.fused.lanes import LANES, absolute, inlined, select

_DENSITY = 1 / math.sqrt(2 * math.pi)
_ERF_SLOPE = 2 / math.sqrt(math.pi)


@inlined
def _tanh(z, s):
    return (1.0 - s) * (s + 1.0)


@inlined
def _gelu(z, s):
    size = absolute(z)
    tail = elementary.upper_tail(size)
    # The same exponential as that of the tail, which is computed once then.
    near = elementary.within_tail(size)
    density = elementary.exp(near * near * -0.5) * _DENSITY
    # Beyond, where it is 0, z may be too large to be multiplied by it.
    return select(z > 0.0, 1.0 - tail, tail) + select(size > near, 0.0, z * density)


@inlined
def _silu(z, s):
    e = elementary.exp(z * -1.0)
    g = 1.0 / (e + 1.0)
    # e g is 1 - g, of which a large z would make the rounding large.
    return g + select(g > 0.0, s * (e * g), 0.0)


@inlined
def _sigmoid(z, s):
    return s * (1.0 - s)


@inlined
def _erf(z, s):
    # As in the tail that the error function is made of, where the exponential is computed.
    near = elementary.within_tail(absolute(z) * math.sqrt(2))
    return elementary.exp(near * near * -0.5) * _ERF_SLOPE


@inlined
def _softplus(z, s):
    return elementary.sigmoid(z)


@inlined
def _arctan(z, s):
    return 1.0 / (z * z + 1.0)


@inlined
def _sin(z, s):
    return elementary.cos(z)


@inlined
def _cos(z, s):
    return elementary.sin(z) * -1.0


def _pass(function: Callable, slope: Callable) -> Callable:
    """One pass, since both begin alike: sigma(z) beside z, and sigma'(z) in its place."""

    @njit(error_model="numpy")
    def go(neurons, start, active, at, count):
        for i in range(0, count, LANES):
            z = load(neurons, start + i)
            s = function(z)
            store(active, at + i, s)
            store(neurons, start + i, slope(z, s))

    return go


_with_tanh = _pass(elementary.tanh, _tanh)
_with_gelu = _pass(gelu, _gelu)
_with_silu = _pass(silu, _silu)
_with_sigmoid = _pass(elementary.sigmoid, _sigmoid)
_with_erf = _pass(elementary.erf, _erf)
_with_softplus = _pass(softplus, _softplus)
_with_arctan = _pass(elementary.arctan, _arctan)
_with_sin = _pass(elementary.sin, _sin)
_with_cos = _pass(elementary.cos, _cos)


@njit(error_model="numpy")
def activate_with_slopes(code, plus, minus, at_zero, neurons, start, active, at, count):
    """Put sigma(z) into ``active``, from ``at`` on, and sigma'(z) in place of z.

    Parameters
    ----------
    code, plus, minus
        As :func:`finitewidth.sampling.fused.activations.activate` takes them.
    at_zero : float
        sigma'(0) of an activation with two slopes: 0 at a kink.
    neurons, active : array of float32 or float64, of one dimension
    count : int
        Neurons, a multiple of the lanes.
    """
    if code == 0:
        for i in range(0, count, LANES):
            z = load(neurons, start + i)
            slope = select(z < 0.0, minus, converted(float64_lanes(at_zero), z))
            slope = select(z > 0.0, plus, slope)
            store(active, at + i, select(z > 0.0, z * plus, z * minus))
            store(neurons, start + i, slope)
        return
    if code == 1:
        _with_tanh(neurons, start, active, at, count)
    elif code == 2:
        _with_gelu(neurons, start, active, at, count)
    elif code == 3:
        _with_silu(neurons, start, active, at, count)
    elif code == 4:
        _with_sigmoid(neurons, start, active, at, count)
    elif code == 5:
        _with_erf(neurons, start, active, at, count)
    elif code == 6:
        _with_softplus(neurons, start, active, at, count)
    elif code == 7:
        _with_arctan(neurons, start, active, at, count)
    elif code == 8:
        _with_sin(neurons, start, active, at, count)
    else:
        _with_cos(neurons, start, active, at, count)
