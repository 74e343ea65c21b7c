"""Statistics of the logarithm of a layer's root mean square, at any depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finitewidth.core.bins import EDGES
from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING, of_products
from finitewidth.estimate.errors import empirical
from finitewidth.estimate.errors.empirical import LEAST_COUNT, Empirical
from finitewidth.estimate.errors.jackknife import Estimate, Sums, block_sums, jackknife, stack
from finitewidth.estimate.errors.logarithm_errors import widened_variance
from finitewidth.estimate.preactivations.layer import Layer

Array = np.ndarray


def from_kernel(squares: Array) -> Array:
    """The log-norm log sqrt(k) of means of squares k; -inf where a layer is dead. Any shape."""
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(squares)


def log_norm(
    values: Array, bounds: Array, rounding: float = ROUNDING["float64"]
) -> dict[str, Estimate]:
    """Fraction of dead layers; mean, variance and histogram of the log-norm of the living.

    Parameters
    ----------
    values : array, shape (network,)
        The log-norm, -inf where the layer is dead.
    bounds : array of int, shape (block + 1,)
    rounding : float
        What the norms are known to, as a share of them.

    Returns
    -------
    dict of Estimate
        ``dead_fraction``, ``log_norm_mean``, ``log_norm_variance`` (unbiased), each of shape (),
        and ``log_norm_histogram``, shape (bin,), of (log-norm - mean)/sd with mean and sd
        recomputed for each block left out. All unknown where a log-norm is NaN or infinite, the
        last three where fewer than 50 networks live.
    """
    if np.any(np.isnan(values) | (values == np.inf)):
        unknown = Estimate.unknown((), Reason.NOT_FINITE)
        return {"dead_fraction": unknown} | _unknown(Reason.NOT_FINITE)
    alive = values > -np.inf
    sums = block_sums(lambda at: {"dead": ~alive[at, None]}, bounds)
    dead = jackknife(sums, bounds, lambda s, count: s["dead"] / count, events=True).take(0)
    fewest = min(alive.sum(), (~alive).sum())
    dead = dead.doubted(np.array(fewest < LEAST_COUNT), Reason.RARE_EVENT, fewest)
    if not alive.any():
        return {"dead_fraction": dead} | _unknown(Reason.DEAD, len(values))
    if alive.sum() < LEAST_COUNT:
        return {"dead_fraction": dead} | _unknown(Reason.TOO_FEW_NETWORKS, alive.sum())
    return {"dead_fraction": dead} | _moments(values, alive, bounds, rounding)


def _unknown(reason: Reason, diagnostic: Array | float = np.nan) -> dict[str, Estimate]:
    """What is known of the living where they cannot be told of."""
    one, bins = (Estimate.unknown(s, reason, diagnostic) for s in ((), (len(EDGES) - 1,)))
    return {"log_norm_mean": one, "log_norm_variance": one, "log_norm_histogram": bins}


def _moments(values: Array, alive: Array, bounds: Array, rounding: float) -> dict[str, Estimate]:
    # About its mean, so that a variance of 1 beside a mean of -10^5 keeps its digits.
    center = np.mean(values[alive])
    x = np.where(alive, values - center, 0.0)

    def features(at: slice) -> dict[str, Array]:
        return {"1": alive[at, None], "x": x[at, None], "xx": x[at, None] ** 2}

    sums = block_sums(features, bounds)

    def mean(s: Sums, _: Array | None) -> Array:
        return s["x"] / s["1"]

    def variance(s: Sums, _: Array | None) -> Array:
        return (s["xx"] - s["x"] ** 2 / s["1"]) / (s["1"] - 1)

    # Logarithms of large norms round as well.
    own = rounding + ROUNDING["float64"] * abs(center)
    about = jackknife(sums, bounds, mean, rounding=own).take(0)
    shifted = replace(about, value=about.value + center)
    deviation = np.std(x[alive])
    of_two = of_products(own, deviation, deviation)
    spread = jackknife(sums, bounds, variance, rounding=of_two).take(0)
    spread = widened_variance(spread, x[alive])
    known = {"log_norm_mean": shifted, "log_norm_variance": spread}
    if spread.reason == Reason.NO_SPREAD or not spread.value > 0:
        return known | {"log_norm_histogram": Estimate.unknown((len(EDGES) - 1,), Reason.NO_SPREAD)}
    without = {name: s.sum(axis=0) - s for name, s in sums.items()}
    shifts, scales = mean(without, None)[:, 0], np.sqrt(variance(without, None))[:, 0]
    shift, scale = about.value, np.sqrt(spread.value)
    living = np.where(alive, x, np.nan)
    law = Empirical(living, bounds)
    fewest = np.minimum(*empirical.networks_in_bins(((living - shift) / scale)[:, None]))
    shares = empirical.histogram(law, shift, scale, shifts, scales)
    shares = shares.doubted(fewest < LEAST_COUNT, Reason.RARE_EVENT, fewest)
    return known | {"log_norm_histogram": shares}


def log_norms(layer: Layer) -> dict[str, Estimate]:
    """The family ``log_norm``."""
    values = layer.maybe("log_norm")
    if values is None:
        values = from_kernel(np.einsum("naa->na", layer.read("kernel")))
    rounding = layer.samples.rounding
    each = [log_norm(values[:, a], layer.bounds, rounding) for a in layer.inputs]
    return {name: stack([one[name] for one in each]) for name in each[0]}
