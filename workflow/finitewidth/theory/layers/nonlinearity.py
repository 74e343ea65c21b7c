"""An activation at infinite width: means over two Gaussian preactivations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.theory.gaussian import closed_forms
from finitewidth.theory.gaussian.expectations import covariance, second_moment
from finitewidth.theory.gaussian.many_pairs import MANY, product_means
from finitewidth.theory.gaussian.slopes import mean_square_slope, slope_covariance
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _nonlinearity(layer: Nonlinearity, before: Kernels, rates: RatesLeft) -> Kernels:
    """<s_r s_s> and <s'_r s'_s> Theta_rs of Gaussian channels; NaN of any other,
    and of what is beyond the range of numbers."""
    if not before.gaussian or not np.isfinite(before.nngp).all():
        nothing, tangents = np.full_like(before.nngp, np.nan), before.tangents
        unknown = None if tangents is None else np.full_like(tangents, np.nan)
        return Kernels(before.shape, nothing, unknown)
    sigma = layer.activation
    squares = _means(before.nngp, sigma, sigma.function, second_moment, covariance)
    if before.tangents is None:
        return Kernels(before.shape, squares)
    slopes = _means(before.nngp, sigma, sigma.derivative, mean_square_slope, slope_covariance)
    return Kernels(before.shape, squares, before.ntk, slopes)


def _means(
    K: np.ndarray, activation: Activation, f: Callable, one: Callable, two: Callable
) -> np.ndarray:
    """Means of products of f for covariances K, (rows, rows); the diagonal by one-dimensional ones.

    ``one`` and ``two`` are those of one and two variables, by closed forms where there are any.
    """
    variance = np.diagonal(K)
    if len(K) >= MANY and closed_forms.find(activation) is None:
        means = product_means(f, K)
        np.fill_diagonal(means, one(activation, variance))
        return means
    means = np.diag(one(activation, variance))
    a, b = np.triu_indices(len(K), 1)
    if len(a):
        means[a, b] = means[b, a] = two(activation, variance[a], variance[b], K[a, b])
    return means
