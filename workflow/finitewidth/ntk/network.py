"""The tangent kernel of one network, a ``torch.nn.Sequential`` of anyone's, trained or not.

Theta_{ia,jb} = sum_mu lambda_mu dz_ia/dmu dz_jb/dmu over the parameters mu; the matrix over outputs
and inputs (sample form) has the eigenvalues, but for zeros, of the one over parameters (parameter
form): J J^T and J^T J of one Jacobian J.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from finitewidth.ntk import autodiff, structured
from finitewidth.rates import Rates

#: Way -> what computes the rows sqrt(lambda) dz/dmu, and the kernel where that needs no rows.
WAYS = ("layerwise", "jacobian", "jvp", "backward")
FORMS = ("samples", "parameters", "smaller")
#: Layers with parameters that every way but the layerwise one takes.
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class TangentKernel:
    """A tangent kernel, part by part.

    Attributes
    ----------
    form : str
        ``samples`` or ``parameters``.
    parts : dict of tensors
        What each parameter of the model contributes, by its name (``"0.weight"``). In sample form
        of shape (outputs, outputs, inputs, inputs); in parameter form (P, P), P the number of its
        entries: the blocks on the diagonal of the whole.
    total : tensor
        Their sum; in parameter form the whole matrix, in the order of ``parts``.
    """

    form: str
    parts: dict[str, torch.Tensor]
    total: torch.Tensor

    @property
    def matrix(self) -> torch.Tensor:
        """Two-dimensional: rows and columns run over outputs and, faster, inputs."""
        if self.form == "parameters":
            return self.total
        k, _, N, _ = self.total.shape
        return self.total.transpose(1, 2).reshape(k * N, k * N)


def tangent_kernel(
    model: nn.Module,
    x: torch.Tensor,
    way: str = "layerwise",
    rates: Rates | None = None,
    form: str = "samples",
) -> TangentKernel:
    """The tangent kernel of ``model`` at the inputs ``x``.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs (N, ...) to outputs (N, outputs). It is left as it was. ``layerwise`` takes a
        Sequential of Linear, Flatten and elementwise activations; the others, which
        differentiate, anything whose parameters stand in Linear and convolution layers.
    x : tensor, shape (N, ...)
    way : str
        ``layerwise``: sum over layers of activation Gram times backpropagated Gram, without
        differentiation, the fast one. ``jacobian``: reverse-mode Jacobian, and contraction.
        ``jvp``: a vector-Jacobian and a Jacobian-vector product a column. ``backward``: one
        backward pass an output.
    rates : Rates, optional
        One value a layer with parameters. Every parameter counts 1 where left out (standard).
    form : str
        ``samples``, ``parameters``, or ``smaller``, the smaller of the two.

    Raises
    ------
    ValueError
        For an unknown way or form, rates of another length, and a model that the way cannot take.
    """
    if way not in WAYS:
        raise ValueError(f"way {way!r} is none of {', '.join(WAYS)}")
    if form not in FORMS:
        raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
    _check(model)
    roots = _roots(model, rates)
    with torch.no_grad():
        outputs = model(x.clone())
    if outputs.ndim != 2:
        raise ValueError(f"a model's outputs are (inputs, outputs), not of shape {outputs.shape}")
    if form == "smaller":
        count = sum(p.numel() for p in model.parameters())
        form = "samples" if outputs.numel() <= count else "parameters"
    if form == "samples" and way in ("layerwise", "jvp"):
        module = structured if way == "layerwise" else autodiff
        parts = module.kernel_parts(model, x, roots)
        return TangentKernel(form, parts, sum(parts.values()))
    rows = {
        "layerwise": structured.jacobian,
        "jacobian": autodiff.reverse_jacobian,
        "jvp": autodiff.forward_jacobian,
        "backward": autodiff.backward_jacobian,
    }[way](model, x)
    rows = {name: J * roots[name] for name, J in rows.items()}
    if form == "samples":
        parts = {name: torch.einsum("aip,bjp->ijab", J, J) for name, J in rows.items()}
        return TangentKernel(form, parts, sum(parts.values()))
    flat = {name: J.flatten(0, 1) for name, J in rows.items()}
    whole = torch.cat(list(flat.values()), dim=1)
    return TangentKernel(form, {name: J.T @ J for name, J in flat.items()}, whole.T @ whole)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            yield name, module


def _check(model: nn.Module) -> None:
    for name, module in model.named_modules():
        kind = type(module).__name__
        if module.training and ("Dropout" in kind or ("Norm" in kind and "Batch" in kind)):
            raise ValueError(
                f"layer {name} is a {kind} in training mode, where outputs are no function of one"
                " input: call model.eval() first"
            )


def _roots(model: nn.Module, rates: Rates | None) -> dict[str, float]:
    """sqrt(lambda) of each parameter, by name."""
    if rates is None:
        return {name: 1.0 for name, _ in model.named_parameters()}
    layers = list(_layers(model))
    if not len(layers) == len(rates.lambda_W) == len(rates.lambda_b):
        raise ValueError(
            f"rates of {len(rates.lambda_W)} layers do not fit a model of {len(layers)} layers with"
            " parameters"
        )
    roots = {}
    for (name, layer), b, W in zip(layers, rates.lambda_b, rates.lambda_W, strict=True):
        if not isinstance(layer, _LAYERS):
            raise ValueError(
                f"layer {name} is a {type(layer).__name__}; rates are those of Linear and"
                " convolution layers"
            )
        prefix = f"{name}." if name else ""
        roots[f"{prefix}weight"] = (W / layer.weight[0].numel()) ** 0.5
        roots[f"{prefix}bias"] = b**0.5
    return roots
