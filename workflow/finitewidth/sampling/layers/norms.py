"""Norms over channels in drawn networks."""

from __future__ import annotations

import math

import torch

from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.sampling.layers.steps import Draw, Rows, forward, pull_back


@forward.register
def _rms_norm(layer: RmsNorm, before: Rows, draw: Draw) -> Rows:
    z = before.values
    return Rows(z * _over_size(z, layer.eps), before.shape, owned=True)


@forward.register
def _layer_norm(layer: LayerNorm, before: Rows, draw: Draw) -> Rows:
    centred = _centred(before.values)
    return Rows(centred.mul_(_over_size(centred, layer.eps)), before.shape, owned=True)


@pull_back.register
def _pull_back_rms(layer: RmsNorm, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    h = after.values[:, None]
    return (back - h * _along(back, h)) * _over_size(before.values, layer.eps)[:, None]


@pull_back.register
def _pull_back_layer(
    layer: LayerNorm, before: Rows, after: Rows, back: torch.Tensor
) -> torch.Tensor:
    h, scale = after.values[:, None], _over_size(_centred(before.values), layer.eps)
    return (back - back.mean(-1, keepdim=True) - h * _along(back, h)) * scale[:, None]


def _along(back: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return (back * h).mean(-1, keepdim=True)


def _centred(z: torch.Tensor) -> torch.Tensor:
    """Less the mean over channels; what rounding leaves of a row that does not vary is 0."""
    centred = z - z.mean(-1, keepdim=True)
    size, left = (torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in (z, centred))
    return centred.mul_(left > 8 * torch.finfo(z.dtype).eps * size)


def _over_size(z: torch.Tensor, eps: float) -> torch.Tensor:
    """1/sqrt(mean of squares + eps) of each row, (..., 1); 0 of a row that is 0."""
    size = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    if not eps:
        return torch.where(size > 0, math.sqrt(z.shape[-1]) / size, 0.0)
    return (size.square() / z.shape[-1] + eps).rsqrt()
