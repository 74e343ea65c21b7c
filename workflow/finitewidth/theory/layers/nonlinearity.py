"""An activation at infinite width: means over two Gaussian preactivations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.theory.gaussian.expectations import covariance, second_moment
from finitewidth.theory.gaussian.slopes import mean_square_slope, slope_covariance
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _nonlinearity(layer: Nonlinearity, before: Kernels, rates: RatesLeft) -> Kernels:
    """<s_r s_s> and <s'_r s'_s> Theta_rs."""
    squares = _means(before.nngp, layer, second_moment, covariance)
    if before.tangents is None:
        return Kernels(before.shape, squares)
    slopes = _means(before.nngp, layer, mean_square_slope, slope_covariance)
    return Kernels(before.shape, squares, before.ntk, slopes)


def _means(K: np.ndarray, layer: Nonlinearity, one: Callable, two: Callable) -> np.ndarray:
    """Means of products for covariances K, (rows, rows); the diagonal by one-dimensional ones."""
    variance = np.diagonal(K)
    means = np.diag(one(layer.activation, variance))
    a, b = np.triu_indices(len(K), 1)
    if len(a):
        means[a, b] = means[b, a] = two(layer.activation, variance[a], variance[b], K[a, b])
    return means
