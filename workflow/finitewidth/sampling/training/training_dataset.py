"""What is kept of networks in training, as a dataset."""

from __future__ import annotations

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule

DIMENSIONS = {
    "prediction": ("network", "sign", "moment", "output", "input"),
    "frozen_prediction": ("network", "sign", "moment", "output", "input"),
    "start": ("network", "output", "input"),
    "wide_prediction": ("network", "moment", "output", "input"),
    "wide_variance": ("network", "moment", "input"),
    "wide_covariance": ("network", "moment", "pair"),
    "loss": ("network", "sign", "moment"),
    "layer_kernel": ("network", "sign", "moment", "layer", "output", "pair"),
}
_MEANING = {
    "prediction": "predictions f of networks in training",
    "frozen_prediction": "predictions of the same networks, had their tangent kernels stood still",
    "start": "predictions at the start, not centred, as it was drawn",
    "wide_prediction": "what infinite width adds to its mean prediction from the same start",
    "wide_variance": "mean square of that given all layers but the last",
    "wide_covariance": "mean product of that at two inputs given all layers but the last",
    "loss": "half the sum of (f - y)^2 over training inputs and outputs",
    "layer_kernel": "what a layer adds to the tangent kernel Theta_{ia,ib}",
}


def training_dataset(
    mlp: Perceptron,
    schedule: Schedule,
    inputs: TrainingInputs,
    arrays: dict[str, np.ndarray],
    index: np.ndarray,
) -> xr.Dataset:
    """Arrays of ``DIMENSIONS``, of the starts numbered ``index``, with their coordinates."""
    widths, depth = mlp.widths, mlp.depth
    data = {
        name: (DIMENSIONS[name], values, {"long_name": _MEANING[name], "units": "1"})
        for name, values in arrays.items()
    }
    a, b = pairs(schedule.recorded_kernels(inputs.training, len(inputs.x))).T
    flow = schedule.learning_rate is None
    coordinates = {
        "network": ("network", index, {"long_name": "index of the start in its ensemble"}),
        "sign": ("sign", np.array([1, -1]), {"long_name": "sign of the last layer"}),
        "moment": ("moment", np.array(schedule.moments, float),
                   {"long_name": "time of gradient flow" if flow else "steps"}),
        "layer": ("layer", np.arange(1, depth + 1), {"long_name": "layer l = 1..L"}),
        "width": ("layer", np.array(widths[1:]), {"long_name": "neurons n_l of the layer"}),
        "output": ("output", np.arange(widths[-1]), {"long_name": "output"}),
        "input": ("input", np.arange(len(inputs.x)), {"long_name": "input, training inputs first"}),
        "is_training": ("input", np.arange(len(inputs.x)) < inputs.training,
                        {"long_name": "whether networks are trained on the input"}),
        "pair_a": ("pair", a, {"long_name": "input a"}),
        "pair_b": ("pair", b, {"long_name": "input b"}),
        "target": (("output", "input"), inputs.targets.T,
                   {"long_name": "target, NaN where there is none"}),
    }  # fmt: skip
    return xr.Dataset(data, coords=coordinates)
