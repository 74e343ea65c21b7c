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

from finitewidth.architecture import Architecture, Layer

#: Numbers that stand in memory together while networks are evaluated, without gradients.
_NUMBERS = 2**24


def apply(layer: Layer, weight: Tensor, x: Tensor) -> Tensor:
    """Preactivations (network, image, out, row, column) of one layer."""
    networks, images = weight.shape[0], x.shape[1]
    if layer.is_linear:
        flat = x.flatten(2)
        if len(x) < networks:
            z = flat[0] @ weight.flatten(0, 1).T
            z = z.view(images, networks, layer.out).transpose(0, 1)
        else:
            z = torch.bmm(flat, weight.transpose(1, 2))
        return z.reshape(networks, images, layer.out, 1, 1)
    kernels = weight.view(networks, layer.out, layer.channels, *layer.kernel)
    options = {"stride": layer.stride, "padding": layer.padding}
    if len(x) < networks:
        z = functional.conv2d(x[0], kernels.flatten(0, 1), **options)
        return z.view(images, networks, layer.out, *layer.size).transpose(0, 1)
    if weight.device.type == "cpu":
        # Faster there than the same as groups of one convolution.
        each = [functional.conv2d(a, k, **options) for a, k in zip(x, kernels, strict=True)]
        return torch.stack(each)
    grouped = x.transpose(0, 1).flatten(1, 2)
    z = functional.conv2d(grouped, kernels.flatten(0, 1), groups=networks, **options)
    return z.view(images, networks, layer.out, *layer.size).transpose(0, 1)


def outputs(architecture: Architecture, weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Logits (network, image, class)."""
    *_, last = representations(architecture, weights, x)
    return last.flatten(2)


def representations(
    architecture: Architecture, weights: Sequence[Tensor], x: Tensor, *, start: int = 0
) -> Iterator[Tensor]:
    """What follows each layer from number ``start`` on: ReLU, but nothing after the read-out."""
    for number, (layer, weight) in enumerate(zip(architecture.layers, weights, strict=True)):
        if number < start:
            continue
        x = apply(layer, weight, x)
        if number < architecture.depth - 1:
            x = torch.relu(x)
        yield x


def chunks(architecture: Architecture, networks: int, images: int) -> Iterator[slice]:
    """Slices of images that ``networks`` networks are evaluated on together.

    Memory bounds them; they follow from sizes alone, hence results do not depend on the machine.
    """
    together = max(1, _NUMBERS // (networks * architecture.activations))
    # As even as they come, lest the last be tiny.
    count = -(-images // together)
    edges = [images * k // count for k in range(count + 1)]
    return (slice(a, b) for a, b in pairwise(edges))


@torch.no_grad()
def evaluate(
    architecture: Architecture, weights: Sequence[Tensor], x: Tensor, y: Tensor
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
    for part in chunks(architecture, networks, len(x)):
        logits = outputs(architecture, weights, x[None, part])
        loss += cross_entropy(logits, y[None, part]).double() * len(y[part])
        right += (logits.argmax(2) == y[part]).sum(1)
    return loss / len(x), right / len(x)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean over images of each network's cross-entropy, shape (network,).

    ``logits`` has shape (network, image, class), ``y`` (network or 1, image).
    """
    each = functional.cross_entropy(
        logits.flatten(0, 1), y.expand(len(logits), -1).flatten(), reduction="none"
    )
    return each.view(logits.shape[:2]).mean(1)


def each(weights: Sequence[Tensor], index: slice | int) -> list[Tensor]:
    """The weights of some of the networks."""
    index = slice(index, index + 1) if isinstance(index, int) else index
    return [w[index] for w in weights]
