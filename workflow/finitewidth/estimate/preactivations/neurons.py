"""Covariances between recorded neurons, each estimated about the known mean zero: unbiased."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.errors.jackknife import Estimate, Sums, block_sums, jackknife
from finitewidth.estimate.errors.look_ahead import THIN_SQUARES, doubt_unseen, skewness_ahead
from finitewidth.estimate.preactivations import moments
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.preactivations.pooled import (
    product_of_scales,
    root_mean_square,
    symmetric_places,
)

Array = np.ndarray


def neuron_covariance(z: Array, bounds: Array) -> Estimate:
    """E[z_ia z_jb], shape (neuron, neuron, input, input).

    Parameters
    ----------
    z : array, shape (network, input, neuron)
        Preactivations of the neurons wanted.
    bounds : array of int, shape (block + 1,)
    """
    inputs, neurons = z.shape[1:]
    scale = _scale(z)

    def features(at: slice) -> dict[str, Array]:
        flat = (z[at] / scale[:, None]).reshape(-1, inputs * neurons)
        return {"zz": flat[:, first] * flat[:, second]}

    first, second = np.triu_indices(inputs * neurons)
    result = _mean(features, z, bounds)
    # Squares of one neuron have a long tail; products of two have tails of either sign, and cancel.
    ahead = np.mean(skewness_ahead(np.asarray(z, float) ** 2, 1, THIN_SQUARES), axis=1)
    worse = np.maximum(ahead[first // neurons], ahead[second // neurons])
    result = doubt_unseen(result, np.where((second - first) % neurons == 0, worse, 0.0))
    # The matrix over (input, neuron) twice, as (neuron, neuron, input, input).
    places = symmetric_places(first, second).reshape(inputs, neurons, inputs, neurons)
    grid = np.moveaxis(np.indices((inputs, inputs)), 0, -1)
    return result.take(places.transpose(1, 3, 0, 2)).times(product_of_scales(scale, grid))


def cross_covariance(z: Array, bounds: Array) -> Estimate:
    """E[z_ia z_jb] pooled over i != j, shape (input, input); NaN with fewer than two neurons.

    The sum over i != j is the product of the two sums over neurons less the sum of the products.

    Parameters
    ----------
    z : array, shape (network, input, neuron)
        All the recorded preactivations.
    bounds : array of int, shape (block + 1,)
    """
    inputs, neurons = z.shape[1:]
    if neurons < 2:
        return Estimate.unknown((inputs, inputs), Reason.TOO_NARROW, neurons)
    scale = _scale(z)
    a, b = pairs(inputs).T

    def features(at: slice) -> dict[str, Array]:
        x = z[at] / scale[:, None]
        total = x.sum(axis=2)
        same = np.stack([(x[:, i] * x[:, j]).sum(axis=1) for i, j in pairs(inputs)], axis=1)
        return {"zz": (total[:, a] * total[:, b] - same) / (neurons * (neurons - 1))}

    result = _mean(features, z, bounds)
    return result.times(product_of_scales(scale, pairs(inputs))).take(symmetric_places(a, b))


def _mean(features: Callable[[slice], Sums], z: Array, bounds: Array) -> Estimate:
    """Mean over networks of ``zz`` among the features, known to the precision of ``z``."""
    rounding = ROUNDING["float32" if z.dtype == np.float32 else "float64"]
    sums = block_sums(features, bounds)
    return jackknife(sums, bounds, lambda s, count: s["zz"] / count, rounding=rounding)


def _scale(z: Array) -> Array:
    """Root mean square of each input over networks and neurons, shape (input,).

    NaN near the smallest number of z's own floating-point type, where digits are lost.
    """
    with np.errstate(all="ignore"):
        scale = root_mean_square(np.mean(np.square(z, dtype=float), axis=2))
        return np.where(scale > 1e4 * np.finfo(z.dtype).tiny, scale, np.nan)


def covariances(layer: Layer) -> dict[str, Estimate]:
    """The family ``covariance``."""
    return {
        "covariance": moments.covariance(layer.pooled),
        "neuron_covariance": neuron_covariance(layer.z[..., : layer.neurons], layer.bounds),
        "cross_covariance": cross_covariance(layer.z, layer.bounds),
    }
