"""The sigmoid linear unit, z/(1 + exp(-z))."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from finitewidth.models.activations.activation import Activation, Array, Tensor, expit
from finitewidth.models.activations.sigmoid import sigmoid_derivatives


def _silu_second(torch: ModuleType, z: Tensor) -> Tensor:
    gate = torch.sigmoid(z)
    return gate * (1 - gate) * (2 + z * (1 - 2 * gate))


def _silu_slope(torch: ModuleType, z: Tensor, s: Tensor) -> Tensor:
    gate = torch.sigmoid(z)
    return gate * (1 + z - s)


def _silu_derivative(z: Array) -> Array:
    gate = expit(z)
    return gate * (1 + z * (1 - gate))


def _silu_derivatives(z: Array) -> Array:
    gate = sigmoid_derivatives(z)
    return np.stack([z * gate[0], *(z * gate[k] + k * gate[k - 1] for k in range(1, 6))])


ACTIVATION = Activation(
    "silu",
    lambda z: z * expit(z),
    _silu_derivative,
    lambda torch, z: torch.nn.functional.silu(z, inplace=True),
    derivative_on_tensor_=_silu_slope,
    second_on_tensor=_silu_second,
    derivatives=_silu_derivatives,
    strip=np.pi,
)
