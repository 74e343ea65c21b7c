"""Positional vectors at infinite width: tokens at one position have one, in all inputs."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.positions import Positions
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _positions(layer: Positions, before: Kernels, rates: RatesLeft) -> Kernels:
    """C_W/tokens between tokens at one position, else 0."""
    inputs = len(before.nngp) // layer.tokens
    same = np.tile(np.eye(layer.tokens), (inputs, inputs)) / layer.tokens
    ntk = None
    if before.tangents is not None:
        lambda_b, lambda_W = next(rates)
        ntk = lambda_b + lambda_W * same
    return Kernels(before.shape, layer.C_b + layer.C_W * same, ntk, gaussian=True)
