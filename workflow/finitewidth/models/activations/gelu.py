"""The Gaussian error linear unit, z times the normal distribution function."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from finitewidth.models.activations.activation import Activation, Array, Tensor, ndtr

_ROOT_2PI = float(np.sqrt(2 * np.pi))


def _normal_density(torch: ModuleType, z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / _ROOT_2PI


def _gelu_derivative(z: Array) -> Array:
    return ndtr(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def _gelu_derivatives(z: Array) -> Array:
    phi, cdf = np.exp(-z * z / 2) / np.sqrt(2 * np.pi), ndtr(z)
    q = z * z
    fourth, fifth = ((7 - q) * q - 4) * phi, ((q - 11) * q + 18) * z * phi
    return np.stack([z * cdf, cdf + z * phi, (2 - q) * phi, (q - 4) * z * phi, fourth, fifth])


ACTIVATION = Activation(
    "gelu",
    lambda z: z * ndtr(z),
    _gelu_derivative,
    lambda torch, z: torch.nn.functional.gelu(z),
    derivative_on_tensor_=lambda torch, z, s: torch.special.ndtr(z) + z * _normal_density(torch, z),
    second_on_tensor=lambda torch, z: (2 - z * z) * _normal_density(torch, z),
    derivatives=_gelu_derivatives,
    strip=2.0,
)
