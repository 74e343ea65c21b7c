"""Means over places at infinite width: of both kernels, over pairs of places."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _average_pool(layer: AveragePool, before: Kernels, rates: RatesLeft) -> Kernels:
    """Means over the places of two windows, each place of one with each of the other."""
    nngp = over_windows(layer, before.shape, before.nngp)
    ntk = None if before.tangents is None else over_windows(layer, before.shape, before.ntk)
    return Kernels(layer.shape_after(before.shape), nngp, ntk, gaussian=before.gaussian)


def over_windows(layer: AveragePool, shape: tuple[int, ...], kernel: np.ndarray) -> np.ndarray:
    """The mean of a kernel (..., rows, rows) over pairs of places of two windows."""
    image = (*shape, *[1] * (3 - len(shape)))
    high, wide = layer.window or image[1:]
    down, along = image[1] // high, image[2] // wide
    *several, rows, _ = kernel.shape
    inputs = rows // (image[1] * image[2])
    each = (inputs, down, high, along, wide)
    size = inputs * down * along
    means = kernel.reshape(*several, *each, *each).mean((-8, -6, -3, -1))
    return means.reshape(*several, size, size)
