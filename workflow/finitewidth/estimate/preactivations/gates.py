"""The share of neurons whose preactivation is above 0: gates that are open."""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.empirical import LEAST_COUNT
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife
from finitewidth.estimate.preactivations.layer import Layer

Array = np.ndarray


def active_share(z: Array, bounds: Array) -> Estimate:
    """P(z > 0), shape (input,), of recorded neurons z (network, input, neuron).

    Not trusted where too few networks have a neuron on one side of 0.
    """
    finite = np.isfinite(z).all(axis=2)
    open_ones = np.where(finite, np.mean(z > 0, axis=2), np.nan)
    sums = block_sums(lambda at: {"open": open_ones[at]}, bounds)
    found = jackknife(sums, bounds, lambda s, count: s["open"] / count)
    fewest = np.minimum(np.sum(open_ones > 0, axis=0), np.sum(open_ones < 1, axis=0))
    return found.doubted((fewest < LEAST_COUNT) & finite.all(axis=0), Reason.RARE_EVENT, fewest)


def active_shares(layer: Layer) -> dict[str, Estimate]:
    """The family ``active_share``."""
    return {"active_share": active_share(layer.z, layer.bounds)}
