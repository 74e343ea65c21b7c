"""The cosine."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array


def _cos_derivatives(z: Array) -> Array:
    s, c = np.sin(z), np.cos(z)
    return np.stack([c, -s, -c, s, c, -s])


ACTIVATION = Activation(
    "cos",
    np.cos,
    lambda z: -np.sin(z),
    lambda torch, z: torch.cos_(z),
    derivative_on_tensor_=lambda torch, z, s: z.sin_().neg_(),
    second_on_tensor=lambda torch, z: -torch.cos(z),
    derivatives=_cos_derivatives,
    strip=3.0,
)
