"""Accuracy when a layer sees its input through its first k components only, for every k.

No network is copied. What each component adds to the preactivations is one outer product, so that
from k to k + 1 the truncated layer costs as much as one of its inputs; behind it many ranks go
through the rest of the network together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from finitewidth.models.relu_network import PlacedMap, ReluNetwork
from finitewidth.trained.training.networks import each, representations

#: Numbers that preactivations of several ranks take together: what stays in cache pays.
_NUMBERS = 2**20


@torch.no_grad()
def truncated_accuracy(
    architecture: ReluNetwork,
    weights: Sequence[Tensor],
    number: int,
    basis: Tensor,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """Share of right answers of each network at every rank.

    Parameters
    ----------
    weights : sequence of tensors (network, out, fan_in)
    number : int
        The layer whose input is projected, from 0.
    basis : tensor, shape (network, n, rank)
        Orthonormal columns, the leading one first: of the layer's input channels (n = channels),
        or of its patches (n = fan_in), as right singular vectors of its weights are.
    x : tensor, shape (image, channel, row, column)
    y : tensor of int64, shape (image,)

    Returns
    -------
    tensor, shape (network, rank), float64
        Entry k - 1 is for the projection on the first k columns.

    Raises
    ------
    ValueError
        If the basis is neither of the channels nor of the patches.
    """
    layer = architecture.layers[number]
    if basis.shape[1] not in (layer.channels, layer.fan_in):
        raise ValueError(
            f"basis of {basis.shape[1]} components, allowed are {layer.channels} or {layer.fan_in}"
        )
    curves = []
    for network, frame in enumerate(basis):
        mine = each(weights, network)
        right = torch.zeros(frame.shape[1], dtype=torch.float64, device=x.device)
        # All ranks of a part of the images follow one another: few images, many ranks at once.
        images = max(1, min(len(x), _NUMBERS // (16 * max(layer.out * layer.positions, 1))))
        for first in range(0, len(x), images):
            part = x[None, first : first + images]
            hidden = representations(architecture, mine, part)
            seen = part if number == 0 else [next(hidden) for _ in range(number)][-1]
            right += _right(architecture, mine, number, frame, seen[0], y[first : first + images])
        curves.append(right / len(x))
    return torch.stack(curves)


def _right(
    architecture: ReluNetwork,
    weights: Sequence[Tensor],
    number: int,
    frame: Tensor,
    seen: Tensor,
    y: Tensor,
) -> Tensor:
    """Number of right answers at every rank, shape (rank,)."""
    layer, weight = architecture.layers[number], weights[number][0]
    if frame.shape[0] == layer.fan_in:
        coefficients, gains = _by_patch(layer, weight, frame, seen)
    else:
        coefficients, gains = _by_channel(layer, weight, frame, seen)
    ranks, images = coefficients.shape[:2]
    total = seen.new_zeros(images, layer.out, layer.positions)
    found = []
    together = max(1, _NUMBERS // total.numel())
    for first in range(0, ranks, together):
        some = slice(first, min(first + together, ranks))
        z = _sums(total, gains[some, None], coefficients[some])
        total = z[-1].clone()
        found.append(_answers(architecture, weights, number, z, y))
    return torch.cat(found)


def _sums(total: Tensor, gains: Tensor, coefficients: Tensor) -> Tensor:
    """total + (rank, 1, out, q) @ (rank, image, q, position), summed over the ranks so far."""
    if gains.shape[3] > 1:
        z = gains @ coefficients
        z[0] += total
        return torch.cumsum(z, 0)
    # Outer products: one pass each. torch is slow at many products this small, and at cumsum.
    z = total.new_empty(len(gains), *total.shape)
    for rank, out in enumerate(z):
        total = torch.addcmul(total, gains[rank], coefficients[rank], out=out)
    return z


def _by_patch(
    layer: PlacedMap, weight: Tensor, frame: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor]:
    """Coefficients (rank, image, 1, position) and gains (rank, out, 1)."""
    if layer.is_linear:
        coefficients = (seen.flatten(1) @ frame).T[:, :, None, None]
    else:
        kernels = frame.T.reshape(-1, layer.channels, *layer.kernel)
        maps = functional.conv2d(seen, kernels, stride=layer.stride, padding=layer.padding)
        coefficients = maps.flatten(2).transpose(0, 1)[:, :, None]
    return coefficients, (weight @ frame).T[:, :, None]


def _by_channel(
    layer: PlacedMap, weight: Tensor, frame: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor]:
    """Coefficients (rank, image, q, position) and gains (rank, out, q), q places of a patch."""
    maps = torch.einsum("bchw,ck->kbhw", seen, frame)
    ranks, images = maps.shape[:2]
    patches = functional.unfold(
        maps.reshape(ranks * images, 1, *layer.size_in),
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
    )
    folded = weight.view(layer.out, layer.channels, -1)
    gains = torch.einsum("ocq,ck->koq", folded, frame)
    return patches.view(ranks, images, -1, layer.positions), gains


def _answers(
    architecture: ReluNetwork, weights: Sequence[Tensor], number: int, z: Tensor, y: Tensor
) -> Tensor:
    """Right answers at some ranks, shape (rank,); z has shape (rank, image, out, position)."""
    ranks, images = z.shape[:2]
    layer = architecture.layers[number]
    if number < architecture.depth - 1:
        phi = torch.relu_(z).reshape(1, ranks * images, layer.out, *layer.size)
        *_, z = representations(architecture, weights, phi, start=number + 1)
    logits = z.reshape(ranks, images, -1)
    return (logits.argmax(2) == y).sum(1).double()
