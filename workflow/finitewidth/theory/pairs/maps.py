"""Dense maps and convolutions, for pairs of inputs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step


@step.register
def _dense(layer: Dense, before: Pairs, rates: RatesLeft) -> Pairs:
    """K' = C_b + C_W K and Theta' = lambda_b + lambda_W K + C_W Theta."""
    return _mapped(layer, before, rates, before.nngp, before.ntk)


@step.register
def _convolution(layer: Convolution, before: Pairs, rates: RatesLeft) -> Pairs:
    """As a dense map on patches: both kernels are means over the places in two of them."""
    nngp = over_patches(layer, before, before.nngp)
    ntk = None if before.ntk is None else over_patches(layer, before, before.ntk)
    return _mapped(layer, before, rates, nngp, ntk)


def _mapped(
    layer: Dense | Convolution,
    before: Pairs,
    rates: RatesLeft,
    nngp: np.ndarray,
    ntk: np.ndarray | None,
) -> Pairs:
    # The number of channels is that of the layer, whatever came in: inputs alone have their own.
    shape = layer.shape_after((_channels(layer), *before.shape[1:]))
    if ntk is not None:
        lambda_b, lambda_W = next(rates)
        ntk = layer.C_W * ntk
        ntk += lambda_W * nngp
        ntk += lambda_b
    after = layer.C_W * nngp
    after += layer.C_b
    return before.with_kernels(after, ntk, shape)


def _channels(layer: Dense | Convolution) -> int:
    return layer.inputs if isinstance(layer, Dense) else layer.channels


def over_patches(layer: Convolution, pairs: Pairs, kernel: np.ndarray) -> np.ndarray:
    """Means over the places of two patches, both at the same one of each.

    The window is a product of rows and columns, so that sums over k rows and then over k columns
    take the place of k^2 sums.
    """
    rows, columns = pairs.shape[1:]
    _, height, width = layer.shape_after((layer.channels, rows, columns))
    mode: Literal["wrap", "constant"] = "wrap" if layer.circular else "constant"
    sizes, high, wide = _split(kernel.shape, pairs.place_axes, (rows, columns))
    found = kernel.reshape(sizes)
    for axes, margin, window, places in (
        (high, layer.margins[0], layer.kernel[0], height),
        (wide, layer.margins[1], layer.kernel[1], width),
    ):
        found = _summed(found, axes, margin, mode, window, layer.stride, places)
    joined = list(kernel.shape)
    for axis in pairs.place_axes:
        joined[axis] = height * width
    return found.reshape(joined) / (layer.kernel[0] * layer.kernel[1])


def _split(
    shape: tuple[int, ...], place_axes: tuple[int, ...], image: tuple[int, int]
) -> tuple[list[int], list[int], list[int]]:
    """The shape with rows and columns of images apart, and the axes of either."""
    sizes: list[int] = []
    high: list[int] = []
    wide: list[int] = []
    for axis, size in enumerate(shape):
        if axis in place_axes:
            high.append(len(sizes))
            wide.append(len(sizes) + 1)
            sizes += image
        else:
            sizes.append(size)
    return sizes, high, wide


def _summed(
    kernel: np.ndarray,
    axes: list[int],
    margin: int,
    mode: Literal["wrap", "constant"],
    window: int,
    stride: int,
    places: int,
) -> np.ndarray:
    """Sums along the window, shifted along all axes at once."""
    if margin:
        beside = [(margin, margin) if axis in axes else (0, 0) for axis in range(kernel.ndim)]
        kernel = np.pad(kernel, beside, mode=mode)
    total: np.ndarray | None = None
    for shift in range(window):
        at = slice(shift, shift + stride * (places - 1) + 1, stride)
        part = kernel[tuple(at if axis in axes else slice(None) for axis in range(kernel.ndim))]
        total = part.copy() if total is None else np.add(total, part, out=total)
    assert total is not None
    return total
