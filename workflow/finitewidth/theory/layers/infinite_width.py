"""Covariance and tangent kernel of any list of layers at infinite width, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.parameterisation import LearningRates

# What each of these registers is a step.
from finitewidth.theory.layers import convolution, dense, flatten, nonlinearity  # noqa: F401
from finitewidth.theory.layers.kernels import Kernels, step


def infinite_width_kernels(
    architecture: Architecture, x: np.ndarray, rates: LearningRates | None = None
) -> list[Kernels]:
    """Kernels of the preactivations after each layer with weights.

    Parameters
    ----------
    architecture : Architecture
        Widths do not matter but for the channels of inputs.
    x : ndarray, shape (inputs, *architecture.shape)
    rates : LearningRates, optional
        With them, tangent kernels as well, of a channel with itself.

    Returns
    -------
    list of Kernels, one for each layer with weights

    Raises
    ------
    ValueError
        If x has another shape, or rates are for another depth.
    """
    x = np.asarray(x, dtype=float)
    if x.shape[1:] != architecture.shape or not len(x):
        raise ValueError(f"inputs of shape {x.shape} do not fit {architecture.shape} an input")
    if rates is not None and not len(rates.lambda_b) == len(rates.lambda_W) == architecture.depth:
        raise ValueError(f"rates need {architecture.depth} values of lambda_b and lambda_W each")
    return list(advance(architecture.layers, start(x, rates is not None), rates))


def start(x: np.ndarray, with_ntk: bool) -> Kernels:
    """The kernels of inputs x (inputs, channels, ...): those do not learn."""
    inputs, *shape = x.shape
    places = prod(shape[1:])
    # A row an input at a place.
    rows = np.moveaxis(x.reshape(inputs, shape[0], places), 1, 2).reshape(-1, shape[0])
    nngp = np.einsum("ri,si->rs", rows, rows) / shape[0]
    return Kernels(tuple(shape), nngp, np.zeros_like(nngp) if with_ntk else None)


def advance(
    layers: Iterable[Layer], before: Kernels, rates: LearningRates | None = None
) -> Iterator[Kernels]:
    """The kernels after each layer with weights, one by one, from those before the first layer."""
    left = iter(()) if rates is None else zip(rates.lambda_b, rates.lambda_W, strict=True)
    now = before
    for layer in layers:
        now = step(layer, now, left)
        if isinstance(layer, Map):
            yield now
