"""Tangent kernels by automatic differentiation: for any model, and to hold the fast way against.

Jacobians are dicts by parameter name of tensors (inputs, outputs, P), P entries of the parameter.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

Jacobian = dict[str, torch.Tensor]


def _detached(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in model.named_parameters()}


def reverse_jacobian(model: nn.Module, x: torch.Tensor) -> Jacobian:
    """All rows at once: ``vmap`` over inputs of ``jacrev``."""

    def of_one(parameters, one):
        # A copy: a model's first module may overwrite what it is given.
        return functional_call(model, parameters, (one[None].clone(),))[0]

    found = vmap(jacrev(of_one), in_dims=(None, 0))(_detached(model), x)
    return {name: J.flatten(2) for name, J in found.items()}


def backward_jacobian(model: nn.Module, x: torch.Tensor) -> Jacobian:
    """Row by row: one backward pass an input and output."""
    parameters = {name: p.requires_grad_() for name, p in _detached(model).items()}
    with torch.enable_grad():
        z = functional_call(model, parameters, (x.clone(),))
        rows = [
            torch.autograd.grad(one, list(parameters.values()), retain_graph=True)
            for one in z.flatten()
        ]
    return {
        name: torch.stack([row[k].flatten() for row in rows]).view(*z.shape, -1)
        for k, name in enumerate(parameters)
    }


def forward_jacobian(model: nn.Module, x: torch.Tensor) -> Jacobian:
    """Column by column: a Jacobian-vector product for each entry of each parameter."""
    parameters, found = _detached(model), {}
    for name, p in parameters.items():

        def outputs(value, name=name):
            return functional_call(model, parameters | {name: value}, (x.clone(),))

        def column(direction, outputs=outputs, p=p):
            return jvp(outputs, (p,), (direction,))[1]

        unit = torch.eye(p.numel(), dtype=p.dtype, device=p.device).view(-1, *p.shape)
        found[name] = vmap(column)(unit).permute(1, 2, 0)
    return found


def kernel_parts(model: nn.Module, x: torch.Tensor, roots: dict[str, float]) -> Jacobian:
    """Theta column by column without a Jacobian: J_mu (lambda_mu J_mu^T e), parameter by parameter.

    Each of shape (outputs, outputs, inputs, inputs).
    """
    parameters, found = _detached(model), {}
    for name, p in parameters.items():

        def outputs(value, name=name):
            return functional_call(model, parameters | {name: value}, (x.clone(),))

        z, pull = vjp(outputs, p)
        rate = roots[name] ** 2

        def column(direction, outputs=outputs, pull=pull, p=p, rate=rate):
            (gradient,) = pull(direction)
            return jvp(outputs, (p,), (rate * gradient,))[1]

        unit = torch.eye(z.numel(), dtype=z.dtype, device=z.device).view(-1, *z.shape)
        columns = vmap(column)(unit).view(*z.shape, *z.shape)
        found[name] = columns.permute(3, 1, 2, 0)
    return found
