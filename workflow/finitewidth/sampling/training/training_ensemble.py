"""Whole ensembles that are trained: each start once as it is drawn, and once mirrored.

Mirrored means that weights and biases of the last layer have the other sign: then z has, too, and
the tangent kernel is the same, so that what is odd in the start cancels in the mean of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from finitewidth.core.blocks import block_size
from finitewidth.core.indices import pairs
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.ntk.layerwise import Layerwise
from finitewidth.sampling.ensemble import check_inputs
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.training.frozen import frozen_predictions
from finitewidth.sampling.training.starts import Ensemble, drawn
from finitewidth.sampling.training.training_dataset import DIMENSIONS, training_dataset
from finitewidth.sampling.training.wide import Wide

#: A step of gradient flow times the largest eigenvalue of any tangent kernel of a block, and the
#: error of a residual then, of what it was at the start.
_FLOW_STEP, _FLOW_ERROR = 0.2, 6e-6
#: A loss so many times that of the start, or of predicting 0, has left for good.
_DIVERGED = 1e3


def sample_training(
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
    schedule: Schedule,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    sampler: str = "training",
    precision: str = "float64",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Train an ensemble's networks, and record them at chosen moments.

    Parameters
    ----------
    mlp : Perceptron
    rates : LearningRates
    inputs : TrainingInputs
        At those that do not train there are predictions only.
    schedule : Schedule
    networks : int
        Starts of the whole ensemble; each is trained twice.
    sampler : str
        ``training`` draws every weight, ``marginal training`` none between two hidden layers: the
        law is the same.
    seed, name, precision, device, blocks, on_tile
        As for :func:`finitewidth.sampling.ensemble.sample`.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes a samples file.

    Raises
    ------
    ValueError
        In one sentence, where inputs or targets do not fit the networks, and for a network whose
        training diverged: which, and at which step.
    """
    x, y = check_inputs(mlp, inputs.x), inputs.y
    if y.ndim != 2 or y.shape[1] != mlp.widths[-1] or not 0 < len(y) <= len(x):
        raise ValueError(
            f"targets of shape {y.shape} do not fit {len(x)} inputs and {mlp.widths[-1]} outputs"
        )
    kind: dict = {"dtype": getattr(torch, precision), "device": device}
    stream = partial(torch_stream, seed, *name, "networks", device=device)
    tensors = torch.from_numpy(x).to(**kind), torch.from_numpy(y).to(**kind)
    one = Ensemble(mlp, rates, schedule, *tensors, stream, sampler)
    size = block_size(sampler, max(mlp.widths[1:]))
    shard = Shard.of(size, blocks, networks, seed, name)
    wide = Wide(one, partial(torch_stream, seed, *name, "pilot", device=device), size)
    parts = []
    for block in range(*shard.blocks):
        begin, count = block * size, shard.count(block)
        parts.append(_Block(one, wide, (block, count, begin)).recorded())
        on_tile(begin + count - shard.begin, len(shard))
    joined = {key: np.concatenate([part[key] for part in parts]) for key in DIMENSIONS}
    found = training_dataset(mlp, schedule, inputs, joined, np.arange(shard.begin, shard.end))
    return found.assign_attrs(
        precision=precision, step_error=_FLOW_ERROR if schedule.learning_rate is None else 0.0
    )


class _Block:
    """The networks of one block in training.

    ``which``: its number, how many starts, and the number of the first of them.
    ``watched``: their losses are looked at after every step, to tell at which they diverge.
    """

    def __init__(
        self, one: Ensemble, wide: Wide, which: tuple[int, int, int], *, watched: bool = False
    ):
        self.one, self.wide, self.which = one, wide, which
        block, count, _ = which
        self.learners, self.watched = drawn(one, block, count), watched

    def recorded(self) -> dict[str, np.ndarray]:
        """What is recorded of the networks, float64."""
        one, learners, schedule = self.one, self.learners, self.one.schedule
        start, seen = learners.with_seen(one.x)
        count = self.which[1]
        arrays = self.wide.recorded(start[:count], seen[:count])
        shift = start if schedule.centred else torch.zeros_like(start)
        learners.y = one.y / schedule.scale + shift[:, : len(one.y)]
        kernel = learners.kernel(one.x, slice(count)).total
        frozen = frozen_predictions(
            kernel,
            _by_sign(start),
            _by_sign(learners.y),
            schedule.moments,
            schedule.learning_rate,
        )
        unit = (schedule.scale * (frozen - _by_sign(shift)[:, :, None])).transpose(3, 4)
        self.most = _DIVERGED * self._loss().clamp(min=float(one.y.square().sum()) / 2)
        recorded: dict[str, list] = {key: [] for key in ("prediction", "loss", "layer_kernel")}
        before, step = 0.0, _flow_step(one, kernel)
        for moment in schedule.moments:
            self._train(before, moment, step)
            before = moment
            f = schedule.scale * (learners.outputs(one.x).double() - shift.double())
            loss = self._loss()
            self._check(loss, moment)
            recorded["prediction"].append(_by_sign(f).transpose(2, 3))
            recorded["loss"].append(_by_sign(loss))
            of_layers = _of_layers(learners.kernel(one.x[: one.kernels]))
            recorded["layer_kernel"].append(_by_sign(of_layers))
        arrays |= {k: torch.stack(v, dim=2).double() for k, v in recorded.items()}
        arrays["frozen_prediction"] = unit
        arrays["start"] = schedule.scale * _by_sign(start)[:, 0].transpose(1, 2).double()
        return {key: values.cpu().numpy() for key, values in arrays.items()}

    def _train(self, before: float, moment: float, step: float) -> None:
        """From one moment to another; ``step`` is that of gradient flow."""
        rate = self.one.schedule.learning_rate
        if rate is None:
            steps = int(np.ceil((moment - before) / step))
            for _ in range(steps):
                self.learners.flow((moment - before) / steps)
            return
        if not self.watched:
            self.learners.descend(rate, round(moment) - round(before))
            return
        for done in range(round(before), round(moment)):
            if done > before:
                self._check(self._loss(), done)
            self.learners.descend(rate, 1)

    def _loss(self) -> torch.Tensor:
        """Of each network, shape (networks,), float64."""
        scale = self.one.schedule.scale
        return scale**2 / 2 * self.learners.residual().double().square().sum((1, 2))

    def _check(self, loss: torch.Tensor, moment: float) -> None:
        """Raise ``ValueError`` that names the first network that diverged, and at which step."""
        lost = ~(loss <= self.most)
        if not bool(lost.any()):
            return
        rate, (_, count, first) = self.one.schedule.learning_rate, self.which
        if rate is None:
            raise ValueError("the training of a network left the range of floating point")
        if not self.watched:
            # The same once more, looked at step by step.
            _Block(self.one, self.wide, self.which, watched=True).recorded()
        raise ValueError(
            f"the training of network {first + int(lost.nonzero()[0]) % count} diverged at step"
            f" {moment:.0f}, and of {int(lost.sum())} in its block: a smaller learning_rate than"
            f" {rate:g} keeps all of them"
        )


def _flow_step(one: Ensemble, kernel: torch.Tensor) -> float:
    """Of gradient flow: short beside the fastest mode of any network of the block."""
    p = len(one.y)
    own = kernel[..., :p, :p].double().transpose(2, 3).flatten(3).flatten(1, 2)
    fastest = float(torch.linalg.eigvalsh(own)[:, -1].max())
    return _FLOW_STEP / fastest if fastest > 0 else float("inf")


def _of_layers(kernel: Layerwise) -> torch.Tensor:
    """What each layer adds for an output with itself, (networks, layers, outputs, pairs)."""
    a, b = pairs(kernel.weight[0].shape[-1]).T
    each = [
        (W + bias).diagonal(dim1=1, dim2=2)[:, a, b].transpose(1, 2)
        for W, bias in zip(kernel.weight, kernel.bias, strict=True)
    ]
    return torch.stack(each, dim=1)


def _by_sign(values: torch.Tensor) -> torch.Tensor:
    """(2 x networks, ...) to (networks, sign, ...)."""
    return values.view(2, -1, *values.shape[1:]).transpose(0, 1)
