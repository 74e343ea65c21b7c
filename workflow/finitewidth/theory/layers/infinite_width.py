"""Covariance and tangent kernel of any list of layers at infinite width, layer by layer."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from math import prod

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.parameterisation import LearningRates

# What each of these registers is a step.
from finitewidth.theory.layers import (  # noqa: F401
    attention,
    average_pool,
    block,
    convolution,
    dense,
    flatten,
    nonlinearity,
    norms,
    positions,
)
from finitewidth.theory.layers.kernels import Kernels, step


def infinite_width_kernels(
    architecture: Architecture, x: np.ndarray, rates: LearningRates | None = None
) -> list[Kernels]:
    """Kernels of each layer of results (:attr:`Architecture.ends`).

    Parameters
    ----------
    architecture : Architecture
        Widths do not matter but for the channels of inputs.
    x : ndarray
        As :meth:`~finitewidth.models.architecture.Architecture.arranged` takes it.
    rates : LearningRates, optional
        With them, tangent kernels as well, of a channel with itself.

    Returns
    -------
    list of Kernels, one for each layer of results

    Raises
    ------
    ValueError
        If x has another shape, or rates are for another depth.
    """
    x = architecture.arranged(np.asarray(x, dtype=float))
    if not len(x):
        raise ValueError("there are no inputs")
    if rates is not None and not len(rates.lambda_b) == len(rates.lambda_W) == architecture.depth:
        raise ValueError(f"rates need {architecture.depth} values of lambda_b and lambda_W each")
    before = start(x, rates is not None)
    return list(advance(architecture.layers, before, rates, architecture.ends))


def start(x: np.ndarray, with_ntk: bool) -> Kernels:
    """The kernels of inputs x (inputs, channels, ...): those do not learn."""
    inputs, *shape = x.shape
    places = prod(shape[1:])
    # A row an input at a place.
    rows = np.moveaxis(x.reshape(inputs, shape[0], places), 1, 2).reshape(-1, shape[0])
    nngp = np.einsum("ri,si->rs", rows, rows) / shape[0]
    return Kernels(tuple(shape), nngp, np.zeros_like(nngp) if with_ntk else None)


def advance(
    layers: Iterable[Layer],
    before: Kernels,
    rates: LearningRates | None = None,
    ends: Container[int] | None = None,
) -> Iterator[Kernels]:
    """The kernels after the layers ``ends``, counted from 1, or after each map: one by one, from
    those before the first layer."""
    left = iter(()) if rates is None else zip(rates.lambda_b, rates.lambda_W, strict=True)
    now = before
    for number, layer in enumerate(layers, 1):
        now = step(layer, now, left)
        if isinstance(layer, Map) if ends is None else number in ends:
            yield now
