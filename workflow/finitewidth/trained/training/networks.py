"""Many networks of one architecture at once: their weights, and what they make of images.

Weights are a list of tensors (network, out, fan_in), one a layer. Images and activations are
tensors (network, image, channel, row, column); the leading dimension is 1 where all networks see
the same, which makes the first layer one product instead of one a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from finitewidth.models.relu_network import PlacedMap, ReluNetwork

#: Numbers that stand in memory together while networks are evaluated, without gradients.
_NUMBERS = 2**24
#: The same on the CPU, where more than fits in cache gains nothing.
_FEW = 2**21
#: A product with fewer outputs is several times faster on the CPU the other way round.
_NARROW = 32


def apply(layer: PlacedMap, weight: Tensor, x: Tensor) -> Tensor:
    """Preactivations (network, image, out, row, column) of one layer."""
    if layer.is_linear:
        z = _product(weight, x.flatten(2))
        return z.unflatten(2, (layer.out, 1, 1))
    networks = weight.shape[0]
    kernels = weight.view(networks, layer.out, layer.channels, *layer.kernel)
    if weight.device.type == "cpu":
        # Faster there than the same as groups of one convolution.
        pairs = zip(x.expand(networks, -1, -1, -1, -1), kernels, strict=True)
        stride, padding = layer.stride, layer.padding
        return _stacked(
            [
                functional.conv2d(_dense(a), _dense(k), stride=stride, padding=padding)
                for a, k in pairs
            ]
        )
    grouped = _grouped(x, kernels, layer.stride, layer.padding)
    return grouped.unflatten(1, (networks, layer.out)).transpose(0, 1)


def _grouped(x: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
    """The same as one convolution: (image, network * out, row, column)."""
    if len(x) < len(kernels):
        return functional.conv2d(x[0], kernels.flatten(0, 1), stride=stride, padding=padding)
    grouped = x.transpose(0, 1).flatten(1, 2)
    return functional.conv2d(
        grouped, kernels.flatten(0, 1), stride=stride, padding=padding, groups=len(kernels)
    )


def _product(weight: Tensor, x: Tensor) -> Tensor:
    """(network, image, out) of weights (network, out, n) and x (network or 1, image, n)."""
    networks, out, _ = weight.shape
    if len(x) < networks:
        z = x[0] @ weight.flatten(0, 1).T
        return z.unflatten(1, (networks, out)).transpose(0, 1)
    if out < _NARROW:
        return torch.bmm(weight, x.transpose(1, 2)).transpose(1, 2)
    return torch.bmm(x, weight.transpose(1, 2))


def _dense(x: Tensor) -> Tensor:
    """Channels of a pixel side by side in memory, as convolutions on the CPU are fast."""
    # One channel is in either order; only its copy says which it is taken for.
    make = x.clone if x.shape[1] == 1 else x.contiguous
    return make(memory_format=torch.channels_last)


def _stacked(each: Sequence[Tensor]) -> Tensor:
    """Tensors of the networks as one, in the order that they have in memory."""
    if len(each) == 1:
        return each[0][None]
    return torch.stack([z.permute(0, 2, 3, 1) for z in each]).permute(0, 1, 4, 2, 3)


def outputs(architecture: ReluNetwork, weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Logits (network, image, class)."""
    *_, last = representations(architecture, weights, x)
    return last.flatten(2)


def representations(
    architecture: ReluNetwork, weights: Sequence[Tensor], x: Tensor, *, start: int = 0
) -> Iterator[Tensor]:
    """What follows each layer from number ``start`` on: ReLU, but nothing after the read-out."""
    for number, (layer, weight) in enumerate(zip(architecture.layers, weights, strict=True)):
        if number < start:
            continue
        x = apply(layer, weight, x)
        if number < architecture.depth - 1:
            x = torch.relu_(x)
        yield x


def chunks(
    architecture: ReluNetwork, networks: int, images: int, numbers: int | None = None
) -> Iterator[slice]:
    """Slices of images that ``networks`` networks are evaluated on together.

    Memory bounds them; they follow from sizes alone, hence results do not depend on the machine.
    """
    together = max(1, (numbers or _NUMBERS) // (networks * architecture.activations))
    # As even as they come, lest the last be tiny.
    count = -(-images // together)
    edges = [images * k // count for k in range(count + 1)]
    return (slice(a, b) for a, b in pairwise(edges))


def _cached(device: torch.device) -> int:
    """Numbers that had better not be exceeded on a device."""
    return _FEW if device.type == "cpu" else _NUMBERS


def groups(
    architecture: ReluNetwork, networks: int, images: int, device: torch.device
) -> list[slice]:
    """Networks that are trained together on batches of ``images``: as many as stay in cache."""
    together = max(1, _cached(device) // (images * architecture.activations))
    return [slice(first, first + together) for first in range(0, networks, together)]


def gathered(images: int, x: Tensor) -> int:
    """Batches of ``images``, those of all networks together, that are gathered from x at once."""
    return max(1, _cached(x.device) // (images * x[0].numel()))


@torch.no_grad()
def evaluate(
    architecture: ReluNetwork, weights: Sequence[Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and share of right answers of each network, both of shape (network,).

    Parameters
    ----------
    x : tensor, shape (image, channel, row, column)
    y : tensor of int64, shape (image,)
    """
    networks = len(weights[0])
    loss = torch.zeros(networks, dtype=torch.float64, device=x.device)
    right = torch.zeros(networks, dtype=torch.float64, device=x.device)
    for part in chunks(architecture, networks, len(x), _cached(x.device)):
        logits = outputs(architecture, weights, x[None, part])
        _, of_part, right_ones = scores(logits.transpose(1, 2), y[None, part].expand(networks, -1))
        loss += of_part
        right += right_ones
    return loss / len(x), right / len(x)


def scores(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of probabilities, and sums over images of cross-entropies and of right answers.

    Parameters
    ----------
    logits : tensor, shape (network, class, image)
        Classes do not stand last: along the last direction torch takes fifteen times as long.
    y : tensor of int64, shape (network, image)

    Returns
    -------
    tensor (network, class, image); two tensors (network,), the first of float64
    """
    logarithms = torch.log_softmax(logits, 1)
    loss = -logarithms.gather(1, y[:, None]).sum((1, 2), dtype=torch.float64)
    # Of equal logits, as a dead network has, the first counts.
    return logarithms, loss, (logits.max(1).indices == y).sum(1)


def each(weights: Sequence[Tensor], index: slice | int) -> list[Tensor]:
    """The weights of some of the networks."""
    index = slice(index, index + 1) if isinstance(index, int) else index
    return [w[index] for w in weights]
