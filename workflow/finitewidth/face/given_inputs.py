"""Inputs as somebody gives them to a network, and whole numbers."""

from __future__ import annotations

from math import prod

import numpy as np

from finitewidth.core.errors import describe
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron


def inputs_for(network: Perceptron | Architecture, key: str, given: np.ndarray) -> np.ndarray:
    """Inputs of a network as float64, (inputs, n_0), or (inputs, *shape) of images and sequences.

    Images and sequences may be rows of numbers, and images of one row may lack it. Raises
    ``ValueError`` in one sentence, which begins with ``key``, where they do not fit.
    """
    layers = network.architecture if isinstance(network, Perceptron) else network
    shape = layers.given_shape
    x = np.asarray(given, dtype=float)
    if x.ndim < 2 or not len(x) or x.shape[1:] not in (shape, _line(shape), (prod(shape),)):
        raise ValueError(
            f"{key}: given an array of shape {x.shape}, allowed is (inputs,"
            f" {', '.join(map(str, shape))}) with at least one input"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{key}: given numbers that are not finite, allowed are finite ones")
    return x.reshape(len(x), *shape)


def _line(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of images of one row without it."""
    return (shape[0], shape[2]) if len(shape) == 3 and shape[1] == 1 else shape


def whole(key: str, given: object, least: int = 1) -> int:
    """A whole number of at least ``least``; ``ValueError`` in one sentence otherwise."""
    number = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if not number or given < least:  # type: ignore[operator]
        allowed = f"a whole number of at least {least}"
        raise ValueError(f"{key}: given {describe(given)}, allowed is {allowed}")
    return int(given)  # type: ignore[call-overload]
