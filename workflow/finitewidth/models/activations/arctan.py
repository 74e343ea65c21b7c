"""The arc tangent."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array


def _arctan_derivatives(z: Array) -> Array:
    q = 1 / (1 + z * z)
    v, w = z * q, z * z * q
    third, fourth = (6 * w - 2 * q) * q * q, 24 * v * (q - w) * q * q
    fifth = 24 * (5 * w * w - 10 * w * q + q * q) * q**3
    return np.stack([np.arctan(z), q, -2 * v * q, third, fourth, fifth])


ACTIVATION = Activation(
    "arctan",
    np.arctan,
    lambda z: 1 / (1 + z * z),
    lambda torch, z: torch.atan_(z),
    derivative_on_tensor_=lambda torch, z, s: 1 / (1 + z * z),
    second_on_tensor=lambda torch, z: -2 * z / (1 + z * z) ** 2,
    derivatives=_arctan_derivatives,
    strip=1.0,
)
