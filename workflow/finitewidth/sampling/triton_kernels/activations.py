"""Activations and their derivatives in single precision, for tensors of neurons in registers.

Polynomials are those of the compiled kernels (fused/coefficients.py); the exponential, the error
function, sine and cosine are Triton's. Errors are those of torch's own functions on a GPU: a few
units in the last place of a result, or of 1 where that is more.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _sigmoid(z):
    return 1.0 / (tl.exp(z * -1.0) + 1.0)


@triton.jit
def _tanh(z):
    size, q = tl.abs(z), z * z
    p = tl.fma(q, -0.0060960776172578335, 0.020995836704969406)
    p = tl.fma(q, p, -0.053850207477808)
    p = tl.fma(q, p, 0.13332757353782654)
    p = tl.fma(q, p, -0.333333283662796)
    small = tl.fma(z * q, p, z)
    large = 1.0 - 2.0 / (tl.exp(size + size) + 1.0)
    return tl.where(size < 0.625, small, tl.where(z < 0.0, large * -1.0, large))


@triton.jit
def _softplus(z):
    e = tl.exp(tl.abs(z) * -1.0)
    s = e / (e + 2.0)
    q = s * s
    p = tl.fma(q, 0.24238459765911102, 0.2144552320241928)
    p = tl.fma(q, p, 0.28615087270736694)
    p = tl.fma(q, p, 0.399989515542984)
    p = tl.fma(q, p, 0.6666667461395264)
    p = tl.fma(q, p, 2.0)
    return tl.where(z < 0.0, 0.0, z) + s * p


@triton.jit
def _arctan(z):
    size = tl.abs(z)
    steep = size > 1.0
    t = tl.where(steep, 1.0 / tl.where(steep, size, 1.0), size)
    q = t * t
    p = tl.fma(q, 0.0016924607334658504, -0.010104686953127384)
    p = tl.fma(q, p, 0.028207169845700264)
    p = tl.fma(q, p, -0.05101834237575531)
    p = tl.fma(q, p, 0.0716395229101181)
    p = tl.fma(q, p, -0.0898289903998375)
    p = tl.fma(q, p, 0.1109982579946518)
    p = tl.fma(q, p, -0.14285415410995483)
    p = tl.fma(q, p, 0.20000027120113373)
    p = tl.fma(q, p, -0.3333333432674408)
    angle = tl.fma(t * q, p, t)
    angle = tl.where(steep, 1.5707963267948966 - angle, angle)
    return tl.where(z < 0.0, angle * -1.0, angle)


@triton.jit
def activate(z, CODE: tl.constexpr, PLUS: tl.constexpr, MINUS: tl.constexpr):
    """sigma(z); CODE is the activation's number, the one that compiled kernels have for it."""
    if CODE == 0:
        if PLUS == 1.0 and MINUS == 1.0:
            s = z
        elif PLUS == 1.0 and MINUS == 0.0:
            # What is no number, after an overflow, stays so.
            s = tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)
        else:
            s = tl.where(z > 0.0, z * PLUS, z * MINUS)
    elif CODE == 1:
        s = _tanh(z)
    elif CODE == 2:
        s = z * (tl.erf(z * 0.7071067811865476) * 0.5 + 0.5)
    elif CODE == 3:
        s = z / (tl.exp(z * -1.0) + 1.0)
    elif CODE == 4:
        s = _sigmoid(z)
    elif CODE == 5:
        s = tl.erf(z)
    elif CODE == 6:
        s = _softplus(z)
    elif CODE == 7:
        s = _arctan(z)
    elif CODE == 8:
        s = tl.sin(z)
    else:
        s = tl.cos(z)
    return s


@triton.jit
def slope(z, s, CODE: tl.constexpr, PLUS: tl.constexpr, MINUS: tl.constexpr):
    """sigma'(z), given s = sigma(z); 0 at the kink of a ReLU."""
    if CODE == 0:
        if PLUS == 1.0 and MINUS == 1.0:
            d = z * 0.0 + 1.0
        else:
            d = tl.where(z > 0.0, PLUS, MINUS)
    elif CODE == 1:
        d = 1.0 - s * s
    elif CODE == 2:
        density = tl.exp(z * z * -0.5) * 0.3989422804014327
        d = tl.fma(z, density, tl.erf(z * 0.7071067811865476) * 0.5 + 0.5)
    elif CODE == 3:
        g = _sigmoid(z)
        d = g * tl.fma(z, 1.0 - g, 1.0)
    elif CODE == 4:
        d = s * (1.0 - s)
    elif CODE == 5:
        d = tl.exp(z * z * -1.0) * 1.1283791670955126
    elif CODE == 6:
        d = _sigmoid(z)
    elif CODE == 7:
        d = 1.0 / tl.fma(z, z, 1.0)
    elif CODE == 8:
        d = tl.cos(z)
    else:
        d = tl.sin(z) * -1.0
    return d
