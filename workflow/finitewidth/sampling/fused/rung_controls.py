"""Means over the neurons of every rung of functions of their normals, in one pass over these.

A control is a product of rows: Hermite polynomials of the normals of one input, and of a single
input u|u| and the sign of u. Rungs read the first columns of the same normals, so that the sums of
a narrow rung are passed through by those of a wider one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from finitewidth.sampling.fused.conversions import load, place_in_lanes, store, to_float64, total
from finitewidth.sampling.fused.lanes import LANES, absolute, inlined, select, with_sign

#: What one input has beside polynomials.
_OWN = {"odd2": 0, "sgn0": 1}


def rows_of_controls(names: Sequence[str], inputs: int) -> tuple[np.ndarray, int]:
    """Which rows are multiplied for each control, and the highest degree of a polynomial.

    Parameters
    ----------
    names : sequence of str
        As :func:`finitewidth.sampling.mlp.width_controls.control_names` gives them: ``He2``,
        ``odd2``, ``sgn0`` of one input, ``He1.0.2`` and the like of several.

    Returns
    -------
    array of int, shape (controls, factors)
        Places of rows, -1 behind the last factor: He_1 to He_top of input 0, of input 1, ..., then
        u|u| and the sign of input 0.
    int
        top, at least 1.
    """
    powers = [
        [0] if name in _OWN else [int(k) for k in name.removeprefix("He").split(".")]
        for name in names
    ]
    top = max([1, *(max(degrees) for degrees in powers)])
    rows = [
        [inputs * top + _OWN[name]]
        if name in _OWN
        else [a * top + k - 1 for a, k in enumerate(degrees) if k]
        for name, degrees in zip(names, powers, strict=True)
    ]
    found = np.full((len(rows), max([1, *map(len, rows)])), -1)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found, top


@inlined
def _product(rows, row, factors, control, i):
    """Lanes of one control."""
    value = load(rows, factors[control, 0] * row + i)
    for k in range(1, factors.shape[1]):
        if factors[control, k] >= 0:
            value = value * load(rows, factors[control, k] * row + i)
    return to_float64(value)


@njit(error_model="numpy")
def fill_rows(normals, row, inputs, stop, top, single, rows):
    """The rows of ``stop`` neurons; those of ``single`` inputs too, if asked."""
    for a in range(inputs):
        for i in range(0, stop, LANES):
            u = load(normals, a * row + i)
            # He_{k+1} = u He_k - k He_{k-1}
            before, value = u * 0.0 + 1.0, u
            at = a * top * row + i
            store(rows, at, value)
            for k in range(1, top):
                following = u * value - before * float(k)
                before, value = value, following
                at += row
                store(rows, at, value)
    if single:
        at = inputs * top * row
        for i in range(0, stop, LANES):
            u = load(normals, i)
            store(rows, at + i, u * absolute(u))
            sign = with_sign(u * 0.0 + 1.0, u)
            store(rows, at + row + i, select(absolute(u) > 0.0, sign, 0.0))


@njit(error_model="numpy")
def add_controls(rows, row, start, count, factors, ordered, lanes, found):
    """Add neurons ``start`` to ``start + count`` to the sums of every control.

    Parameters
    ----------
    rows : array
        Of these neurons, as :func:`fill_rows` leaves them.
    factors : array of int, shape (controls, factors)
    ordered : array of int, shape (rungs,)
        Widths, ascending.
    lanes : array of float64, shape (controls * LANES,)
        Sums so far, lane by lane; cleared by the caller before neuron 0.
    found : array of float64, shape (controls, rungs)
        The sums over the first neurons of every rung that ends here.
    """
    for control in range(len(factors)):
        so_far, at = load(lanes, control * LANES), 0
        for rung in range(len(ordered)):
            rest = ordered[rung] - start
            if rest <= 0 or rest > count:
                continue
            whole = rest // LANES * LANES
            for i in range(at, whole, LANES):
                so_far = so_far + _product(rows, row, factors, control, i)
            at = max(at, whole)
            if rest > whole:
                last = _product(rows, row, factors, control, whole)
                last = select(place_in_lanes(last) < float(rest - whole), last, 0.0)
                found[control, rung] = total(so_far + last)
            else:
                found[control, rung] = total(so_far)
        for i in range(at, count // LANES * LANES, LANES):
            so_far = so_far + _product(rows, row, factors, control, i)
        store(lanes, control * LANES, so_far)
