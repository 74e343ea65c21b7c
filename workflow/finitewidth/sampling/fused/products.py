"""Products of rows of neurons with rows, summed over neurons.

As in :mod:`.sums`, each lane is a sum in double precision, neuron i in lane i mod 16. Rows stand
one after the other in an array of one dimension. Several products are made at once, so that a row
is brought to double precision once for several; which ones changes no sum.
"""

from __future__ import annotations

from numba import njit

from finitewidth.sampling.fused.conversions import load, store, to_float64
from finitewidth.sampling.fused.lanes import LANES, fma


@njit(error_model="numpy")
def _one(a, at, b, bt, stop, sums, place):
    total = load(sums, place)
    for i in range(0, stop, LANES):
        total = fma(to_float64(load(a, at + i)), to_float64(load(b, bt + i)), total)
    store(sums, place, total)


@njit(error_model="numpy")
def _one_by_two(a, at, b, bt, row_b, stop, sums, place):
    s, t = load(sums, place), load(sums, place + LANES)
    for i in range(0, stop, LANES):
        x = to_float64(load(a, at + i))
        s = fma(x, to_float64(load(b, bt + i)), s)
        t = fma(x, to_float64(load(b, bt + row_b + i)), t)
    store(sums, place, s)
    store(sums, place + LANES, t)


@njit(error_model="numpy")
def _two_by_two(a, at, row_a, b, bt, row_b, stop, sums, place, other):
    s, t = load(sums, place), load(sums, place + LANES)
    u, v = load(sums, other), load(sums, other + LANES)
    for i in range(0, stop, LANES):
        x, y = to_float64(load(a, at + i)), to_float64(load(a, at + row_a + i))
        z, w = to_float64(load(b, bt + i)), to_float64(load(b, bt + row_b + i))
        s, t = fma(x, z, s), fma(x, w, t)
        u, v = fma(y, z, u), fma(y, w, v)
    store(sums, place, s)
    store(sums, place + LANES, t)
    store(sums, other, u)
    store(sums, other + LANES, v)


@njit(error_model="numpy")
def _two_by_three(a, at, row_a, b, bt, row_b, stop, sums, place, other):
    s, t, u = load(sums, place), load(sums, place + LANES), load(sums, place + 2 * LANES)
    p, q, r = load(sums, other), load(sums, other + LANES), load(sums, other + 2 * LANES)
    for i in range(0, stop, LANES):
        x, y = to_float64(load(a, at + i)), to_float64(load(a, at + row_a + i))
        z = to_float64(load(b, bt + i))
        s, p = fma(x, z, s), fma(y, z, p)
        z = to_float64(load(b, bt + row_b + i))
        t, q = fma(x, z, t), fma(y, z, q)
        z = to_float64(load(b, bt + 2 * row_b + i))
        u, r = fma(x, z, u), fma(y, z, r)
    store(sums, place, s)
    store(sums, place + LANES, t)
    store(sums, place + 2 * LANES, u)
    store(sums, other, p)
    store(sums, other + LANES, q)
    store(sums, other + 2 * LANES, r)


@njit(error_model="numpy")
def _triangle_of_three(a, at, row, stop, sums, first, second, third):
    p, q, r = load(sums, first), load(sums, first + LANES), load(sums, first + 2 * LANES)
    s, t, u = load(sums, second), load(sums, second + LANES), load(sums, third)
    for i in range(0, stop, LANES):
        x, y = to_float64(load(a, at + i)), to_float64(load(a, at + row + i))
        z = to_float64(load(a, at + 2 * row + i))
        p, q, r = fma(x, x, p), fma(x, y, q), fma(x, z, r)
        s, t, u = fma(y, y, s), fma(y, z, t), fma(z, z, u)
    store(sums, first, p)
    store(sums, first + LANES, q)
    store(sums, first + 2 * LANES, r)
    store(sums, second, s)
    store(sums, second + LANES, t)
    store(sums, third, u)


@njit(error_model="numpy")
def add_products_of(a, at, row_a, rows_a, b, bt, row_b, rows_b, stop, sums, place, step):
    """Add the products of each row of ``a`` with each of ``b`` to the sums.

    Parameters
    ----------
    a, b : array of float32 or float64, of one dimension
        Rows begin at ``at`` and ``bt``, ``row_a`` and ``row_b`` apart.
    stop : int
        Neurons, a multiple of the lanes.
    sums : array of float64, of one dimension
        Rows i of ``a`` and j of ``b`` belong to the lanes from ``place + i step + j LANES`` on.
    """
    i = 0
    while i + 2 <= rows_a:
        j, first, here = 0, place + i * step, at + i * row_a
        while j < rows_b:
            there, to = bt + j * row_b, first + j * LANES
            if rows_b - j == 2 or rows_b - j == 4:
                _two_by_two(a, here, row_a, b, there, row_b, stop, sums, to, to + step)
                j += 2
            elif rows_b - j >= 3:
                _two_by_three(a, here, row_a, b, there, row_b, stop, sums, to, to + step)
                j += 3
            else:
                _one(a, here, b, there, stop, sums, to)
                _one(a, here + row_a, b, there, stop, sums, to + step)
                j += 1
        i += 2
    if i < rows_a:
        j, first, here = 0, place + i * step, at + i * row_a
        while j + 2 <= rows_b:
            _one_by_two(a, here, b, bt + j * row_b, row_b, stop, sums, first + j * LANES)
            j += 2
        if j < rows_b:
            _one(a, here, b, bt + j * row_b, stop, sums, first + j * LANES)


@njit(error_model="numpy")
def add_squares_of(a, at, row, rows, stop, sums):
    """Add the products of rows i <= j of ``a`` to the sums, from ``(i rows + j) LANES`` on."""
    step, i = rows * LANES, 0
    while i < rows:
        here, place = at + i * row, i * (step + LANES)
        if rows - i == 3:
            below = place + step + LANES
            _triangle_of_three(a, here, row, stop, sums, place, below, below + step + LANES)
            return
        for j in range(i, min(i + 2, rows)):
            for k in range(j, min(i + 2, rows)):
                _one(a, at + j * row, a, at + k * row, stop, sums, (j * rows + k) * LANES)
        rest = rows - i - 2
        if rest > 0:
            after = here + 2 * row
            add_products_of(
                a, here, row, 2, a, after, row, rest, stop, sums, place + 2 * LANES, step
            )
        i += 2
