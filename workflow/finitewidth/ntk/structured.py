"""The layerwise sum for a Sequential of Linear, Flatten and elementwise activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from finitewidth.models.activations.table import get

#: Modules of torch that act on every number by itself.
ELEMENTWISE = (
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Softplus, nn.Sigmoid, nn.ELU,
    nn.SELU, nn.CELU, nn.Mish, nn.Softsign, nn.Tanhshrink, nn.LogSigmoid, nn.Hardtanh, nn.ReLU6,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Threshold,
)  # fmt: skip


class Elementwise(nn.Module):
    """An activation of our table as a module."""

    def __init__(self, name: str):
        super().__init__()
        self._activation = get(name)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """sigma(z)."""
        slopes = self._activation.slopes
        if slopes is not None and slopes[1] < 0:
            # Done in place, torch does not differentiate it.
            return slopes[0] * torch.relu(z) - slopes[1] * torch.relu(-z)
        return self._activation.on_tensor(torch, z)


def sequential(
    activation: str, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor | None]
) -> nn.Sequential:
    """A multilayer perceptron of given weights (n_l, n_{l-1}) and biases (n_l,) as a model."""
    modules: list[nn.Module] = []
    for W, b in zip(weights, biases, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], bias=b is not None, dtype=W.dtype)
        with torch.no_grad():
            linear.weight.copy_(W)
            if b is not None:
                linear.bias.copy_(b)
        modules += [linear, Elementwise(activation)]
    return nn.Sequential(*modules[:-1])


class NotStructuredError(ValueError):
    """A model that is no such Sequential; the rest of the sentence "the layerwise way"."""


def _modules(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """(name, module) in the order in which a Sequential calls them, those inside others too."""
    if type(model).forward is not nn.Sequential.forward:
        raise NotStructuredError(f"takes a Sequential, not a {type(model).__name__}")
    # All names, a module's second appearance too; those of children hold no dot.
    for name, module in model.named_modules(remove_duplicate=False):
        if not name or "." in name:
            continue
        if isinstance(module, nn.Sequential):
            yield from _modules(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module


def _plan(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules of a model whose kernel is the sum over layers.

    Types count exactly: a subclass may do something else in its own forward pass.
    """
    modules = list(_modules(model))
    owner: dict[torch.Tensor, str] = {}
    for place, (name, module) in enumerate(modules):
        kind = type(module)
        if kind is nn.Linear:
            for key in ("weight", "bias"):
                p = getattr(module, key)
                if p is not None and (first := owner.setdefault(p, f"{name}.{key}")) != (
                    f"{name}.{key}"
                ):
                    raise NotStructuredError(
                        f"takes each parameter once; layer {name} has those of layer"
                        f" {first.rpartition('.')[0]}"
                    )
        elif kind is nn.Flatten:
            if any(type(one) is not nn.Flatten for _, one in modules[:place]):
                raise NotStructuredError(f"takes a Flatten before all else, not layer {name}")
        elif kind not in (Elementwise, *ELEMENTWISE):
            raise NotStructuredError(
                "takes Linear, Flatten and elementwise activations, not layer"
                f" {name}, a {kind.__name__}"
            )
    names = {name: owner.get(p) for name, p in model.named_parameters()}
    for name, own in names.items():
        if name != own:
            raise NotStructuredError(f"takes weights and biases of Linear layers alone, not {name}")
    for own in owner.values():
        if own not in names:
            raise NotStructuredError(f"takes weights and biases that are parameters, not {own}")
    return modules


def _slope(module: nn.Module, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """sigma(z) and its derivative, of a function of each number by itself, whatever it is."""
    with torch.enable_grad():
        leaf = z.detach().clone().requires_grad_()
        s = module(leaf.clone())
        (slope,) = torch.autograd.grad(s, leaf, torch.ones_like(s))
    return s.detach(), slope


def _passes(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list]:
    """The outputs, and of each layer (name, layer, what comes into it (N, in), delta).

    delta, of shape (N, outputs, out), is the derivative of the outputs by what comes out of the
    layer. One forward pass, and one backward pass for all outputs.
    """
    s = x.clone()
    steps: list[tuple[str, nn.Module, torch.Tensor]] = []
    with torch.no_grad():
        for name, module in _plan(model):
            if isinstance(module, nn.Linear):
                if s.ndim != 2 or len(s) != len(x):
                    raise NotStructuredError(
                        f"takes inputs that are vectors, not of shape {tuple(s.shape)} as layer"
                        f" {name} is given"
                    )
                steps.append((name, module, s))
                # A copy: a hook may overwrite what it is given.
                s = module(s.clone())
            elif isinstance(module, nn.Flatten):
                s = module(s)
            elif steps:
                s, slope = _slope(module, s)
                steps.append((name, module, slope))
            else:
                s = module(s.clone())
        unit = torch.eye(s.shape[1], dtype=s.dtype, device=s.device)
        delta = unit.expand(len(s), -1, -1)
        found: list[tuple[str, nn.Linear, torch.Tensor, torch.Tensor]] = []
        for name, module, value in reversed(steps):
            if isinstance(module, nn.Linear):
                found.append((name, module, value, delta))
                delta = delta @ module.weight
            else:
                delta = delta * value[:, None]
    return s, found[::-1]


def kernel_parts(
    model: nn.Module, x: torch.Tensor, roots: dict[str, float]
) -> tuple[torch.Tensor, dict]:
    """Outputs, and Theta parameter by parameter without a Jacobian.

    Of shapes (inputs, outputs) and (outputs, outputs, inputs, inputs).

    Raises
    ------
    NotStructuredError
        For a model that is no Sequential of these layers.
    """
    outputs, passes = _passes(model, x)
    parts = {}
    with torch.no_grad():
        for name, module, s, delta in passes:
            N, k, n = delta.shape
            flat = delta.reshape(N * k, n)
            squared = (flat @ flat.T).view(N, k, N, k).permute(1, 3, 0, 2)
            parts[f"{name}.weight"] = squared * (s @ s.T) * roots[f"{name}.weight"] ** 2
            if module.bias is not None:
                parts[f"{name}.bias"] = squared * roots[f"{name}.bias"] ** 2
    return outputs, parts


def jacobian(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """Outputs, and rows of the Jacobian, (inputs, outputs, P) a parameter.

    A row is delta times what comes in. Raises what :func:`kernel_parts` raises.
    """
    outputs, passes = _passes(model, x)
    rows = {}
    for name, module, s, delta in passes:
        rows[f"{name}.weight"] = (delta[..., None] * s[:, None, None]).flatten(2)
        if module.bias is not None:
            rows[f"{name}.bias"] = delta
    return outputs, rows
