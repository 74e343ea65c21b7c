"""The error function."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from finitewidth.models.activations.activation import Activation, Array, Tensor, erf


def _erf_slope(torch: ModuleType, z: Tensor, s: Tensor | None = None) -> Tensor:
    return 2 / float(np.sqrt(np.pi)) * torch.exp(-z * z)


def _erf_derivative(z: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-z * z)


def _erf_derivatives(z: Array) -> Array:
    g, q = _erf_derivative(z), z * z
    fourth, fifth = (12 - 8 * q) * z * g, ((16 * q - 48) * q + 12) * g
    return np.stack([erf(z), g, -2 * z * g, (4 * q - 2) * g, fourth, fifth])


ACTIVATION = Activation(
    "erf",
    erf,
    _erf_derivative,
    lambda torch, z: torch.erf_(z),
    derivative_on_tensor_=_erf_slope,
    second_on_tensor=lambda torch, z: -2 * z * _erf_slope(torch, z),
    derivatives=_erf_derivatives,
    strip=1.5,
)
