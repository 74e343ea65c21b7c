"""Squared norms of derivatives of an output by a layer: their mean, and the law of their logarithm.

They are products of a number a layer, and their law may be as broad as that of kernels of deep
networks: the mean is then that of a few networks, and the logarithm tells what most of them have.
"""

from __future__ import annotations

import numpy as np

from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife, stack
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead, thinness
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.preactivations.lognorm import log_norm

Array = np.ndarray


def mean_square(values: Array, bounds: Array, rounding: float, width: int) -> Estimate:
    """E|df/dz|^2, shape (input,), of squared norms (network, input) of a layer of some width."""
    unit = np.mean(values, axis=0)
    unit = np.where(unit > 0, unit, 1.0)
    sums = block_sums(lambda at: {"x": values[at] / unit}, bounds)
    mean = jackknife(sums, bounds, lambda s, count: s["x"] / count, rounding=rounding)
    return doubt_unseen(mean.times(unit), skewness_ahead(values, 1.0, thinness(width)))


def gradient_norms(layer: Layer) -> dict[str, Estimate]:
    """The family ``gradient_norm``."""
    values, rounding = layer.read("gradient"), layer.samples.rounding
    width = int(layer.samples.widths[layer.place])
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    each = [log_norm(logs[:, a], layer.bounds, rounding) for a in layer.inputs]
    return {
        "gradient_norm": mean_square(values, layer.bounds, rounding, width),
        "gradient_log_mean": stack([one["log_norm_mean"] for one in each]),
        "gradient_log_variance": stack([one["log_norm_variance"] for one in each]),
    }
