"""The tangent kernel as a sum over layers: activation Gram times backpropagated Gram.

Theta_{ia,jb} = sum_l (lambda_b^(l) + lambda_W^(l)/n_{l-1} s^(l-1)_a . s^(l-1)_b)
(delta^(l)_ia . delta^(l)_jb), where delta^(l)_ia is the derivative of z^(L)_ia by z^(l)_a: weights
change the preactivations of their layer by what stands before it, biases by 1 (PDLT chapter 8).
For many networks at once, without automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates


@dataclass(frozen=True)
class Layerwise:
    """Tangent kernels of a batch of networks, part by part.

    Attributes
    ----------
    preactivations : list of tensors, shape (networks, inputs, n_l)
    weight, bias : list of tensors, shape (networks, outputs, outputs, inputs, inputs)
        What the weights and the biases of each layer contribute, rates included.
    """

    preactivations: list[torch.Tensor]
    weight: list[torch.Tensor]
    bias: list[torch.Tensor]

    @property
    def total(self) -> torch.Tensor:
        """The whole kernel, (networks, outputs, outputs, inputs, inputs)."""
        zero = self.weight[0].new_zeros(())
        return sum(self.weight, zero) + sum(self.bias, zero)


def layerwise(
    activation: Activation,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor | None],
    x: torch.Tensor,
    rates: LearningRates,
    outputs: int | None = None,
) -> Layerwise:
    """Tangent kernels of given networks.

    Parameters
    ----------
    activation : Activation
    weights : sequence of tensors, shape (networks, n_l, n_{l-1})
    biases : sequence of tensors, shape (networks, n_l), or None where a layer has none
        A layer without biases has no bias part (it is 0).
    x : tensor, shape (inputs, n_0)
    rates : LearningRates
    outputs : int, optional
        How many outputs to take, the first ones; all where left out.
    """
    networks, depth, inputs = len(weights[0]), len(weights), len(x)
    k = outputs or weights[-1].shape[1]
    s, slopes, preactivations = x, [], []
    grams = [(x @ x.T).expand(networks, inputs, inputs)]
    for layer in range(depth):
        W, b = weights[layer], biases[layer]
        z = s @ W.transpose(1, 2) if layer == 0 else torch.bmm(s, W.transpose(1, 2))
        if b is not None:
            z = z + b[:, None]
        preactivations.append(z)
        if layer < depth - 1:
            s = activation.on_tensor(torch, z)
            slopes.append(activation.derivative_on_tensor(torch, z, s))
            grams.append(torch.bmm(s, s.transpose(1, 2)))
    unit = torch.eye(k, dtype=x.dtype, device=x.device)[:, :, None, None]
    squared = unit.expand(networks, k, k, inputs, inputs)
    weight: list[torch.Tensor] = []
    bias: list[torch.Tensor] = []
    back: torch.Tensor | None = None
    for layer in range(depth, 0, -1):
        count = grams[layer - 1] * (rates.lambda_W[layer - 1] / weights[layer - 1].shape[2])
        weight.insert(0, squared * count[:, None, None])
        rate = rates.lambda_b[layer - 1] if biases[layer - 1] is not None else 0.0
        bias.insert(0, squared * rate)
        if layer > 1:
            # The outputs' own derivatives are unit vectors, the same for all inputs.
            W = weights[layer - 1]
            rows = W[:, :k, None] if back is None else torch.bmm(back, W)
            rows = rows.reshape(networks, k, -1, W.shape[2]) * slopes[layer - 2][:, None]
            back = rows.view(networks, k * inputs, -1)
            squared = torch.bmm(back, back.transpose(1, 2))
            squared = squared.view(networks, k, inputs, k, inputs).transpose(2, 3)
    return Layerwise(preactivations, weight, bias)
