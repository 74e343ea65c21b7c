"""Functions of the conditional kernel of one input: its logarithm, and its inverse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.coupled.ladder import Ladder
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife, stack
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead
from finitewidth.estimate.preactivations import lognorm

Array = np.ndarray


def log_kernel(ladder: Ladder) -> dict[str, Estimate]:
    """The family ``log_kernel``, over networks that are not dead."""
    parts = ("mean", "variance", "histogram")

    def of_one(values: Array) -> dict[str, Estimate]:
        found = lognorm.log_norm(values, ladder.bounds, ladder.samples.rounding)
        return {f"log_kernel_{part}": found[f"log_norm_{part}"] for part in parts}

    return _everywhere(of_one, np.log(ladder.diagonal))


def inverse_kernel(ladder: Ladder) -> dict[str, Estimate]:
    """The family ``inverse_kernel``; unknown where a network is dead, for it is infinite."""

    bounds = ladder.bounds

    def of_one(values: Array) -> dict[str, Estimate]:
        dead = np.sum(values == 0)
        if dead:
            return {"inverse_kernel_mean": Estimate.unknown((), Reason.DEAD, dead)}
        sums = block_sums(lambda at: {"1/g": 1 / values[at, None]}, bounds)
        own = float(ladder.samples.rounding * np.mean(1 / values))
        mean = jackknife(sums, bounds, lambda s, count: s["1/g"] / count, rounding=own)
        ahead = skewness_ahead(values, -1)
        return {"inverse_kernel_mean": doubt_unseen(mean.take(0), ahead)}

    return _everywhere(of_one, ladder.diagonal)


def _everywhere(function: Callable[[Array], dict], values: Array) -> dict[str, Estimate]:
    """Apply a function of networks to each rung, layer and input of (network, ...) ``values``."""
    if values.ndim == 1:
        return function(values)
    each = [_everywhere(function, values[:, k]) for k in range(values.shape[1])]
    return {name: stack([one[name] for one in each]) for name in each[0]}
