"""The networks of a block as they begin: with every weight, or without those that need not be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.sampling.layers.draws import Tile, draw_weights
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams
from finitewidth.sampling.training.learners import Learners
from finitewidth.sampling.training.unseen_learners import UnseenLearners


@dataclass(frozen=True)
class Ensemble:
    """What all blocks share; tensors are of the precision in which networks are computed."""

    mlp: Perceptron
    rates: LearningRates
    schedule: Schedule
    x: torch.Tensor
    y: torch.Tensor
    stream: Callable[[int], torch.Generator]
    sampler: str = "training"

    @property
    def kernels(self) -> int:
        """Of how many inputs tangent kernels are recorded."""
        return self.schedule.recorded_kernels(len(self.y), len(self.x))


def drawn(one: Ensemble, block: int, count: int) -> Learners | UnseenLearners:
    """The networks of a block as they begin, then the same mirrored; targets are still to come."""
    tile = Tile(Streams([one.stream(block)], [count]), Workspace(), one.x.dtype, one.x.device)
    mlp, weights, biases = one.mlp, {}, []
    hidden = range(1, mlp.depth - 1) if one.sampler == "marginal training" else ()
    for layer in range(mlp.depth):
        sign = -1 if layer == mlp.depth - 1 else 1
        if layer in hidden:
            b = _bias(mlp.C_b[layer], mlp.widths[layer + 1], tile)
        else:
            W, b = draw_weights(mlp.dense(layer + 1), tile, f"weights{layer + 1}")
            weights[layer] = torch.cat([W, sign * W])
        if b is None and one.rates.lambda_b[layer] > 0:
            # A bias of variance 0 is there, and learns.
            b = one.x.new_zeros(count, mlp.widths[layer + 1])
        biases.append(None if b is None else torch.cat([b, sign * b]))
    x, y = one.x[: len(one.y)], one.y.expand(2 * count, *one.y.shape)
    if one.sampler != "marginal training":
        return Learners(mlp.activation, list(weights.values()), biases, one.rates, x, y)

    def fresh(layer: int) -> Callable[[torch.Tensor, bool], torch.Tensor]:
        sizes, std = mlp.widths[layer : layer + 2], math.sqrt(mlp.C_W[layer] / mlp.widths[layer])

        def normals(units: torch.Tensor, transposed: bool) -> torch.Tensor:
            shape = (*units.shape[:2], sizes[0 if transposed else 1])
            return tile.streams.normal_(units.new_empty(shape), std)

        return normals

    return UnseenLearners(mlp.activation, mlp.widths, weights, biases, fresh, one.rates, x, y)


def _bias(variance: float, neurons: int, tile: Tile) -> torch.Tensor | None:
    """Biases (networks, neurons) of a layer whose weights are not drawn; None of variance 0."""
    if variance == 0:
        return None
    shape = (tile.streams.networks, neurons)
    values = torch.empty(shape, dtype=tile.dtype, device=tile.device)
    return tile.streams.normal_(values, math.sqrt(variance))
