"""What a model must be to have a tangent kernel at all, and the sentences for one that is not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from finitewidth.core.errors import describe, one_line
from finitewidth.models.parameterisation import LearningRates

#: Layers that rates can be given for.
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_DROPOUT = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip


def check_model(model: nn.Module, x: torch.Tensor) -> None:
    """Raise ValueError for parameters that one cannot differentiate by, and for no inputs."""
    check_is_module(model)
    if not isinstance(x, torch.Tensor) or not x.ndim or not len(x):
        allowed = "one tensor of shape (inputs, ...), of at least one input"
        raise ValueError(one_line(f"x: given {describe(x)}, allowed is {allowed}"))
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(t, (UninitializedParameter, UninitializedBuffer)):
            raise ValueError(f"{name} has no shape yet: call the model once on an input first")
    for name, p in model.named_parameters():
        if p.is_complex():
            raise ValueError(
                f"parameter {name} is complex, and no way takes that: hold its real and imaginary"
                " parts as one real parameter (torch.view_as_complex)"
            )
        if not p.is_floating_point():
            raise ValueError(
                f"parameter {name} holds {p.dtype}, by which no way can differentiate: make it a"
                " buffer (register_buffer)"
            )


def check_is_module(model: object) -> None:
    """Raise ValueError where a model is none of torch."""
    if not isinstance(model, nn.Module):
        name = type(model).__name__
        raise ValueError(f"model: given a {name}, allowed is a model that is a torch.nn.Module")


def check_outputs(z: object, x: torch.Tensor) -> None:
    """Raise ValueError if these are no outputs of one number or more for each input."""
    if not isinstance(z, torch.Tensor):
        raise ValueError(
            f"a model's outputs are one tensor (inputs, outputs), not a {type(z).__name__}: wrap it"
            " in a module that returns one, and leave out the way"
        )
    if z.ndim != 2 or len(z) != len(x) or not z.numel():
        raise ValueError(
            f"a model's outputs are (inputs, outputs), not of shape {tuple(z.shape)} for"
            f" {len(x)} inputs: wrap it in a module that reshapes them, and leave out the way"
        )
    if not z.is_floating_point():
        raise ValueError(
            f"a model's outputs are real numbers, not {z.dtype}: no way differentiates these"
        )


def suspect(model: nn.Module) -> str | None:
    """The first layer, in words, whose outputs are no function of one input."""
    for name, module in model.named_modules():
        layer = f"layer {name} is a {type(module).__name__}"
        if isinstance(module, _BATCH) and not module.training and module.running_mean is None:
            return f"{layer} without running statistics (track_running_stats), where"
        chance = (
            (isinstance(module, _DROPOUT) and module.p > 0)
            or (isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) and module.dropout > 0)
            or isinstance(module, (nn.RReLU, *_BATCH))
        )
        if chance and module.training:
            return f"{layer} in training mode, where"
    return None


def roots_of(model: nn.Module, rates: LearningRates | None) -> dict[str, float]:
    """sqrt(lambda) of each parameter, by name; ValueError where rates do not fit."""
    if rates is None:
        return {name: 1.0 for name, _ in model.named_parameters()}
    layers = [
        (name, module, own)
        for name, module in model.named_modules()
        if (own := dict(module.named_parameters(recurse=False)))
    ]
    for name, layer, own in layers:
        if not isinstance(layer, _LAYERS) or "weight" not in own or set(own) - {"weight", "bias"}:
            raise ValueError(
                f"layer {name} is a {type(layer).__name__} with {', '.join(own)}; rates are those"
                " of Linear and convolution layers with weight and bias: leave rates out, which"
                " every way takes, and weigh the parts"
            )
    if not len(layers) == len(rates.lambda_W) == len(rates.lambda_b):
        raise ValueError(
            f"rates of {len(rates.lambda_W)} layers do not fit a model of {len(layers)} layers with"
            " parameters"
        )
    roots: dict[torch.Tensor, float] = {}
    for (name, _, own), b, W in zip(layers, rates.lambda_b, rates.lambda_W, strict=True):
        for key, p in own.items():
            root = b**0.5 if key == "bias" else (W * len(p) / max(p.numel(), 1)) ** 0.5
            if roots.setdefault(p, root) != root:
                raise ValueError(
                    f"layer {name} shares its {key} with a layer of another rate: leave rates out,"
                    " which every way takes, and weigh the parts"
                )
    return {name: roots[p] for name, p in model.named_parameters()}
