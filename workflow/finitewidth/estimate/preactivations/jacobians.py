"""Singular values of the derivatives of a layer by the input: their mean square, and the law of
their logarithms.

They are those of sqrt(n_0/n_l) dz/dx, which takes root mean squares to root mean squares. So their
size does not depend on a width, and of square matrices nothing changes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finitewidth.core.bins import PROBABILITIES
from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.errors.empirical import LEAST_COUNT
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife, stack
from finitewidth.estimate.preactivations.gradients import mean_square
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.preactivations.lognorm import log_norm

Array = np.ndarray
#: The precision that samplers compute them in, whatever that of neurons.
_ROUNDING = ROUNDING["float64"]


def jacobians(layer: Layer) -> dict[str, Estimate]:
    """The family ``jacobian``."""
    logs = layer.read("jacobian")
    width = int(layer.samples.widths[layer.place])
    logs = logs + 0.5 * np.log(logs.shape[-1] / width)
    squares = np.mean(np.exp(2 * logs), axis=-1)
    each = [_of_logarithms(logs[:, a], layer.bounds) for a in layer.inputs]
    return {
        "jacobian_square": mean_square(squares, layer.bounds, _ROUNDING, width),
        **{name: stack([one[name] for one in each]) for name in each[0]},
    }


def _of_logarithms(logs: Array, bounds: Array) -> dict[str, Estimate]:
    """Of one input, ``logs`` (network, singular), the largest first.

    Of networks that have as many singular values above 0 as any of the ensemble.
    """
    count = np.sum(logs > -np.inf, axis=1)
    rank = int(count.max())
    whole = (count == rank) & (rank > 0)
    kept = logs[:, : max(rank, 1)]
    of_mean = np.where(whole, np.mean(np.where(whole[:, None], kept, 0.0), axis=1), -np.inf)
    of_mean = np.where(np.isnan(logs).any(axis=1), np.nan, of_mean)
    one = log_norm(of_mean, bounds, _ROUNDING)
    return {
        "jacobian_log_mean": one["log_norm_mean"],
        "jacobian_log_variance": one["log_norm_variance"],
        "jacobian_spectrum": _spectrum(kept, whole, bounds),
    }


def _spectrum(logs: Array, whole: Array, bounds: Array) -> Estimate:
    """Means over networks of quantiles of the singular values' logarithms, (probability,)."""
    shape = (len(PROBABILITIES),)
    if np.isnan(logs).any():
        return Estimate.unknown(shape, Reason.NOT_FINITE)
    if whole.sum() < LEAST_COUNT:
        why = Reason.TOO_FEW_NETWORKS if whole.any() else Reason.DEAD
        return Estimate.unknown(shape, why, whole.sum())
    rank = logs.shape[1]
    # The least of which a share of so many is not above it.
    at = rank - np.maximum(np.ceil(PROBABILITIES * rank).astype(int), 1)
    chosen = np.where(whole[:, None], logs[:, at], 0.0)
    center = chosen[whole].mean(axis=0)
    about = np.where(whole[:, None], chosen - center, 0.0)
    sums = block_sums(lambda part: {"1": whole[part, None], "x": about[part]}, bounds)
    own = _ROUNDING * (1 + np.abs(center).max())
    mean = jackknife(sums, bounds, lambda s, _: s["x"] / s["1"], rounding=own)
    return replace(mean, value=mean.value + center)
