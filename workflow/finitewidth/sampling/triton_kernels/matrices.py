"""Small matrices of each network, in registers: tuples of float64 tensors, (network, 1) each.

A symmetric or lower triangular matrix is the tuple of its entries (a, b) with b <= a, row by row;
any other one row by row, too.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def factor_of(gram, SIZE: tl.constexpr):
    """Lower triangular R with R R^T = ``gram``, of any rank.

    As :func:`finitewidth.sampling.gaussian_rows.semidefinite_factor`, row by row: a pivot below
    1e-13 of its diagonal is the rounding of a dependent row, and exactly 0.
    """
    factor, inverses = (), ()
    for a in tl.static_range(SIZE):
        for b in tl.static_range(a):
            entry = gram[a * (a + 1) // 2 + b]
            for k in tl.static_range(b):
                entry -= factor[a * (a + 1) // 2 + k] * factor[b * (b + 1) // 2 + k]
            factor = factor + (entry * inverses[b],)
        own = gram[a * (a + 1) // 2 + a]
        pivot = own
        for k in tl.static_range(a):
            pivot -= factor[a * (a + 1) // 2 + k] * factor[a * (a + 1) // 2 + k]
        # What is not finite, after an overflow, stays so.
        dead = (pivot <= own * 1e-13) & (own - own == 0.0)
        root = tl.sqrt(tl.where(dead, 0.0, pivot))
        factor = factor + (root,)
        inverses = inverses + (tl.where(dead, 0.0, 1.0 / tl.where(dead, 1.0, root)),)
    return factor


@triton.jit
def pseudo_inverse(factor, SIZE: tl.constexpr):
    """F^+ of a lower triangular F as :func:`factor_of` makes it, lower triangular.

    F^+ S are orthonormal rows where S S^T = F F^T; a row of zeros for each dependent input.
    """
    inverse, roots = (), ()
    for a in tl.static_range(SIZE):
        own = factor[a * (a + 1) // 2 + a]
        root = tl.where(own > 0.0, 1.0 / tl.where(own > 0.0, own, 1.0), 0.0)
        for b in tl.static_range(a):
            # Row a of the inverse times F has a zero in column b.
            entry = factor[a * (a + 1) // 2 + b] * roots[b]
            for k in tl.static_range(b + 1, a):
                entry += factor[a * (a + 1) // 2 + k] * inverse[k * (k + 1) // 2 + b]
            inverse = inverse + (entry * root * -1.0,)
        inverse = inverse + (root,)
        roots = roots + (root,)
    return inverse


@triton.jit
def single(matrix, COUNT: tl.constexpr):
    """The same entries in single precision."""
    found = ()
    for k in tl.static_range(COUNT):
        found = found + (matrix[k].to(tl.float32),)
    return found


@triton.jit
def zeros(COUNT: tl.constexpr, NETS: tl.constexpr, LANES: tl.constexpr, KIND: tl.constexpr):
    """Sums before anything was added: (network, lane) each."""
    found = ()
    for k in tl.static_range(COUNT):
        found = found + (tl.zeros((NETS, LANES), KIND),)
    return found


@triton.jit
def totals(sums, COUNT: tl.constexpr):
    """Sums over lanes, in a fixed order and in double precision: (network, 1) each."""
    found = ()
    for k in tl.static_range(COUNT):
        found = found + (tl.sum(sums[k].to(tl.float64), 1, keep_dims=True),)
    return found


@triton.jit
def correlate(factor, u, A: tl.constexpr):
    """Rows of covariance R R^T of independent normals: four vectors of neurons an input.

    ``factor`` is R in single precision; ``u`` and what is returned hold vector k of input a in the
    place 4 a + k.
    """
    z = ()
    for a in tl.static_range(A):
        for k in tl.static_range(4):
            value = u[4 * a + k] * factor[a * (a + 1) // 2 + a]
            for b in tl.static_range(a):
                value = tl.fma(u[4 * b + k], factor[a * (a + 1) // 2 + b], value)
            z = z + (value,)
    return z
