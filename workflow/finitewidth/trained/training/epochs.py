"""Training on all replicas together, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.optimisers.table import TABLE
from finitewidth.models.relu_network import PlacedMap, ReluNetwork
from finitewidth.trained.training.networks import each, evaluate, gathered, groups
from finitewidth.trained.training.steps import add_gradients, from_pixels, to_pixels


class DivergenceError(ValueError):
    """A loss that is not finite; its message is one sentence."""


@dataclass(frozen=True)
class Settings:
    """How replicas are drawn and trained.

    Attributes
    ----------
    replicas, epochs, batch : int
    learning_rate, momentum : float
    optimiser : str
        A name in :data:`finitewidth.models.optimisers.table.TABLE`, which says what these do.
    stream : tuple
        Seed and name of the random streams: every replica's weights at the start, and the order of
        its images in every epoch, follow from these alone.
    """

    replicas: int
    epochs: int
    batch: int
    learning_rate: float
    momentum: float
    stream: tuple
    optimiser: str = "sgd"


@dataclass
class State:
    """What training goes on from: after ``epoch`` epochs.

    ``buffers`` is what the optimiser keeps, as many lists of tensors of the weights' shapes.
    ``curves`` holds a list of one tensor (replica,) an epoch, from epoch 0 on, for each of
    train_loss, train_accuracy, validation_loss and validation_accuracy.
    """

    epoch: int
    weights: list[Tensor]
    buffers: list[list[Tensor]]
    curves: dict[str, list[Tensor]] = field(default_factory=dict)


def initial(architecture: ReluNetwork, settings: Settings) -> list[Tensor]:
    """Weights at the start, tensors (replica, out, fan_in), on the CPU."""
    drawn = []
    for replica in range(settings.replicas):
        stream = torch_stream(*settings.stream, "weights", replica)
        drawn.append([_draw(layer, stream) for layer in architecture.layers])
    return [torch.stack(of_layer) for of_layer in zip(*drawn, strict=True)]


def _draw(layer: PlacedMap, stream: torch.Generator) -> Tensor:
    """Normal or uniform entries of mean 0 and variance C_W/fan_in, by the law of the layer."""
    shape, sd = (layer.out, layer.fan_in), math.sqrt(layer.map.C_W / layer.fan_in)
    if layer.map.weights == "normal":
        return sd * torch.randn(shape, generator=stream)
    return sd * math.sqrt(3) * (2 * torch.rand(shape, generator=stream) - 1)


def largest_at_start(architecture: ReluNetwork, settings: Settings) -> list[float]:
    """What the largest eigenvalue of W^T W/n_out exceeds with a probability of 5 %, for each layer.

    By drawing weights as for the start, 200 times: the Tracy-Widom law is the limit of large
    matrices, and small ones of uniform weights stay visibly below it (docs/theory.md 11.2).
    """
    stream = torch_stream(*settings.stream, "largest")
    bounds = []
    for layer in architecture.layers:
        largest = []
        for _ in range(200):
            weight = _draw(layer, stream).double()
            gram = weight @ weight.T if layer.out < layer.fan_in else weight.T @ weight
            largest.append(torch.linalg.eigvalsh(gram)[-1] / layer.out)
        bounds.append(float(torch.quantile(torch.stack(largest), 0.95)))
    return bounds


def train(
    architecture: ReluNetwork,
    settings: Settings,
    train_set: tuple[Tensor, Tensor],
    validation_set: tuple[Tensor, Tensor],
    *,
    state: State | None = None,
    on_epoch: Callable[[State], None] | None = None,
) -> State:
    """Train all replicas at once, each on its own order of the images.

    Parameters
    ----------
    train_set, validation_set : (images, labels)
        Tensors (image, channel, row, column) and (image,) of int64, on the device to compute on.
    state : State, optional
        Where to go on from; from :func:`initial` otherwise. The end is the same bit for bit.
    on_epoch : callable, optional
        Called with the state at the start and after every epoch.

    Returns
    -------
    State
        After the last epoch. In epoch e > 0 the training curves are running means over the
        epoch's batches, as they are met; validation is evaluated after each epoch.

    Raises
    ------
    DivergenceError
        Where a loss is not finite: at once after the epoch in which that happens.
    """
    x, y = train_set
    if state is None:
        weights = [w.to(x.device) for w in initial(architecture, settings)]
        kept = range(TABLE[settings.optimiser].buffers)
        state = State(0, weights, [[torch.zeros_like(w) for w in weights] for _ in kept])
        _record(state, "train", *evaluate(architecture, weights, *train_set))
        _record(state, "validation", *evaluate(architecture, weights, *validation_set))
        if on_epoch:
            on_epoch(state)
    while state.epoch < settings.epochs:
        state.epoch += 1
        order = _order(settings, state.epoch, len(x)).to(x.device)
        loss, right = _epoch(architecture, settings, state, x, y, order)
        _check(loss, state.epoch, settings)
        _record(state, "train", loss, right)
        found = evaluate(architecture, state.weights, *validation_set)
        _check(found[0], state.epoch, settings)
        _record(state, "validation", *found)
        if on_epoch:
            on_epoch(state)
    return state


@torch.no_grad()
def _epoch(
    architecture: ReluNetwork,
    settings: Settings,
    state: State,
    x: Tensor,
    y: Tensor,
    order: Tensor,
) -> tuple[Tensor, Tensor]:
    """One pass over the images; mean loss and share of right answers, both (replica,)."""
    loss = torch.zeros(settings.replicas, dtype=torch.float64, device=x.device)
    right = torch.zeros_like(loss)
    optimiser, momentum = TABLE[settings.optimiser], settings.momentum
    steps = (state.epoch - 1) * math.ceil(len(x) / settings.batch)
    layers = architecture.layers
    x = x.permute(0, 2, 3, 1).contiguous()
    for group in groups(architecture, settings.replicas, settings.batch, x.device):
        # In another order, for as long as the epoch takes.
        weights = [
            to_pixels(*pair) for pair in zip(layers, each(state.weights, group), strict=True)
        ]
        buffers = [
            [to_pixels(*pair) for pair in zip(layers, each(buffer, group), strict=True)]
            for buffer in state.buffers
        ]
        kept, number = optimiser.kept(momentum), steps
        of_group = [torch.zeros_like(loss[group]) for _ in range(2)]
        # Images of several batches are gathered at once, as many as stay in cache.
        for index in order[group].split(
            settings.batch * gathered(settings.batch * len(order[group]), x), 1
        ):
            batches = (values[index].split(settings.batch, 1) for values in (x, y))
            for images, labels in zip(*batches, strict=True):
                number += 1
                found = add_gradients(architecture, weights, buffers[0], images, labels, kept)
                optimiser.step_(torch, weights, buffers, settings.learning_rate, momentum, number)
                for total, values in zip(of_group, found, strict=True):
                    total += values
        loss[group], right[group] = of_group
        for there, here in zip((state.weights, *state.buffers), (weights, *buffers), strict=True):
            for layer, old, new in zip(layers, each(there, group), here, strict=True):
                if new.data_ptr() != old.data_ptr():  # one channel or pixel: the same order
                    old.copy_(from_pixels(layer, new))
    return loss / len(x), right / len(x)


def _order(settings: Settings, epoch: int, images: int) -> Tensor:
    """The order in which each replica meets the images, shape (replica, image)."""
    streams = (
        torch_stream(*settings.stream, "order", replica, epoch)
        for replica in range(settings.replicas)
    )
    return torch.stack([torch.randperm(images, generator=stream) for stream in streams])


def _record(state: State, part: str, loss: Tensor, right: Tensor) -> None:
    for name, values in (("loss", loss), ("accuracy", right)):
        state.curves.setdefault(f"{part}_{name}", []).append(values.cpu())


def _check(loss: Tensor, epoch: int, settings: Settings) -> None:
    bad = torch.nonzero(~torch.isfinite(loss)).flatten().tolist()
    if bad:
        which = "every replica" if len(bad) == settings.replicas else f"replicas {bad}"
        raise DivergenceError(
            f"training diverged: given learning_rate {settings.learning_rate:g} and momentum"
            f" {settings.momentum:g}, the loss of {which} is not finite in epoch {epoch}; allowed"
            " are rates at which every loss stays finite, and nothing of this run is kept"
        )
