"""Logarithms of volumes: all singular values of a product of Gaussian matrices together.

A Gaussian matrix does to the volume of an r-dimensional body what r chi variables do, whatever the
body is: of variance C_W/fan-in and m rows, chi^2 of m, m - 1, ..., m - r + 1 degrees of freedom
(Newman, Commun. Math. Phys. 103, 121, 1986). A layer of fewer neurons than directions is met by the
transposed matrix, so that each matrix counts the dimension on the side away from the narrowest.

An activation that passes one sign alone takes rows away. Signs of neurons are independent of all
that volumes are made of: turned by a random diagonal matrix of signs, weights of both sides of a
layer keep their law. So the number of rows left is binomial.
"""

from __future__ import annotations

import numpy as np
from scipy.special import polygamma, psi

from finitewidth.models.perceptron import Perceptron

#: Where fewer networks have full rank it is not known.
_LEAST_CHANCE = 0.5


def log_volumes(mlp: Perceptron, layers: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of (1/r) sum of the logarithms of the r singular values of dz_l/dx.

    Parameters
    ----------
    mlp : Perceptron
        Linear, or of one sign alone (as ReLU); of normal weights.
    layers : list of int

    Returns
    -------
    (ndarray, ndarray), shape (layers,)
        Of networks of full rank, r = min(n_0, ..., n_l); NaN where fewer than half of them are, or
        of another activation.
    """
    told = [_of_layer(mlp, layer) for layer in layers]
    return np.array([m for m, _ in told]), np.array([v for _, v in told])


def _of_layer(mlp: Perceptron, layer: int) -> tuple[float, float]:
    pair = mlp.activation.slope_pair if mlp.activation.slopes is not None else (0.0, 0.0)
    slopes = {abs(float(a)) for a in pair}
    slope, widths = max(slopes), mlp.widths[: layer + 1]
    one_sign = len(slopes) == 2 and min(slopes) == 0
    if slope == 0 or (len(slopes) == 2 and not one_sign) or mlp.weights != "normal":
        return np.nan, np.nan
    if not all(mlp.C_W[:layer]):
        return np.nan, np.nan
    # It takes a second to import.
    from scipy.stats import binom

    rank, narrowest = min(widths), int(np.argmin(widths))
    mean, variance, chance = (layer - 1) * np.log(slope), 0.0, 1.0
    for fan_in, C_W in zip(widths[:-1], mlp.C_W[:layer], strict=True):
        mean += 0.5 * np.log(C_W / fan_in)
    for number, width in enumerate(widths):
        gated = one_sign and 0 < number < layer
        sizes = np.arange(rank, width + 1) if gated else np.array([width])
        weights = binom.pmf(sizes, width, 0.5) if gated else np.ones(1)
        chance *= weights.sum()
        if number == narrowest:
            continue
        freedom = (sizes[:, None] - np.arange(rank)) / 2
        means = np.mean(0.5 * (np.log(2) + psi(freedom)), axis=1)
        spreads = np.sum(0.25 * polygamma(1, freedom), axis=1) / rank**2
        weights = weights / weights.sum()
        here = weights @ means
        mean += here
        variance += weights @ (spreads + (means - here) ** 2)
    return (mean, variance) if chance >= _LEAST_CHANCE else (np.nan, np.nan)
