"""The dataset of predictions of an ensemble in training: infinite width, and what is beyond it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.members.inputs import TrainingInputs
from finitewidth.members.stages import PredictedTraining
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.quantities.vocabulary import DESCRIBED, FAMILIES, HALF
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.predict.predict_preactivations import ORDERS as EXPANSION
from finitewidth.theory.predict.predict_preactivations import variable
from finitewidth.theory.predict.predicted_training import first_order, half_orders, motion_squares
from finitewidth.theory.training.gradient_descent import FrozenTraining, Predictions
from finitewidth.theory.training.moments import of_schedule

#: Orders of theory; a kink moves kernels at order n^{-1/2}.
ORDERS = ("infinite_width", HALF, *EXPANSION[1:])


@dataclass(frozen=True)
class _Kernels:
    nngp: np.ndarray
    ntk: np.ndarray


def predict_training(
    member: PredictedTraining, mlp: Perceptron, rates: LearningRates, inputs: TrainingInputs
) -> xr.Dataset:
    """Predict the estimates of one member along its training.

    Parameters
    ----------
    member : PredictedTraining
    mlp : Perceptron
        Its networks.
    rates : LearningRates
    inputs : TrainingInputs

    Returns
    -------
    xarray.Dataset
        Each variable has the leading dimension ``order``; NaN where an order says nothing.

    Raises
    ------
    ValueError
        As :class:`finitewidth.theory.training.gradient_descent.FrozenTraining` does.
    """
    return predictions(member.train, member.estimate, mlp, rates, inputs)


def predictions(
    schedule: Schedule,
    families: Collection[str],
    mlp: Perceptron,
    rates: LearningRates,
    inputs: TrainingInputs,
) -> xr.Dataset:
    """The same of any networks under a schedule, for some families of quantities."""
    count = len(inputs.x)
    kernels = _kernels(schedule, mlp, rates, inputs.x)
    training = FrozenTraining(kernels, inputs.y)
    each = [training.at(of_schedule(schedule, t)) for t in schedule.moments]
    recorded = schedule.recorded_kernels(inputs.training, count)
    a, b = pairs(recorded).T
    found = _numbers(each, inputs, (a, b))
    found["layer_drift"] = np.zeros((len(each), mlp.depth, mlp.widths[-1], len(a)))
    first = first_order(schedule, mlp, rates, inputs, (a, b), found)
    half = half_orders(schedule, mlp, rates, inputs, first)
    wanted = {quantity for family in families for quantity in FAMILIES[family].names}
    variables = {}
    square = motion_squares(schedule, mlp, rates, inputs)
    for name in (name for name in found if name in wanted):
        orders = {"infinite_width": found[name]}
        left = {"infinite_width": np.full_like(found[name], np.nan)}
        for order, changes in ((HALF, half), ("1/n", first), ("1/n^2", square)):
            if name in changes:
                change, beyond, error = changes[name]
                orders[order] = found[name] + change
                left |= {"infinite_width": np.abs(change) + beyond, order: beyond}
                if error.any():
                    about = {"long_name": f"error of order {order}, of quasi-random points"}
                    dims = DESCRIBED[name].dims
                    variables[f"{name}_points"] = xr.Variable(dims, error, about | {"units": "1"})
        variables[name] = variable(DESCRIBED[name], orders, ORDERS)
        variables[f"{name}_neglected"] = _neglected(name, left)
    coordinates = {
        "order": np.array(ORDERS),
        "moment": np.array(schedule.moments),
        "layer": np.arange(1, mlp.depth + 1),
        "output": np.arange(mlp.widths[-1]),
        "input": np.arange(count),
        "pair_a": ("pair", a),
        "pair_b": ("pair", b),
    }
    result = xr.Dataset(variables)
    used = {
        name: c
        for name, c in coordinates.items()
        if (c[0] if isinstance(c, tuple) else name) in result.dims
    }
    return result.assign_coords(used | _places(inputs))


def _neglected(name: str, left: dict[str, np.ndarray]) -> xr.Variable:
    """How much each order leaves out of a quantity."""
    about = {
        "long_name": f"what an order leaves out of the {DESCRIBED[name].meaning}",
        "units": "1",
        "equation": "docs/theory.md 12.5",
    }
    values = variable(DESCRIBED[name], left, ORDERS)
    return xr.Variable(values.dims, values.values, about)


def _places(inputs: TrainingInputs) -> dict:
    """What figures need of the inputs: where they stand on a line, and what they are to be."""
    found = {
        "is_training": ("input", np.arange(len(inputs.x)) < inputs.training),
        "target": (("output", "input"), inputs.targets.T),
    }
    if inputs.x.shape[1] == 1:
        found["position"] = ("input", inputs.x[:, 0])
    return found


def _kernels(schedule: Schedule, mlp: Perceptron, rates: LearningRates, x: np.ndarray) -> _Kernels:
    """Of predictions: of a ``scale`` times the network, without its start where that is taken."""
    K = schedule.scale**2 * infinite_width(mlp, x, [mlp.depth])[0]
    K = np.zeros_like(K) if schedule.centred else K
    return _Kernels(K, infinite_width_ntk(mlp, rates, x, [mlp.depth])[0])


def _numbers(each: list[Predictions], inputs: TrainingInputs, at: tuple) -> dict[str, np.ndarray]:
    """Every quantity but the drift of layers, each with the axes of its description."""
    outputs = inputs.targets.shape[1]

    def of_outputs(values: list[np.ndarray]) -> np.ndarray:
        """Numbers that are the same for every output, (moment, output, number)."""
        return np.repeat(np.stack(values)[:, None], outputs, axis=1)

    mean = np.stack([m.mean.T for m in each])
    variance = of_outputs([m.variance for m in each])
    covariance = of_outputs([m.covariance[at] for m in each])
    bias = (mean - inputs.targets.T) ** 2
    return {
        "prediction_mean": mean,
        "prediction_variance": variance,
        "prediction_covariance": covariance,
        "training_loss": np.array([m.loss for m in each]),
        "squared_error": bias + variance,
        "squared_bias": bias,
        "frozen_mean": mean,
        "frozen_variance": variance,
        "motion_mean": np.zeros_like(mean),
        "motion_square": np.zeros_like(mean),
        "kernel_drift": np.zeros_like(covariance),
    }
