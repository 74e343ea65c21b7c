"""The sine."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array


def _sin_derivatives(z: Array) -> Array:
    s, c = np.sin(z), np.cos(z)
    return np.stack([s, c, -s, -c, s, c])


ACTIVATION = Activation(
    "sin",
    np.sin,
    np.cos,
    lambda torch, z: torch.sin_(z),
    derivative_on_tensor_=lambda torch, z, s: z.cos_(),
    second_on_tensor=lambda torch, z: -torch.sin(z),
    derivatives=_sin_derivatives,
    strip=3.0,
)
