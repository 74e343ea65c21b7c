"""The layerwise sum for a Sequential of Linear, Flatten and elementwise activations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from finitewidth.activations import get

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
        function = {
            "abs": torch.abs, "arctan": torch.atan, "cos": torch.cos, "erf": torch.erf,
            "gelu": nn.functional.gelu, "linear": lambda z: z, "relu": torch.relu,
            "sigmoid": torch.sigmoid, "silu": nn.functional.silu, "sin": torch.sin,
            "softplus": nn.functional.softplus, "tanh": torch.tanh,
        }.get(self._activation.name)  # fmt: skip
        if function is None:
            plus, minus = self._activation.slopes
            return plus * torch.relu(z) - minus * torch.relu(-z)
        return function(z)


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


def _passes(model: nn.Module, x: torch.Tensor):
    """(name, layer, what comes into it (N, in), d outputs/d what comes out (N, outputs, out)).

    One forward pass, and one backward pass for all outputs.
    """
    if type(model).forward is not nn.Sequential.forward:
        kind = type(model).__name__
        raise ValueError(f"the layerwise way takes a Sequential, not a {kind}: use jacobian")
    s, steps, seen = x.clone(), [], {}
    with torch.no_grad():
        # Not ``named_children``, which leaves out a module's second appearance.
        for name, module in model._modules.items():
            if isinstance(module, nn.Linear):
                if (first := seen.setdefault(module.weight, name)) != name:
                    raise ValueError(
                        f"the layerwise way takes each weight once; layer {name} has those of layer"
                        f" {first}: use jacobian"
                    )
                steps.append((name, module, s))
                s = module(s)
            elif isinstance(module, (Elementwise, *ELEMENTWISE)):
                # The derivative of a function of each number by itself, whatever it is.
                before = s
                s, slope = torch.func.jvp(module, (before.clone(),), (torch.ones_like(before),))
                steps.append((name, module, slope))
            elif isinstance(module, nn.Flatten) and not steps:
                s = module(s)
            else:
                raise ValueError(
                    "the layerwise way takes Linear, Flatten and elementwise activations, not layer"
                    f" {name}, a {type(module).__name__}: use jacobian"
                )
        unit = torch.eye(s.shape[1], dtype=s.dtype, device=s.device)
        delta, found = unit.expand(len(s), -1, -1), []
        for name, module, value in reversed(steps):
            if isinstance(module, nn.Linear):
                found.append((name, module, value, delta))
                delta = delta @ module.weight
            else:
                delta = delta * value[:, None]
    return found[::-1]


def kernel_parts(model: nn.Module, x: torch.Tensor, roots: dict[str, float]) -> dict:
    """Theta parameter by parameter, (outputs, outputs, inputs, inputs) each, without a Jacobian."""
    parts = {}
    for name, module, s, delta in _passes(model, x):
        N, k, n = delta.shape
        flat = delta.reshape(N * k, n)
        squared = (flat @ flat.T).view(N, k, N, k).permute(1, 3, 0, 2)
        parts[f"{name}.weight"] = squared * (s @ s.T) * roots[f"{name}.weight"] ** 2
        if module.bias is not None:
            parts[f"{name}.bias"] = squared * roots[f"{name}.bias"] ** 2
    return parts


def jacobian(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Rows of the Jacobian, (inputs, outputs, P) a parameter: delta times what comes in."""
    rows = {}
    for name, module, s, delta in _passes(model, x):
        rows[f"{name}.weight"] = (delta[..., None] * s[:, None, None]).flatten(2)
        if module.bias is not None:
            rows[f"{name}.bias"] = delta
    return rows
