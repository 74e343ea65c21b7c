"""Sums over the neurons of a hidden layer that a tangent kernel's mean is made of."""

from __future__ import annotations

import numpy as np
from numba import njit

from finitewidth.sampling.fused.conversions import load, store, to_float64
from finitewidth.sampling.fused.lanes import LANES, fma
from finitewidth.sampling.fused.sums import STEP


def places_of_sums(inputs: int) -> np.ndarray:
    """Which two rows are multiplied for each sum, shape (sums, 2).

    Rows are s'_a (N of them, a = 0, 1, ...), s_u (N), s'_a s_u (N^2, a first) and s'_a z_x (N^2).
    Sums stand in the order of :class:`finitewidth.sampling.mlp.conditional_ntk.LayerSums`, of
    symmetric ones the pairs i <= j of rows: slopes, activations, mixed (each a, x, u),
    preactivations.
    """
    first, sloped, driven = inputs, 2 * inputs, 2 * inputs + inputs**2
    i, j = np.triu_indices(inputs)
    k, m = np.triu_indices(inputs**2)
    one, other = (part.ravel() for part in np.indices((inputs**2, inputs)))
    pairs = [
        (i, j),
        (sloped + k, sloped + m),
        (driven + one, first + other),
        (driven + k, driven + m),
    ]
    return np.concatenate([np.stack(pair, axis=1) for pair in pairs])


@njit(error_model="numpy")
def add_tangent_sums(z, active, slopes, row, inputs, stop, places, rows, sums):
    """Add ``stop`` neurons to the sums.

    Parameters
    ----------
    z, active, slopes : array, shape (inputs * row,)
        Neurons, sigma and sigma' of them, with zeros of ``active`` and ``slopes`` up to ``stop``.
    places : array of int, shape (sums, 2)
    rows : array of float64, shape (rows * STEP,)
        Workspace.
    sums : array of float64, shape (sums * LANES,)
    """
    if inputs == 1:
        s2, d2, sd = load(sums, 0), load(sums, LANES), load(sums, 2 * LANES)
        zd = load(sums, 3 * LANES)
        for i in range(0, stop, LANES):
            d = to_float64(load(slopes, i))
            ds, dz = d * to_float64(load(active, i)), d * to_float64(load(z, i))
            s2, d2 = fma(d, d, s2), fma(ds, ds, d2)
            sd, zd = fma(dz, to_float64(load(active, i)), sd), fma(dz, dz, zd)
        store(sums, 0, s2)
        store(sums, LANES, d2)
        store(sums, 2 * LANES, sd)
        store(sums, 3 * LANES, zd)
        return
    sloped, driven = 2 * inputs, 2 * inputs + inputs * inputs
    for start in range(0, stop, STEP):
        end = min(STEP, stop - start)
        for i in range(0, end, LANES):
            for a in range(inputs):
                d = to_float64(load(slopes, a * row + start + i))
                store(rows, a * STEP + i, d)
                store(rows, (inputs + a) * STEP + i, to_float64(load(active, a * row + start + i)))
                for u in range(inputs):
                    s = to_float64(load(active, u * row + start + i))
                    store(rows, (sloped + a * inputs + u) * STEP + i, d * s)
                    x = to_float64(load(z, u * row + start + i))
                    store(rows, (driven + a * inputs + u) * STEP + i, d * x)
        for k in range(len(places)):
            one, other = places[k, 0] * STEP, places[k, 1] * STEP
            so_far = load(sums, k * LANES)
            for i in range(0, end, LANES):
                so_far = fma(load(rows, one + i), load(rows, other + i), so_far)
            store(sums, k * LANES, so_far)
