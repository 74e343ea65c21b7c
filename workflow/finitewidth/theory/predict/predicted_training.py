"""What is predicted beyond infinite width of ensembles that are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.training.corrections import Known, corrections
from finitewidth.theory.training.ddntk import has_kink
from finitewidth.theory.training.half_order import half_order, is_covered
from finitewidth.theory.training.moments import of_schedule
from finitewidth.theory.training.motion import is_known, motion_square

Array = np.ndarray
#: Quantity -> what an order adds, about how much orders beyond it do, and which part of that is the
#: error of quasi-random points: an array (3, ...).
Changes = dict[str, Array]

#: More inputs than these would take longer than networks do: all, those that train, and indices of
#: a training input or a test input and an output.
_MOST_INPUTS, _MOST_TRAINING, _MOST_INDICES = 64, 6, 40
#: Pairs of two different test inputs, each of which takes as long as a test input.
_MOST_ACROSS = 6
#: The second order over the sizes of the first, times n/(L - 1): of what a kernel that stands still
#: does, and of its motion; and what n^{-1/2} leaves out of drift and motion over it, times
#: (n/L)^{1/2}. Of measured
#: ensembles (docs/theory.md 12.5).
_FROZEN, _MOVING, _HALF_DRIFT, _HALF_MOTION = 4.0, 12.0, 3.0, 10.0
#: Targets so many times the variance of the start are large.
_LARGE = 6.0
#: Errors of quasi-random points count so many times.
_SIGMAS = 3.0


def first_order(
    schedule: Schedule,
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
    pairs: tuple[Array, Array],
    infinite: Mapping[str, Array],
) -> Changes:
    """What the first order in 1/n adds to each quantity; nothing where it is not known.

    Parameters
    ----------
    pairs : two arrays of int
        The inputs of each pair whose kernels are recorded.
    infinite : mapping
        Quantity -> its value at infinite width.

    Returns
    -------
    dict
        {} where there are too many inputs or outputs. Of an activation with a kink what kernels
        that stand still do, and no more. NaN for pairs of different test inputs where these are
        many.
    """
    p, k = inputs.training, inputs.targets.shape[1]
    few = p <= _MOST_TRAINING and len(inputs.x) <= _MOST_INPUTS and (p + 1) * k <= _MOST_INDICES
    if not (few and mlp.weights == "normal" and min(mlp.C_W) > 0 and mlp.depth > 1):
        return {}
    every = _every(mlp, rates, inputs, schedule)
    across = _across(mlp, rates, inputs, schedule, pairs)
    if not all(np.isfinite(one.value.mean_frozen).all() for found in every for one in found):
        return {}
    step = (mlp.depth - 1) / min(mlp.widths[1:-1])
    y = inputs.y / schedule.scale
    prior = np.trace(infinite_width(mlp, inputs.x[:p], [mlp.depth])[0])
    large = max(1.0, float(np.sum(y**2)) / (_LARGE * k * prior)) if prior > 0 else np.inf
    stacked = _Stacked(every, across, p, pairs, step, large, schedule.scale)
    found = stacked.changes(inputs, infinite)
    if has_kink(mlp):
        found = {name: found[name] for name in ("frozen_mean", "frozen_variance")}
    return found


def _every(
    mlp: Perceptron, rates: LearningRates, inputs: TrainingInputs, schedule: Schedule
) -> list[list[Known]]:
    """Of the training inputs, then with each test input beside them; by moment."""
    count = len(inputs.x)
    sets = [(), *((a,) for a in range(inputs.training, count))]
    return _beside(mlp, rates, inputs, schedule, sets)


def _across(
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
    schedule: Schedule,
    pairs: tuple[Array, Array],
) -> dict[tuple[int, int], list[Known]]:
    """Of the training inputs with two different test inputs beside them, by these, where they are
    few; nothing else."""
    p, k = inputs.training, inputs.targets.shape[1]
    both = ((min(a, b), max(a, b)) for a, b in zip(*pairs, strict=True))
    sets = sorted({(int(a), int(b)) for a, b in both if p <= a < b})
    if len(sets) > _MOST_ACROSS or (p + 2) * k > _MOST_INDICES:
        return {}
    return dict(zip(sets, _beside(mlp, rates, inputs, schedule, sets), strict=True))


def _beside(
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
    schedule: Schedule,
    sets: Sequence[tuple[int, ...]],
) -> list[list[Known]]:
    """Of the training inputs with each set of test inputs beside them; by moment."""
    p, y = inputs.training, inputs.y / schedule.scale
    moments = tuple(of_schedule(schedule, t) for t in schedule.moments)
    about: dict = {"centred": schedule.centred, "tests": len(inputs.x) - p}
    x = (inputs.x[[*range(p), *tests]] for tests in sets)
    return [corrections(mlp, rates, at, y, moments, **about) for at in x]


def half_orders(
    schedule: Schedule,
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
    first: Changes,
) -> Changes:
    """ReLU's order n^{-1/2} at one training input, as above; {} where it is not known.

    NaN at test inputs. ``first`` is what :func:`first_order` says.
    """
    if inputs.training != 1 or not is_covered(mlp) or "frozen_mean" not in first:
        return {}
    moments = [of_schedule(schedule, t) for t in schedule.moments]
    y = float(inputs.y[0, 0]) / schedule.scale
    each = half_order(mlp, rates, inputs.x[:1], y, moments, centred=schedule.centred)
    recorded = schedule.recorded_kernels(1, len(inputs.x))
    motion = _first([schedule.scale * one.motion for one in each], len(inputs.x))
    drift = _first([one.drift for one in each], recorded * (recorded + 1) // 2)
    over = (mlp.depth / min(mlp.widths[1:-1])) ** 0.5
    late = np.array([one.late for one in each])[:, None, None]
    beyond = _HALF_MOTION * over * late * np.abs(motion)
    # Of order 1/n, what kernels that stand still do.
    more = np.abs(first["frozen_mean"][0])
    return {
        "motion_mean": np.stack([motion, beyond, 0 * motion]),
        "prediction_mean": np.stack([motion, beyond + more, 0 * motion]),
        "kernel_drift": np.stack([drift, _HALF_DRIFT * over * np.abs(drift), 0 * drift]),
    }


def motion_squares(
    schedule: Schedule, mlp: Perceptron, rates: LearningRates, inputs: TrainingInputs
) -> Changes:
    """The mean square of the motion to its leading order, 1/n^2, at one training input; {} where it
    is not known, and NaN at test inputs."""
    if inputs.training != 1 or not is_known(mlp) or min(mlp.C_W) == 0:
        return {}
    moments = [of_schedule(schedule, t) for t in schedule.moments]
    y = float(inputs.y[0, 0]) / schedule.scale
    each = motion_square(mlp, rates, inputs.x[:1], y, moments, centred=schedule.centred)
    square, size = (
        _first([schedule.scale**2 * float(v) for v in values], len(inputs.x))
        for values in zip(*((one.square, one.size * one.late) for one in each), strict=True)
    )
    beyond = 2 * _MOVING / mlp.widths[1] * size
    return {"motion_square": np.stack([square, beyond, 0 * square])}


class _Stacked:
    """Corrections of every input, put into the axes of quantities.

    ``every`` is by input set (none, then one test input each) and moment, ``across`` by two.
    """

    def __init__(
        self,
        every: list[list[Known]],
        across: dict[tuple[int, int], list[Known]],
        training: int,
        pairs: tuple[Array, Array],
        step: float,
        large: float,
        scale: float,
    ):
        self.every, self.across, self.p, self.pairs = every, across, training, pairs
        self.weights = {"frozen": step * _FROZEN, "moving": step * _MOVING * large}
        self.scale = scale

    def changes(self, inputs: TrainingInputs, infinite: Mapping[str, Array]) -> Changes:
        mean = {x: self._at_inputs(f"mean_{x}", x, self.scale) for x in self.weights}
        own = {x: self._own(f"covariance_{x}", x) for x in self.weights}
        covariance = {x: self._at_pairs(f"covariance_{x}", x, self.scale**2) for x in self.weights}
        off = infinite["prediction_mean"] - inputs.targets.T
        slope = np.stack([2 * off, 2 * np.abs(off), 2 * np.abs(off)])
        bias = {x: slope * m for x, m in mean.items()}
        loss = np.stack([self._told(one, "loss", "moving", self.scale**2) for one in self.every[0]])
        found = {
            "prediction_mean": _both(mean),
            "prediction_variance": _both(own),
            "prediction_covariance": _both(covariance),
            "training_loss": loss.T,
            "frozen_mean": mean["frozen"],
            "frozen_variance": own["frozen"],
            "motion_mean": mean["moving"],
            "kernel_drift": self._at_pairs("drift", "moving", 1.0),
            "squared_bias": _both(bias),
            "squared_error": _both(bias) + _both(own),
        }
        for name in ("squared_bias", "squared_error"):
            found[name][1] += _both(mean)[0] ** 2
        return found

    def _told(self, one: Known, name: str, part: str, unit: float) -> Array:
        """A correction, what is beyond it, and the part of that which is error, (3, ...)."""
        value, error = np.asarray(getattr(one.value, name)), _SIGMAS * one.error[name]
        beyond = self.weights[part] * one.value.sizes[name] + error
        return unit * np.stack([value, beyond, error])

    def _at_inputs(self, name: str, part: str, unit: float) -> Array:
        """Shape (3, moment, output, input)."""
        each = [
            np.stack([self._told(one, name, part, unit)[:, at] for one in found])
            for at, found in [(slice(self.p), self.every[0])]
            + [(slice(self.p, None), found) for found in self.every[1:]]
        ]
        return np.concatenate(each, axis=2).transpose(1, 0, 3, 2)

    def _own(self, name: str, part: str) -> Array:
        """Of an input with itself, (3, moment, output, input)."""
        N = self.p + len(self.every) - 1
        return self._between(name, part, self.scale**2, (np.arange(N), np.arange(N)))

    def _at_pairs(self, name: str, part: str, unit: float) -> Array:
        """One output with itself, (3, moment, output, pair)."""
        return self._between(name, part, unit, self.pairs)

    def _between(self, name: str, part: str, unit: float, pairs: tuple[Array, Array]) -> Array:
        def told(found: list[Known]) -> Array:
            return np.stack([self._told(one, name, part, unit) for one in found])

        alone = [told(found) for found in self.every]
        beside = {tests: told(found) for tests, found in self.across.items()}
        columns = []
        for a, b in zip(*pairs, strict=True):
            low, high = int(min(a, b)), int(max(a, b))
            of, ends = alone[max(high - self.p + 1, 0)], [min(end, self.p) for end in (low, high)]
            known = low < self.p or low == high
            if (low, high) in beside:
                of, ends, known = beside[low, high], [self.p, self.p + 1], True
            values = of[:, :, ends[0], :, ends[1]].diagonal(axis1=2, axis2=3)
            columns.append(values if known else np.nan * values)
        return np.stack(columns, axis=-1).transpose(1, 0, 2, 3)


def _both(parts: Mapping[str, Array]) -> Array:
    return parts["frozen"] + parts["moving"]


def _first(values: list[float], count: int) -> np.ndarray:
    """Numbers at the first of ``count`` places, NaN at the others: shape (numbers, 1, count)."""
    beside = np.full((len(values), count - 1), np.nan)
    return np.hstack([np.reshape(values, (-1, 1)), beside])[:, None, :]
