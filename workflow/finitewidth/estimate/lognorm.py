"""Statistics of the logarithm of a layer's root mean square, at any depth."""

from __future__ import annotations

import numpy as np

from finitewidth.bins import EDGES
from finitewidth.estimate import empirical
from finitewidth.estimate.empirical import LEAST_COUNT, Empirical
from finitewidth.estimate.errors import Estimate, block_sums, jackknife

Array = np.ndarray


def from_kernel(squares: Array) -> Array:
    """The log-norm log sqrt(k) of means of squares k; -inf where a layer is dead. Any shape."""
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(squares)


def log_norm(values: Array, bounds: Array) -> dict[str, Estimate]:
    """Fraction of dead layers; mean, variance and histogram of the log-norm of the living.

    Parameters
    ----------
    values : array, shape (network,)
        The log-norm, -inf where the layer is dead.
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    dict of Estimate
        ``dead_fraction``, ``log_norm_mean``, ``log_norm_variance`` (unbiased), each of shape (),
        and ``log_norm_histogram``, shape (bin,), of (log-norm - mean)/sd with mean and sd
        recomputed for each block left out. All unknown where a log-norm is NaN or infinite.
    """
    unknown = {
        name: Estimate.unknown(())
        for name in ("dead_fraction", "log_norm_mean", "log_norm_variance")
    } | {"log_norm_histogram": Estimate.unknown((len(EDGES) - 1,))}
    if np.any(np.isnan(values) | (values == np.inf)):
        return unknown
    alive = values > -np.inf
    sums = block_sums(lambda at: {"dead": ~alive[at, None]}, bounds)
    dead = jackknife(sums, bounds, lambda s, count: s["dead"] / count).take(0)
    few = min(alive.sum(), (~alive).sum()) < LEAST_COUNT
    known = {"dead_fraction": dead.only_where(np.array(not few))}
    if alive.sum() < LEAST_COUNT:
        return unknown | known
    return known | _moments(values, alive, bounds)


def _moments(values: Array, alive: Array, bounds: Array) -> dict[str, Estimate]:
    # About its mean, so that a variance of 1 beside a mean of -10^5 keeps its digits.
    center = np.mean(values[alive])
    x = np.where(alive, values - center, 0.0)

    def features(at: slice) -> dict[str, Array]:
        return {"1": alive[at, None], "x": x[at, None], "xx": x[at, None] ** 2}

    sums = block_sums(features, bounds)

    def mean(s, _):
        return s["x"] / s["1"]

    def variance(s, _):
        return (s["xx"] - s["x"] ** 2 / s["1"]) / (s["1"] - 1)

    about = jackknife(sums, bounds, mean).take(0)
    shifted = Estimate(about.value + center, about.stderr, about.trusted)
    spread = jackknife(sums, bounds, variance).take(0)
    known = {"log_norm_mean": shifted, "log_norm_variance": spread}
    if not spread.value > 0:
        return known | {"log_norm_histogram": Estimate.unknown((len(EDGES) - 1,))}
    without = {name: s.sum(axis=0) - s for name, s in sums.items()}
    shifts, scales = mean(without, None)[:, 0], np.sqrt(variance(without, None))[:, 0]
    shift, scale = about.value, np.sqrt(spread.value)
    living = np.where(alive, x, np.nan)
    law = Empirical(living, bounds)
    hit, missed = empirical.networks_in_bins(((living - shift) / scale)[:, None])
    shares = empirical.histogram(law, shift, scale, shifts, scales)
    enough = np.minimum(hit, missed) >= LEAST_COUNT
    return known | {"log_norm_histogram": shares.only_where(enough)}
