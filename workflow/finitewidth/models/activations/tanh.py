"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array


def _sech_squared(z: Array) -> Array:
    # 1 - tanh^2 cancels for large |z|, and cosh overflows; this form does neither.
    e = np.exp(-2 * np.abs(z))
    return 4 * e / (1 + e) ** 2


def _tanh_derivatives(z: Array) -> Array:
    t, d1 = np.tanh(z), _sech_squared(z)
    d2 = -2 * t * d1
    d3 = -2 * (d1 * d1 + t * d2)
    d4 = -2 * (3 * d1 * d2 + t * d3)
    return np.stack([t, d1, d2, d3, d4, -2 * (3 * d2 * d2 + 4 * d1 * d3 + t * d4)])


ACTIVATION = Activation(
    "tanh",
    np.tanh,
    _sech_squared,
    lambda torch, z: torch.tanh_(z),
    derivative_on_tensor_=lambda torch, z, s: torch.mul(s, s, out=z).neg_().add_(1),
    second_on_tensor=lambda torch, z: -2 * torch.tanh(z) / torch.cosh(z) ** 2,
    derivatives=_tanh_derivatives,
    strip=np.pi / 2,
)
