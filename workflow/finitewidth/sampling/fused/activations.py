"""The activations that the kernels know, applied to a row of neurons in cache.

Errors are at most 3 units in the last place of a result, 8 for gelu: in single and in double
precision, over all arguments, but for sin and cos up to 1e5 and 1e9. A result below 64 times the
smallest normal number counts in units of that (tests/unit/sampling/test_fused_functions.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from finitewidth.models.activations.activation import Activation
from finitewidth.sampling.fused import elementary
from finitewidth.sampling.fused.conversions import load, store
from finitewidth.sampling.fused.lanes import LANES, absolute, inlined, select

#: What the kernels call the activations with two slopes, and the others by name.
SLOPES = 0
CODES = {
    "tanh": 1,
    "gelu": 2,
    "silu": 3,
    "sigmoid": 4,
    "erf": 5,
    "softplus": 6,
    "arctan": 7,
    "sin": 8,
    "cos": 9,
}


def code_of(activation: Activation) -> int | None:
    """The kernels' number of an activation, or None for one that they do not know."""
    return SLOPES if activation.slopes else CODES.get(activation.name)


def slopes_of(activation: Activation) -> tuple[float, float, float]:
    """The two slopes of an activation, 1 where it has none, and its derivative at 0."""
    plus, minus = activation.slopes or (1.0, 1.0)
    return float(plus), float(minus), float(activation.derivative(np.zeros(1))[0])


@inlined
def gelu(z):
    """z times the normal distribution function."""
    tail = elementary.upper_tail(absolute(z))
    return z * select(z > 0.0, 1.0 - tail, tail)


@inlined
def silu(z):
    """z/(1 + exp(-z))."""
    return z / (elementary.exp(z * -1.0) + 1.0)


@inlined
def softplus(z):
    """The logarithm of 1 + exp(z)."""
    return select(z < 0.0, 0.0, z) + elementary.log1p_of_unit(elementary.exp(absolute(z) * -1.0))


def _pass(function: Callable) -> Callable:
    """One pass over neurons from ``start`` to ``stop``, in place."""

    @njit(error_model="numpy")
    def go(neurons, start, stop):
        for i in range(start, stop, LANES):
            store(neurons, i, function(load(neurons, i)))

    return go


_tanh = _pass(elementary.tanh)
_gelu = _pass(gelu)
_silu = _pass(silu)
_sigmoid = _pass(elementary.sigmoid)
_erf = _pass(elementary.erf)
_softplus = _pass(softplus)
_arctan = _pass(elementary.arctan)
_sin = _pass(elementary.sin)
_cos = _pass(elementary.cos)


@njit(error_model="numpy")
def activate(code, plus, minus, neurons, start, stop):
    """Put sigma(z) in place of z; ``start`` and ``stop`` are a multiple of the lanes apart."""
    if code == 0:
        if plus == 1.0 and minus == 1.0:
            return
        for i in range(start, stop, LANES):
            z = load(neurons, i)
            store(neurons, i, select(z > 0.0, z * plus, z * minus))
    elif code == 1:
        _tanh(neurons, start, stop)
    elif code == 2:
        _gelu(neurons, start, stop)
    elif code == 3:
        _silu(neurons, start, stop)
    elif code == 4:
        _sigmoid(neurons, start, stop)
    elif code == 5:
        _erf(neurons, start, stop)
    elif code == 6:
        _softplus(neurons, start, stop)
    elif code == 7:
        _arctan(neurons, start, stop)
    elif code == 8:
        _sin(neurons, start, stop)
    else:
        _cos(neurons, start, stop)
