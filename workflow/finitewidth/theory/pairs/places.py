"""Means over places, for pairs of inputs."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.flatten import Flatten
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step


@step.register
def _average_pool(layer: AveragePool, before: Pairs, rates: RatesLeft) -> Pairs:
    """Means over the places of two windows, each place of one with each of the other."""
    nngp = _over_windows(layer, before, before.nngp)
    ntk = None if before.ntk is None else _over_windows(layer, before, before.ntk)
    return before.with_kernels(nngp, ntk, layer.shape_after(before.shape))


@step.register
def _flatten(layer: Flatten, before: Pairs, rates: RatesLeft) -> Pairs:
    """Means over places, each of one input with the same place of the other."""
    same = before.narrowed()
    ntk = None if same.ntk is None else same.ntk.mean(0, keepdims=True)
    return same.with_kernels(same.nngp.mean(0, keepdims=True), ntk, layer.shape_after(before.shape))


def _over_windows(layer: AveragePool, pairs: Pairs, kernel: np.ndarray) -> np.ndarray:
    image = (*pairs.shape, *[1] * (3 - len(pairs.shape)))
    high, wide = layer.window or image[1:]
    if high * wide > 1 and pairs.layout not in ("all", "own"):
        raise ValueError("means over places want the kernel of every pair of them")
    down, along = image[1] // high, image[2] // wide
    for axis in pairs.place_axes:
        shape = kernel.shape
        apart = (*shape[:axis], down, high, along, wide, *shape[axis + 1 :])
        means = kernel.reshape(apart).mean((axis + 1, axis + 3))
        kernel = means.reshape(*shape[:axis], down * along, *shape[axis + 1 :])
    return kernel
