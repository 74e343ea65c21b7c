"""The identity."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array


def _linear_derivatives(z: Array) -> Array:
    zero = np.zeros_like(z, dtype=float)
    return np.stack([zero + z, zero + 1, zero, zero, zero, zero])


ACTIVATION = Activation(
    "linear",
    lambda z: np.asarray(z, dtype=float),
    lambda z: np.ones_like(z, dtype=float),
    lambda torch, z: z,
    derivative_on_tensor_=lambda torch, z, s: torch.ones_like(s),
    second_on_tensor=lambda torch, z: torch.zeros_like(z),
    slopes=(1.0, 1.0),
    derivatives=_linear_derivatives,
    strip=3.0,
)
