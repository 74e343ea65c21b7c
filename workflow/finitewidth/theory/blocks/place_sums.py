"""What layers without a nonlinearity do to kernels of rows: means over shifts of them.

A layer turns K (R, R) into the mean over its shifts d of S_d K S_d^T: of a convolution S_d takes
each row to that at a shift of its place, of means over places there is one S, which takes them.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import product
from math import prod

import numpy as np

from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Shape

#: The S_d of a layer, each of shape (rows after, rows before).
Sums = list[np.ndarray]


@singledispatch
def _of_one(layer: Layer, shape: Shape) -> Sums:
    """Those of one input."""
    raise NotImplementedError(f"{type(layer).__name__} is no mean over places")


def sums_of(layer: Layer, shape: Shape, inputs: int) -> Sums:
    """The S_d of a layer on so many inputs of a shape (channels, rows, columns), or (channels,)."""
    return [np.kron(np.eye(inputs), S) for S in _of_one(layer, shape)]


def over(sums: Sums, kernel: np.ndarray) -> np.ndarray:
    """The mean of S_d K S_d^T, over the first two axes of a tensor."""
    rest = kernel.shape[2:]
    flat = kernel.reshape(*kernel.shape[:2], -1)
    each = (np.einsum("ar,rsx,bs->abx", S, flat, S, optimize=True) for S in sums)
    total = sum(each) / len(sums)
    return np.reshape(total, (*np.shape(total)[:2], *rest))


@_of_one.register
def _dense(layer: Dense, shape: Shape) -> Sums:
    return [np.eye(prod(shape[1:]))]


@_of_one.register
def _flatten(layer: Flatten, shape: Shape) -> Sums:
    return list(np.eye(prod(shape[1:]))[:, None])


@_of_one.register
def _average_pool(layer: AveragePool, shape: Shape) -> Sums:
    if layer.window is None:
        places = prod(shape[1:])
        return [np.full((1, places), 1 / places)]
    each = [
        np.kron(np.eye(size // wide), np.full((1, wide), 1 / wide))
        for size, wide in zip(shape[1:], layer.window, strict=True)
    ]
    return [np.kron(*each)]


@_of_one.register
def _convolution(layer: Convolution, shape: Shape) -> Sums:
    after = layer.shape_after((layer.channels, *shape[1:]))[1:]
    axes = [
        [_shift(size, new, d - margin, layer.stride, layer.circular) for d in range(wide)]
        for size, new, wide, margin in zip(
            shape[1:], after, layer.kernel, layer.margins, strict=True
        )
    ]
    return [np.kron(down, along) for down, along in product(*axes)]


def _shift(size: int, after: int, by: int, stride: int, circular: bool) -> np.ndarray:
    """(after, size): 1 where a place stands at that shift of a place after; 0 beyond the edge."""
    at = np.arange(after) * stride + by
    if circular:
        at = at % size
    return (at[:, None] == np.arange(size)).astype(float)
