"""The logarithm of 1 + exp(z)."""

from __future__ import annotations

import numpy as np

from finitewidth.models.activations.activation import Activation, Array, expit
from finitewidth.models.activations.sigmoid import sigmoid_derivatives


def _softplus_derivatives(z: Array) -> Array:
    return np.concatenate([np.logaddexp(0.0, z)[None], sigmoid_derivatives(z)[:5]])


ACTIVATION = Activation(
    "softplus",
    lambda z: np.logaddexp(0.0, z),
    expit,
    lambda torch, z: torch.nn.functional.softplus(z),
    derivative_on_tensor_=lambda torch, z, s: torch.sigmoid(z),
    second_on_tensor=lambda torch, z: torch.sigmoid(z) * torch.sigmoid(-z),
    derivatives=_softplus_derivatives,
    strip=np.pi,
)
