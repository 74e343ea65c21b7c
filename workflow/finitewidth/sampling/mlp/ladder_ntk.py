"""Tangent kernels of a ladder, averaged over their way back, from sums of compiled kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from finitewidth.core.indices import pairs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.rung_workspace import Climbed
from finitewidth.sampling.mlp.conditional_ntk import LayerSums, conditional_ntk, pseudo_inverse
from finitewidth.sampling.mlp.control_means import means_of_neurons
from finitewidth.sampling.mlp.ladder_record import Kept
from finitewidth.sampling.mlp.width_controls import of_neurons


def keep_tangent_kernels(
    mlps: Sequence[Perceptron],
    rates: Sequence[LearningRates],
    layers: Sequence[int],
    first: np.ndarray,
    names: Sequence[str],
    found: Climbed,
    kept: Kept,
    part: slice,
) -> None:
    """Keep what the sums ``found`` of the networks ``part`` say of every rung.

    Parameters
    ----------
    first : array, shape (input, input)
        Products of the inputs.
    names : sequence of str
        The controls: of neurons, their means are kept, too.
    """
    for rung, (mlp, rate) in enumerate(zip(mlps, rates, strict=True)):
        sums = list(_layers(mlp, found, rung))
        _keep_kernels(mlp, rate, layers, first, sums, kept, part, rung)
        if of_neurons(names):
            _keep_means(mlp, names, sums, kept, part, rung)


def _matrices(values: np.ndarray, count: int) -> torch.Tensor:
    """Pairs (networks, pair), those with i <= j in order, as symmetric matrices."""
    if count == 1:
        return torch.from_numpy(values[..., None].copy())
    i, j = np.triu_indices(count)
    found = np.empty((len(values), count, count))
    found[:, i, j] = found[:, j, i] = values
    return torch.from_numpy(found)


def _layers(mlp: Perceptron, found: Climbed, rung: int) -> Iterator[LayerSums]:
    """The sums of every hidden layer of a rung, in natural units."""
    networks, inputs, width = len(found.kernels), found.scale.shape[3], mlp.widths[1]
    shape = (networks, inputs, inputs, inputs, inputs)
    two, four = len(pairs(inputs)), inputs**2 * (inputs**2 + 1) // 2
    ends = np.cumsum([two, four, inputs**3])
    for layer in range(1, found.kernels.shape[2]):
        here = (slice(None), rung, layer - 1)
        parts = np.split(found.sums[here], ends, axis=1)
        slopes, mixed = _matrices(parts[0], inputs), torch.from_numpy(parts[2].copy())
        activations, preactivations = (_matrices(parts[k], inputs**2).view(shape) for k in (1, 3))
        scale = torch.from_numpy(found.scale[here])
        twice = scale[:, :, None] * scale[:, None, :]
        squares = twice[:, None, :, None, :]
        kernel = _matrices(found.kernels[:, rung, layer], inputs)
        yield LayerSums(
            slopes,
            activations * squares,
            mixed.view(shape[:4]) * twice[:, None],
            preactivations * squares,
            _matrices(found.gram[here], inputs),
            pseudo_inverse(kernel).mul_(mlp.C_W[layer] / width),
        )


def _keep_kernels(
    mlp: Perceptron,
    rates: LearningRates,
    layers: Sequence[int],
    first: np.ndarray,
    sums: list[LayerSums],
    kept: Kept,
    part: slice,
    rung: int,
) -> None:
    """Keep the tangent kernels of recorded layers, and of driven ones where there are controls."""
    products, (a, b) = torch.from_numpy(first), pairs(len(first)).T
    for layer in range(1, max(layers) + 1):
        drives = kept.driven_ntk is not None and layer < max(layers)
        if layer not in layers and not drives:
            continue
        ntk = conditional_ntk(sums[: layer - 1], products, rates, mlp.widths, mlp.C_W)
        values = ntk.expand(part.stop - part.start, -1, -1)[:, a, b].numpy()
        if layer in layers and isinstance(kept.ntk, np.ndarray):
            kept.ntk[part, rung, layers.index(layer)] = values
        if drives and isinstance(kept.driven_ntk, np.ndarray):
            kept.driven_ntk[part, rung, layer - 1] = values


def _keep_means(
    mlp: Perceptron,
    names: Sequence[str],
    sums: list[LayerSums],
    kept: Kept,
    part: slice,
    rung: int,
) -> None:
    """Keep means over the neurons of what enters the next kernel and tangent kernel."""
    if isinstance(kept.drive, np.ndarray):
        for layer in range(len(sums)):
            means = means_of_neurons(sums[layer].gram, None, sums[: layer + 1], len(names))
            kept.drive[part, rung, layer] = (means / mlp.widths[1]).numpy()
