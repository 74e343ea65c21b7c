"""The logistic function."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from finitewidth.models.activations.activation import Activation, Array, Tensor, expit


def _sigmoid_second(torch: ModuleType, z: Tensor) -> Tensor:
    gate = torch.sigmoid(z)
    return gate * (1 - gate) * (1 - 2 * gate)


def _sigmoid_derivative(z: Array) -> Array:
    return expit(z) * expit(-z)


def sigmoid_derivatives(z: Array) -> Array:
    p, q = expit(z), expit(-z)
    pq, r = p * q, q - p
    third, fourth = pq * (r * r - 2 * pq), pq * r * (r * r - 8 * pq)
    fifth = pq * (r**4 - 22 * pq * r * r + 16 * pq * pq)
    return np.stack([p, pq, pq * r, third, fourth, fifth])


ACTIVATION = Activation(
    "sigmoid",
    expit,
    _sigmoid_derivative,
    lambda torch, z: torch.sigmoid_(z),
    derivative_on_tensor_=lambda torch, z, s: s * (1 - s),
    second_on_tensor=_sigmoid_second,
    derivatives=sigmoid_derivatives,
    strip=np.pi,
)
