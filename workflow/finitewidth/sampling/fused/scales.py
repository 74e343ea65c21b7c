"""Scales that were carried apart, brought back: many logarithms and exponentials at a time."""

from __future__ import annotations

from numba import njit

from finitewidth.sampling.fused.conversions import load, store
from finitewidth.sampling.fused.elementary import exp, log
from finitewidth.sampling.fused.lanes import LANES


@njit(error_model="numpy")
def to_natural_units(
    diagonals, norms, places, preactivation, kernel, quartic, sextic, log_norm, quads, at
):
    """Multiply what was recorded of network ``at`` at unit scale by its scales.

    A product of scales may leave the range of floating-point numbers (``log_norm`` still holds the
    truth then); a dead network stays exactly 0.

    Parameters
    ----------
    diagonals : array, shape (at least (L + 1) inputs,)
        The squared scale that each input gained at each layer, from layer 0 on; overwritten.
    norms : array, shape (at least recorded layers times inputs,)
        Mean squares at unit scale; overwritten.
    """
    inputs, last = log_norm.shape[2], len(places) - 1
    for values in (diagonals, norms):
        for i in range(0, len(values), LANES):
            store(values, i, log(load(values, i)) * 0.5)
    for k in range(inputs):
        diagonals[k] = 0
    for k in range(inputs, (last + 1) * inputs):
        diagonals[k] += diagonals[k - inputs]
    for layer in range(1, last + 1):
        place = places[layer]
        if place >= 0:
            for a in range(inputs):
                log_norm[at, place, a] = diagonals[layer * inputs + a] + norms[place * inputs + a]
    if not len(kernel):
        return
    for i in range(0, len(diagonals), LANES):
        store(diagonals, i, exp(load(diagonals, i)))
    for layer in range(1, last + 1):
        place, scale = places[layer], diagonals[layer * inputs : (layer + 1) * inputs]
        if place < 0:
            continue
        for a in range(inputs):
            for i in range(preactivation.shape[3]):
                preactivation[at, place, a, i] *= scale[a]
            for b in range(inputs):
                kernel[at, place, a, b] *= scale[a] * scale[b]
        if len(quartic):
            for k in range(len(quads)):
                for c in range(4):
                    quartic[at, place, k] *= scale[quads[k, c]]
        if len(sextic):
            for a in range(inputs):
                cube = scale[a] * scale[a] * scale[a]
                sextic[at, place, a] *= cube * cube
