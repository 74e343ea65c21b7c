"""The derivative of the tangent kernel along itself, dH, of networks with given weights.

dH_{i0 i1 i2; abc} = sum_mu,nu lambda_mu lambda_nu (d^2 z_{i0 a}/dmu dnu) (dz_{i1 b}/dmu)
(dz_{i2 c}/dnu) (PDLT chapter 11) is the second derivative of z_{i0 a} in two directions of
parameter space, the scaled gradients of z_{i1 b} and z_{i2 c}. So it takes a forward pass of
second-order jets, whose changes of the weights are of rank one, and no automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates


def dntk(
    activation: Activation,
    weights: Sequence[torch.Tensor],
    x: torch.Tensor,
    preactivations: Sequence[torch.Tensor],
    rates: LearningRates,
    outputs: int,
) -> torch.Tensor:
    """dH of the first ``outputs`` outputs.

    Parameters
    ----------
    activation : Activation
        Where it has a kink, its second derivative is taken as 0: dH is defined almost everywhere.
    weights : sequence of tensors, shape (networks, n_l, n_{l-1})
    x : tensor, shape (inputs, n_0)
    preactivations : sequence of tensors, shape (networks, inputs, n_l)
    rates : LearningRates

    Returns
    -------
    tensor, shape (networks, outputs, outputs, outputs, inputs, inputs, inputs)
        Indices i0, i1, i2, a, b, c.
    """
    networks, inputs = preactivations[0].shape[:2]
    depth, directions = len(weights), outputs * inputs
    # Nothing is bent before layer 1.
    nothing = x.new_zeros(0)
    s, slope, bend = [x.expand(networks, *x.shape)], [nothing], [nothing]
    for z in preactivations[:-1]:
        s.append(activation.on_tensor(torch, z))
        slope.append(activation.derivative_on_tensor(torch, z, s[-1]))
        bend.append(activation.second_on_tensor(torch, z))
    delta = _gradients(weights, slope, outputs, inputs)
    first = second = None  # the jets of s at the layer before
    for layer in range(1, depth + 1):
        fan_in = weights[layer - 1].shape[2]
        W = weights[layer - 1] if layer < depth else weights[-1][:, :outputs]
        rate = rates.lambda_W[layer - 1] / fan_in
        d = delta[layer - 1]
        overlap = torch.bmm(s[layer - 1], s[layer - 1].transpose(1, 2)).mul_(rate)
        overlap += rates.lambda_b[layer - 1]
        # d z_a along v = (i, b): delta_v (lambda_b + rate s_a . s_b), and what came up.
        each = d.view(networks, outputs, inputs, 1, -1)
        jet = each * overlap[:, None, :, :, None]
        jet = jet.reshape(networks, directions, inputs, -1)
        jet2 = None
        if first is not None:
            jet = jet + _apply(W, first)
            # rate delta_v (s_b . ds_a along w), and the same with v and w exchanged.
            cross = torch.einsum("nbj,nwaj->nbwa", s[layer - 1], first).mul_(rate)
            cross = cross[:, None].expand(-1, outputs, -1, -1, -1)
            cross = cross.reshape(networks, directions, directions, inputs)
            change = d[:, :, None, None] * cross[..., None]
            jet2 = change + change.transpose(1, 2)
            if second is not None:
                jet2 = jet2 + _apply(W, second)
        if layer == depth:
            if jet2 is None:
                jet2 = jet.new_zeros(networks, directions, directions, inputs, outputs)
            shape = (networks, outputs, inputs, outputs, inputs, inputs, outputs)
            return jet2.reshape(shape).permute(0, 6, 1, 3, 5, 2, 4)
        gate = slope[layer][:, None]
        curved = bend[layer][:, None, None] * jet[:, :, None] * jet[:, None]
        first = gate * jet
        second = curved if jet2 is None else curved + gate[:, None] * jet2
    raise AssertionError("the last layer returns")


def _gradients(
    weights: Sequence[torch.Tensor], slope: Sequence[torch.Tensor], outputs: int, inputs: int
) -> list[torch.Tensor]:
    """dz^(L)_{ib}/dz^(l) for each direction v = (i, b), (networks, directions, n_l), l = 1 to L."""
    last = weights[-1]
    networks = len(last)
    unit = torch.eye(outputs, dtype=last.dtype, device=last.device)
    d = unit[:, None].expand(outputs, inputs, outputs).reshape(1, -1, outputs)
    found = [d.expand(networks, -1, -1)]
    for layer in range(len(weights) - 1, 0, -1):
        W = last[:, :outputs] if layer == len(weights) - 1 else weights[layer]
        back = torch.bmm(found[0], W).view(networks, outputs, inputs, -1)
        found.insert(0, (back * slope[layer][:, None]).view(networks, outputs * inputs, -1))
    return found


def _apply(W: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """W on the last dimension of (networks, ..., n)."""
    flat = vectors.reshape(len(W), -1, W.shape[2])
    return torch.bmm(flat, W.transpose(1, 2)).view(*vectors.shape[:-1], W.shape[1])
