"""Sums over the neurons of a layer, in double precision, each lane in its order.

A product of two numbers of single precision is exact in double precision, so that a part of one
input that is independent of the others survives the difference of two such sums. Neuron i counts in
lane i mod 16, whatever the pieces are in which a layer passes through the cache.

Rows of neurons stand one after the other, ``row`` apart, in an array of one dimension; sums stand
lane by lane in another.
"""

from __future__ import annotations

from numba import njit

from finitewidth.sampling.fused.conversions import load, store, to_float64
from finitewidth.sampling.fused.lanes import LANES, fma

#: Neurons whose products are kept in cache at once.
STEP = 64


@njit(error_model="numpy")
def add_products(neurons, row, inputs, stop, sums):
    """Add the products of inputs a <= b, the pairs in order, to the sums."""
    if inputs == 1:
        total = load(sums, 0)
        for i in range(0, stop, LANES):
            x = to_float64(load(neurons, i))
            total = fma(x, x, total)
        store(sums, 0, total)
        return
    if inputs == 2:
        one, both, other = load(sums, 0), load(sums, LANES), load(sums, 2 * LANES)
        for i in range(0, stop, LANES):
            x, y = to_float64(load(neurons, i)), to_float64(load(neurons, row + i))
            one, both, other = fma(x, x, one), fma(x, y, both), fma(y, y, other)
        store(sums, 0, one)
        store(sums, LANES, both)
        store(sums, 2 * LANES, other)
        return
    at = 0
    for a in range(inputs):
        for b in range(a, inputs):
            total = load(sums, at)
            for i in range(0, stop, LANES):
                x = to_float64(load(neurons, a * row + i))
                total = fma(x, to_float64(load(neurons, b * row + i)), total)
            store(sums, at, total)
            at += LANES


@njit(error_model="numpy")
def add_four_products(neurons, row, inputs, stop, sums, fours, products, sixth):
    """Add products of two, behind them of four and, if asked, sixth powers.

    ``fours`` (quadruple, 2) names the pairs that make each quadruple; ``products`` is memory for
    ``STEP`` neurons of each pair.
    """
    pairs = inputs * (inputs + 1) // 2
    for start in range(0, stop, STEP):
        end = min(STEP, stop - start)
        pair = 0
        for a in range(inputs):
            for b in range(a, inputs):
                total = load(sums, pair * LANES)
                for i in range(0, end, LANES):
                    x = to_float64(load(neurons, a * row + start + i))
                    x = x * to_float64(load(neurons, b * row + start + i))
                    total = total + x
                    store(products, pair * STEP + i, x)
                store(sums, pair * LANES, total)
                pair += 1
        place = pairs * LANES
        for k in range(len(fours)):
            one, other = fours[k, 0] * STEP, fours[k, 1] * STEP
            total = load(sums, place)
            for i in range(0, end, LANES):
                total = fma(load(products, one + i), load(products, other + i), total)
            store(sums, place, total)
            place += LANES
        if sixth:
            pair = 0
            for a in range(inputs):
                total = load(sums, place)
                for i in range(0, end, LANES):
                    x = to_float64(load(neurons, a * row + start + i))
                    x = x * load(products, pair * STEP + i)
                    total = fma(x, x, total)
                store(sums, place, total)
                place += LANES
                pair += inputs - a
