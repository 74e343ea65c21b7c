"""A convolution at infinite width: kernels of patches are means over the places in them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from finitewidth.models.layers.convolution import Convolution
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _convolution(layer: Convolution, before: Kernels, rates: RatesLeft) -> Kernels:
    """As a dense map on patches: K'_(ap)(bq) = C_b + C_W mean_delta K_(a,p+delta)(b,q+delta)."""
    shape = layer.shape_after((layer.channels, *before.shape[1:]))
    squares, ntk = _over_patches(layer, before.shape, before.nngp), None
    if before.tangents is not None:
        lambda_b, lambda_W = next(rates)
        passed = _over_patches(layer, before.shape, before.ntk)
        ntk = lambda_b + lambda_W * squares + layer.C_W * passed
    return Kernels(shape, layer.C_b + layer.C_W * squares, ntk, gaussian=True)


def _over_patches(layer: Convolution, shape: tuple[int, ...], kernel: np.ndarray) -> np.ndarray:
    """Mean over the places of two patches, both at the same one of each."""
    rows, columns = shape[1:]
    several = kernel.shape[:-2]
    inputs = kernel.shape[-1] // (rows * columns)
    down, along = ((margin, margin) for margin in layer.margins)
    places = (inputs, rows, columns, inputs, rows, columns)
    mode: Literal["wrap", "constant"] = "wrap" if layer.circular else "constant"
    margins = [(0, 0)] * len(several) + [(0, 0), down, along] * 2
    whole = np.pad(kernel.reshape(*several, *places), margins, mode=mode)
    _, height, width = layer.shape_after((layer.channels, rows, columns))
    total = np.zeros((*several, inputs, height, width, inputs, height, width))
    for row in range(layer.kernel[0]):
        for column in range(layer.kernel[1]):
            high = slice(row, row + layer.stride * (height - 1) + 1, layer.stride)
            wide = slice(column, column + layer.stride * (width - 1) + 1, layer.stride)
            total += whole[..., high, wide, :, high, wide]
    size = inputs * height * width
    return total.reshape(*several, size, size) / (layer.kernel[0] * layer.kernel[1])
