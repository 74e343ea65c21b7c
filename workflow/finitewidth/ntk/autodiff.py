"""Tangent kernels by automatic differentiation: for any model, and to hold the fast way against.

Jacobians are dicts by parameter name of tensors (inputs, outputs, P), P entries of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

Tensors = dict[str, torch.Tensor]
#: The outputs as a function of one parameter.
OfOne = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Function:
    """A model as a function of its parameters, on copies of these and of its buffers.

    Attributes
    ----------
    model : torch.nn.Module
    parameters, buffers : dict of tensors
        By name; one that stands in two places has the name of the first.
    """

    model: nn.Module
    parameters: Tensors
    buffers: Tensors

    @classmethod
    def of(cls, model: nn.Module) -> Function:
        """Copies of what ``model`` holds now."""
        return cls(
            model,
            {name: p.detach().clone() for name, p in model.named_parameters()},
            {name: b.detach().clone() for name, b in model.named_buffers()},
        )

    def double(self) -> Function:
        """The same in double precision."""
        held = (self.parameters, self.buffers)
        return Function(self.model, *({name: doubled(t) for name, t in h.items()} for h in held))

    def __call__(
        self, parameters: Tensors, x: torch.Tensor, buffers: Tensors | None = None
    ) -> torch.Tensor:
        """The model's outputs.

        The buffers are copied, unless they are given, which the call may then overwrite; so are the
        inputs, since a model's first module may overwrite what it is given.
        """
        if buffers is None:
            buffers = {name: b.clone() for name, b in self.buffers.items()}
        held = {**parameters, **buffers}
        z = functional_call(self.model, held, (x.clone(),))
        buffers |= {name: held[name] for name in buffers}
        return z

    def copies(self) -> Tensors:
        """Copies of the parameters: a model may overwrite these, too."""
        return {name: p.clone() for name, p in self.parameters.items()}

    def leaves(self) -> Tensors:
        """Copies that one can differentiate by."""
        return {name: p.requires_grad_() for name, p in self.copies().items()}


def doubled(t: torch.Tensor) -> torch.Tensor:
    """In double precision, if these are numbers with a point."""
    return t.double() if t.is_floating_point() else t


def gradients(z: torch.Tensor, of: Sequence[torch.Tensor], cotangent: torch.Tensor) -> list:
    """sum z cotangent by each tensor of ``of``; None for one that it does not depend on."""
    if not (z.requires_grad and of):
        return [None] * len(of)
    found = torch.autograd.grad(z, of, cotangent, retain_graph=True, allow_unused=True)
    return [g.to_dense() if g is not None and g.is_sparse else g for g in found]


def reverse_jacobian(function: Function, x: torch.Tensor) -> Tensors:
    """All rows at once: ``vmap`` over inputs of ``jacrev``."""

    def of_one(parameters: Tensors, one: torch.Tensor) -> torch.Tensor:
        z = function(parameters, one[None])
        if len(z) != 1 or z.ndim != 2:
            raise ValueError(f"one input alone has outputs of shape {tuple(z.shape)}")
        return z[0]

    found = vmap(jacrev(of_one), in_dims=(None, 0))(function.copies(), x)
    return {name: J.flatten(2) for name, J in found.items()}


def backward_jacobian(function: Function, x: torch.Tensor) -> Tensors:
    """Row by row: one backward pass an input and output."""
    parameters = function.leaves()
    z = function(parameters, x)
    rows = {name: p.new_zeros(*z.shape, p.numel()) for name, p in parameters.items()}
    for at in range(z.numel()):
        place = divmod(at, z.shape[1])
        unit = torch.zeros_like(z)
        unit[place] = 1
        for J, g in zip(rows.values(), gradients(z, [*parameters.values()], unit), strict=True):
            if g is not None:
                J[place] = g.detach().flatten()
    return rows


def forward_jacobian(function: Function, x: torch.Tensor) -> Tensors:
    """Column by column: a Jacobian-vector product for each entry of each parameter."""
    found = {}
    for name, p in function.parameters.items():
        outputs = _by(function, name, x)
        if not p.numel():
            found[name] = p.new_zeros(*outputs(p).shape, 0)
            continue

        def column(
            direction: torch.Tensor, outputs: OfOne = outputs, p: torch.Tensor = p
        ) -> torch.Tensor:
            return jvp(outputs, (p,), (direction,))[1]

        unit = torch.eye(p.numel(), dtype=p.dtype, device=p.device).view(-1, *p.shape)
        found[name] = vmap(column)(unit).permute(1, 2, 0)
    return found


def kernel_parts(function: Function, x: torch.Tensor, roots: dict[str, float]) -> Tensors:
    """Theta column by column without a Jacobian: J_mu (lambda_mu J_mu^T e), parameter by parameter.

    Each of shape (outputs, outputs, inputs, inputs).
    """
    found = {}
    for name, p in function.parameters.items():
        outputs = _by(function, name, x)
        z, pull = vjp(outputs, p)[:2]
        rate = roots[name] ** 2

        def column(
            direction: torch.Tensor,
            outputs: OfOne = outputs,
            pull: Callable = pull,
            p: torch.Tensor = p,
            rate: float = rate,
        ) -> torch.Tensor:
            (gradient,) = pull(direction)
            return jvp(outputs, (p,), (rate * gradient,))[1]

        unit = torch.eye(z.numel(), dtype=z.dtype, device=z.device).view(-1, *z.shape)
        columns = vmap(column)(unit).view(*z.shape, *z.shape)
        found[name] = columns.permute(3, 1, 2, 0)
    return found


def _by(function: Function, name: str, x: torch.Tensor) -> OfOne:
    """The outputs as a function of one parameter."""
    return lambda value: function(function.copies() | {name: value.clone()}, x)
