"""The distribution of preactivations in units of their own root mean square."""

from __future__ import annotations

import numpy as np

from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors import empirical
from finitewidth.estimate.errors.empirical import LEAST_COUNT, Empirical
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, from_replicates, stack
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.preactivations.pooled import root_mean_square

Array = np.ndarray


def distribution(z: Array, kernel: Array, bounds: Array) -> tuple[Estimate, Estimate] | None:
    """Histogram and quantiles of z/sqrt(G), G = E[z^2] estimated from all neurons.

    Errors count that of G, a quarter of the whole in deep, narrow networks. The error of a quantile
    follows from that of the probability below it by the slope of the empirical quantile function
    over two standard errors (Woodruff 1952, Journal of the American Statistical Association 47,
    635): leaving out blocks directly would resolve single order statistics.

    Parameters
    ----------
    z : array, shape (network, neuron)
        Recorded preactivations at one input.
    kernel : array, shape (network,)
        Mean of z^2 over all neurons of the network.
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    tuple of Estimate, of shapes (bin,) and (probability,), or None
        None where z or the kernel left the range of its floating-point type, or all are zero.
        Fewer than ``LEAST_COUNT`` networks inside (or outside) a bin, or below (or above) a
        quantile, make it untrusted.
    """
    unit = root_mean_square(kernel[:, None])[0]
    # The range of z's own type: beside its smallest numbers digits are lost.
    if not unit > 1e4 * np.finfo(z.dtype).tiny or not np.all(np.isfinite(z)) or not kernel.any():
        return None
    sums = block_sums(lambda at: {"k": kernel[at, None] / unit**2}, bounds)["k"][:, 0]
    # unit**2 is the mean of the kernel, so in these units G is 1.
    scales = np.sqrt((sums.sum() - sums) / (bounds[-1] - np.diff(bounds)))
    x = z / unit
    law = Empirical(x, bounds)
    fewest = np.minimum(*empirical.networks_in_bins(x))
    shifts = np.zeros_like(scales)
    return (
        empirical.histogram(law, 0.0, 1.0, shifts, scales).doubted(
            fewest < LEAST_COUNT, Reason.RARE_EVENT, fewest
        ),
        _quantiles(x, law, scales),
    )


def _quantiles(x: Array, law: Empirical, scales: Array) -> Estimate:
    value = law.quantile(PROBABILITIES)
    change = law.below_without(value) - law.below(value)
    zero = np.zeros_like(value)
    # Where nothing changes there is no error, and the step is that of one number.
    step = np.fmax(from_replicates(zero, change, law.bounds).stderr, 1 / law.count)
    low, high = np.clip(PROBABILITIES - step, 0, 1), np.clip(PROBABILITIES + step, 0, 1)
    slope = (law.quantile(high) - law.quantile(low)) / (high - low)
    without = (value - slope * change) / scales[:, None]
    least, most = np.sort(x.min(axis=1)), np.sort(x.max(axis=1))
    below = np.searchsorted(least, value)
    above = len(x) - np.searchsorted(most, value, side="right")
    fewest = np.minimum(below, above)
    found = from_replicates(value, without, law.bounds, events=True)
    return found.doubted(fewest < LEAST_COUNT, Reason.RARE_EVENT, fewest)


def distributions(layer: Layer) -> dict[str, Estimate]:
    """The family ``distribution``."""
    sizes = len(EDGES) - 1, len(PROBABILITIES)
    unknown = [Estimate.unknown((size,), Reason.NOT_FINITE) for size in sizes]
    kernel = layer.pooled.kernel
    each = [distribution(layer.z[:, a], kernel[:, a, a], layer.bounds) for a in layer.inputs]
    histograms, quantiles = zip(*(one or unknown for one in each), strict=True)
    return {"histogram": stack(histograms), "quantile": stack(quantiles)}
