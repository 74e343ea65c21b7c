"""Rows of a matrix, times numbers of several inputs: what a layer that learns needs.

Matrices stand row after row in an array of one dimension, rows to whole pairs of lanes. Inputs go
three, two or one at a time through a row that has been loaded; how many changes no number.
"""

from __future__ import annotations

from numba import njit

from finitewidth.sampling.fused.conversions import converted, float64_lanes, load, store, total
from finitewidth.sampling.fused.lanes import LANES, fma

#: Rows are kept to whole pairs of lanes, which are computed side by side.
PAIR = 2 * LANES


@njit(error_model="numpy")
def combine(matrix, at, apart, count, by, place, row, rows, start, bias, into, to):
    """into_a = bias + sum over k of by_ak matrix_k, for each input a, in whole pairs of lanes.

    ``rows`` is the number of inputs, ``apart`` the length of a row of the matrix and of ``into``,
    ``row`` that of a row of ``by``; a negative ``start`` means no bias.
    """
    for j in range(0, apart, PAIR):
        first = converted(float64_lanes(0.0), load(matrix, at + j))
        second = first
        if start >= 0:
            first, second = load(bias, start + j), load(bias, start + j + LANES)
        a = 0
        while a < rows:
            here, there = place + a * row, to + a * apart + j
            if rows - a >= 3:
                p, q, r, s, t, u = first, second, first, second, first, second
                for k in range(count):
                    x, y = (
                        load(matrix, at + k * apart + j),
                        load(matrix, at + k * apart + j + LANES),
                    )
                    one, two, three = by[here + k], by[here + row + k], by[here + 2 * row + k]
                    p, q = fma(x, one, p), fma(y, one, q)
                    r, s = fma(x, two, r), fma(y, two, s)
                    t, u = fma(x, three, t), fma(y, three, u)
                store(into, there, p)
                store(into, there + LANES, q)
                store(into, there + apart, r)
                store(into, there + apart + LANES, s)
                store(into, there + 2 * apart, t)
                store(into, there + 2 * apart + LANES, u)
                a += 3
            elif rows - a == 2:
                p, q, r, s = first, second, first, second
                for k in range(count):
                    x, y = (
                        load(matrix, at + k * apart + j),
                        load(matrix, at + k * apart + j + LANES),
                    )
                    one, two = by[here + k], by[here + row + k]
                    p, q = fma(x, one, p), fma(y, one, q)
                    r, s = fma(x, two, r), fma(y, two, s)
                store(into, there, p)
                store(into, there + LANES, q)
                store(into, there + apart, r)
                store(into, there + apart + LANES, s)
                a += 2
            else:
                p, q = first, second
                for k in range(count):
                    one = by[here + k]
                    p = fma(load(matrix, at + k * apart + j), one, p)
                    q = fma(load(matrix, at + k * apart + j + LANES), one, q)
                store(into, there, p)
                store(into, there + LANES, q)
                a += 1


@njit(error_model="numpy")
def add_outer(matrix, at, apart, count, by, place, row, values, begin, rows):
    """matrix_k += sum over inputs a of by_ak values_a, one input after another."""
    for j in range(0, apart, PAIR):
        a = 0
        while a < rows:
            here, there = place + a * row, begin + a * apart + j
            v, w = load(values, there), load(values, there + LANES)
            if rows - a >= 3:
                p, q = load(values, there + apart), load(values, there + apart + LANES)
                r, s = load(values, there + 2 * apart), load(values, there + 2 * apart + LANES)
                for k in range(count):
                    to = at + k * apart + j
                    one, two, three = by[here + k], by[here + row + k], by[here + 2 * row + k]
                    x = fma(r, three, fma(p, two, fma(v, one, load(matrix, to))))
                    store(matrix, to, x)
                    y = fma(s, three, fma(q, two, fma(w, one, load(matrix, to + LANES))))
                    store(matrix, to + LANES, y)
                a += 3
            elif rows - a == 2:
                p, q = load(values, there + apart), load(values, there + apart + LANES)
                for k in range(count):
                    to = at + k * apart + j
                    one, two = by[here + k], by[here + row + k]
                    store(matrix, to, fma(p, two, fma(v, one, load(matrix, to))))
                    store(matrix, to + LANES, fma(q, two, fma(w, one, load(matrix, to + LANES))))
                a += 2
            else:
                for k in range(count):
                    to, one = at + k * apart + j, by[here + k]
                    store(matrix, to, fma(v, one, load(matrix, to)))
                    store(matrix, to + LANES, fma(w, one, load(matrix, to + LANES)))
                a += 1


@njit(error_model="numpy")
def sum_rows(W, at, apart, outputs, s, begin, rows, b, start, z, row):
    """z of a layer of few outputs: products summed over lanes."""
    for a in range(rows):
        for o in range(outputs):
            first = load(s, begin + a * apart) * load(W, at + o * apart)
            for i in range(LANES, apart, LANES):
                first = fma(load(s, begin + a * apart + i), load(W, at + o * apart + i), first)
            z[a * row + o] = total(first) + b[start + o]
