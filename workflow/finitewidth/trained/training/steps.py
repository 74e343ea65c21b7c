"""One step of training: the gradient of a batch, by products of matrices alone.

Here a pixel's channels stand side by side: activations are tensors (network, image, row, column,
channel), and the inputs of a neuron are in the order (row, column, channel), those of a dense layer
behind a convolution, too. So what a product leaves is what the next layer reads, and the patches
that a convolution is made of serve forwards and for the gradient by its weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

from finitewidth.models.relu_network import PlacedMap, ReluNetwork
from finitewidth.trained.training.networks import scores


def to_pixels(layer: PlacedMap, weight: Tensor) -> Tensor:
    """``weight`` (network, out, fan_in) in the order (row, column, channel), copied if need be."""
    channels_last = weight.unflatten(2, (layer.channels, -1)).transpose(2, 3)
    return channels_last.flatten(2)


def from_pixels(layer: PlacedMap, weight: Tensor) -> Tensor:
    """The same weights in the order (channel, row, column) again."""
    return weight.unflatten(2, (-1, layer.channels)).transpose(2, 3).flatten(2)


def add_gradients(
    architecture: ReluNetwork,
    weights: Sequence[Tensor],
    total: Sequence[Tensor],
    x: Tensor,
    labels: Tensor,
    kept: float,
) -> tuple[Tensor, Tensor]:
    """total <- kept total + gradient of the mean cross-entropy of a batch.

    By hand, because products add to the total as they go: autograd would make a gradient of the
    size of all weights at every step, to be read and thrown away.

    Parameters
    ----------
    weights, total : sequence of tensors (network, out, fan_in)
        As :func:`to_pixels` orders them.
    x : tensor, shape (network, image, row, column, channel)
    labels : tensor of int64, shape (network, image)

    Returns
    -------
    loss, right : tensors (network,)
        Sums over the images, float64, of the cross-entropy and of right answers.
    """
    images, layers = x.shape[1], architecture.layers
    seen, after = [], [x]
    for layer, weight in zip(layers[:-1], weights, strict=False):
        seen.append(_patches(layer, after[-1]))
        z = torch.relu_(torch.bmm(seen[-1], weight.transpose(1, 2)))
        after.append(z.view(len(z), images, *layer.size, layer.out))
    seen.append(_patches(layers[-1], after[-1]))
    logits = torch.bmm(weights[-1], seen[-1].transpose(1, 2))
    logarithms, loss, right = scores(logits, labels)
    delta = logarithms.exp_()
    delta.scatter_add_(1, labels[:, None], -torch.ones_like(delta[:, :1]))
    delta /= images
    for number in reversed(range(len(layers))):
        # delta: (network, out, image and position)
        total[number].baddbmm_(delta, seen[number], beta=kept)
        if number:
            by_input = _gradient(layers[number], weights[number], delta, after[number])
            delta = by_input.flatten(1, 3).transpose(1, 2)
    return loss, right


def _patches(layer: PlacedMap, x: Tensor) -> Tensor:
    """What neurons see of ``x``: (network, image and position, fan_in)."""
    if layer.is_linear:
        return x.flatten(2)
    x = functional.pad(x, (0, 0, *4 * (layer.padding,)))
    rows, columns = layer.kernel
    x = x.unfold(2, rows, layer.stride).unfold(3, columns, layer.stride)
    return x.permute(0, 1, 2, 3, 5, 6, 4).reshape(len(x), -1, layer.fan_in)


def _gradient(layer: PlacedMap, weight: Tensor, delta: Tensor, x: Tensor) -> Tensor:
    """Gradient by what the layer below gave before its ReLU, which made it ``x``."""
    mask = torch.ops.aten.threshold_backward.grad_input
    if layer.is_linear:
        found = torch.bmm(delta.transpose(1, 2), weight).view_as(x)
        return mask(found, x, 0, grad_input=found)
    rows, columns = layer.kernel
    if layer.positions < rows * columns:
        found = _folded(layer, torch.bmm(delta.transpose(1, 2), weight), x)
        return mask(found, x, 0, grad_input=torch.empty_like(x))
    # Patches that overlap at many places are folded by a convolution, one network after another:
    # on the CPU faster than all as groups of one.
    networks, images = x.shape[:2]
    found = torch.empty_like(x)
    kernels = weight.view(networks, layer.out, *layer.kernel, layer.channels)
    deltas = delta.unflatten(2, (images, *layer.size))
    size = (images, layer.channels, *layer.size_in)
    for k in range(networks):
        by_input = conv2d_input(
            size,
            kernels[k].permute(0, 3, 1, 2),
            deltas[k].transpose(0, 1),
            stride=layer.stride,
            padding=layer.padding,
        )
        mask(by_input.permute(0, 2, 3, 1), x[k], 0, grad_input=found[k])
    return found


def _folded(layer: PlacedMap, patches: Tensor, x: Tensor) -> Tensor:
    """Patches (network, image and position, fan_in), added up where they overlap, as ``x``."""
    networks, images, rows, columns, channels = x.shape
    pad, stride, (high, wide) = layer.padding, layer.stride, layer.kernel
    # A patch's row is one stretch of numbers here, columns and channels together.
    patches = patches.view(-1, *layer.size, high, wide * channels)
    found = x.new_zeros(networks * images, rows + 2 * pad, (columns + 2 * pad) * channels)
    for a in range(layer.size[0]):
        for b in range(layer.size[1]):
            first = b * stride * channels
            part = found[:, a * stride : a * stride + high, first : first + wide * channels]
            part += patches[:, a, b]
    found = found.view(networks, images, rows + 2 * pad, columns + 2 * pad, channels)
    return found[:, :, pad : pad + rows, pad : pad + columns]
