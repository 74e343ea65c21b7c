"""The exact density of one preactivation of a deep linear network: a Meijer G function.

Evaluated by its own Mellin-Barnes integral, so that it shares nothing with the Fourier inversion of
:mod:`finitewidth.theory.distributions.scale_invariant` and keeps its relative precision far into
the tails.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from finitewidth.models.perceptron import Perceptron


def deep_linear_density(z: ArrayLike, mlp: Perceptron, layer: int, norm2: float) -> np.ndarray:
    """Density p(z) of z^(layer), linear network without bias, normal weights, one input.

    p(z) = G^{L,0}_{0,L}(z^2/C | -; 0, (n_1 - 1)/2, ..., (n_{L-1} - 1)/2) / normalisation, with
    L = layer and C = 2 E[z^2] prod 2/n_k (Zavatone-Veth and Pehlevan 2021).

    Parameters
    ----------
    z : array_like, shape (...)
    mlp : Perceptron
    layer : int
    norm2 : float
        |x|^2/n_0 > 0.

    Returns
    -------
    ndarray, shape (...)
        inf at z = 0 if a hidden layer has one neuron.

    Raises
    ------
    ValueError
        If the network is not linear, has a bias or other than normal weights, if there is no such
        layer, or if norm2 is not positive.
    """
    if not (mlp.activation.is_linear and not any(mlp.C_b) and mlp.weights == "normal"):
        raise ValueError("the density is that of linear networks, normal weights and no bias")
    if not 1 <= layer <= mlp.depth:
        raise ValueError(f"layers are numbered from 1 to {mlp.depth}, not {layer}")
    if not norm2 > 0:
        raise ValueError("the input must not be zero")
    hidden = np.array(mlp.widths[1:layer], dtype=float)
    log_G = np.log(norm2) + np.sum(np.log(mlp.C_W[:layer]))
    log_C = np.log(2) + log_G + np.sum(np.log(2 / hidden))
    log_norm = log_C / 2 + special.gammaln(0.5) + special.gammaln(hidden / 2).sum()
    orders, counts = np.unique(np.append((hidden - 1) / 2, 0.0), return_counts=True)
    z = np.asarray(z, dtype=float)
    with np.errstate(divide="ignore"):
        log_x = 2 * np.log(np.abs(z)) - log_C
    values = [_meijer(v, orders, counts, log_norm) for v in log_x.ravel()]
    return np.array(values).reshape(z.shape)


def _meijer(log_x: float, orders: np.ndarray, counts: np.ndarray, log_norm: float) -> float:
    """G(x | -; orders) / norm by the integral along Re s = c of x^-s prod Gamma(order + s)."""
    if log_x == np.inf:
        return 0.0
    if log_x == -np.inf:
        if counts[0] > 1:
            return np.inf
        return float(np.exp(counts[1:] @ special.gammaln(orders[1:]) - log_norm))
    c = max(_saddle(log_x, orders, counts), 0.25)
    start = _exponent(np.array([c + 0j]), log_x, orders, counts)[0].real
    # The trapezoidal error is exp(-2 pi c/h), c the distance of the pole at 0; and c, large
    # far in the tail, must not outgrow the width of the integrand, hence the second bound.
    width = 1 / np.sqrt(counts @ special.polygamma(1, orders + c))
    h = min(2 * np.pi * c / 37, width / 4)
    t, terms = 0.0, []
    while True:
        s = c + 1j * (t + h * np.arange(256))
        block = _exponent(s, log_x, orders, counts) - start
        terms.append(np.exp(block).real)
        if block[-1].real < -37:
            break
        t += 256 * h
    integral = h * (2 * np.concatenate(terms).sum() - 1) / (2 * np.pi)
    return float(max(integral, 0.0) * np.exp(start - log_norm))


def _exponent(s: np.ndarray, log_x: float, orders: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return special.loggamma(orders + s[:, None]) @ counts - s * log_x


def _saddle(log_x: float, orders: np.ndarray, counts: np.ndarray) -> float:
    """The real c > 0 where the integrand is smallest: sum of digamma(order + c) = log x."""
    low, high = 1e-3, 1.0
    while counts @ special.digamma(orders + high) < log_x:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        if counts @ special.digamma(orders + middle) < log_x:
            low = middle
        else:
            high = middle
    return high
