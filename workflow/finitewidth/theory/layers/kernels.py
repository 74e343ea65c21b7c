"""What goes from layer to layer at infinite width, and the step that each kind of layer takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from finitewidth.models.layers.layer import Layer, Shape

#: (lambda_b, lambda_W) of the layers with weights still to come, in the order of a forward pass.
RatesLeft = Iterator[tuple[float, float]]


@dataclass(frozen=True)
class Kernels:
    """Covariance and tangent kernel of one channel, between rows.

    A row is an input at a place (a pixel; vectors have one place), inputs slowest.

    Attributes
    ----------
    shape : tuple of int
        Of one input here: channels, and rows and columns where it has any. (The number of channels
        counts only for inputs themselves, which are not wide.)
    nngp : ndarray, shape (rows, rows)
        E[v_r v_s] of one channel: of a preactivation, or of what follows it.
    tangents : ndarray, shape (rows, rows), optional
        Tangent kernel of that channel, in units of ``passed``; None where it is not wanted. Steps
        are linear in it where rates are 0, and take several at once, (..., rows, rows).
    gaussian : bool
        Whether a channel is Gaussian of mean 0 over networks, as what maps give is.
    passed : ndarray, shape (rows, rows), or 1
        <sigma'_r sigma'_s> of an activation just met. It stands apart because a map multiplies it
        by its C_W first, and the result of a product of three depends on that in its last bit.
    """

    shape: Shape
    nngp: np.ndarray
    tangents: np.ndarray | None = None
    passed: np.ndarray | float = 1.0
    gaussian: bool = False

    @property
    def ntk(self) -> np.ndarray:
        """The tangent kernel, shape (rows, rows); raises ``ValueError`` where it is not wanted."""
        if self.tangents is None:
            raise ValueError("tangent kernels want rates")
        return self.passed * self.tangents


@singledispatch
def step(layer: Layer, before: Kernels, rates: RatesLeft) -> Kernels:
    """What follows ``layer``, for what comes into it.

    Registered for each kind of layer in a module of its own, which ``infinite_width.py`` imports.
    Rates are taken from ``rates`` by layers with weights, where tangent kernels are wanted.
    """
    raise NotImplementedError(f"nothing is known of {type(layer).__name__} at infinite width")
