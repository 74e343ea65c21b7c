"""Finite-width moments of two-slope networks expanded: in 1/n, and for depth and width together.

Each input stands alone; notation as in :mod:`finitewidth.theory.mlp.exact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import check_layers
from finitewidth.theory.mlp.mean_squares import (
    first_layer_cumulant,
    growth,
    require_slopes,
    shares,
    square_cumulants,
)


class LeadingOrder(NamedTuple):
    """First non-trivial orders, each of shape (len(layers), N)."""

    four_point: np.ndarray  #: Var(Ghat)/G^2, order 1/n
    kurtosis: np.ndarray  #: E[z^4]/G^2 - 3, orders 1 and 1/n together
    kurtosis_infinite: np.ndarray  #: its order 1: zero unless the biases are not Gaussian
    six_point: np.ndarray  #: kappa_3(Ghat)/G^3, order 1/n^2; NaN unless the weights are normal
    four_point_second: np.ndarray  #: order 1/n^2 of Var(Ghat)/G^2; NaN as the six-point ratio


def leading_order(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> LeadingOrder:
    """The first non-trivial order in 1/n of four-point, kurtosis and six-point ratios.

    The expansion of the exact recursions at fixed depth, C_b and C_W, for every symmetric law of
    the weights (PDLT section 4.3 for normal ones); for normal weights also the second order of the
    four-point ratio.

    Raises
    ------
    ValueError
        As :func:`finitewidth.theory.mlp.mean_squares.log_mean_square`.
    """
    require_slopes(mlp)
    layers = check_layers(mlp, layers)
    kurtosis, spread = mlp.excess_kurtosis, (growth(mlp) + 1) / 3
    c, k3, _ = square_cumulants(mlp.activation.slope_pair)
    four = second = six = np.zeros(len(x))
    infinite = first = first_layer_cumulant(mlp, x)
    found = {}
    for layer, w, n in shares(mlp, x, max(layers)):
        if layer > 1:
            local = w**2 * spread * (3 + infinite) / n
            six = w**3 * (six + 6 * c * four / n + k3 / n**2)
            second = w**2 * (second + c * four / n)
            four = w**2 * (four - 1 / n) + local
            infinite = kurtosis * (1 - w) ** 2
            first = infinite + 3 * four + kurtosis * local
        if layer in layers:
            found[layer] = four, first, infinite, six, second
    four, first, infinite, six, second = (
        np.stack(parts) for parts in zip(*(found[layer] for layer in layers), strict=True)
    )
    if kurtosis != 0:
        six = second = np.full_like(six, np.nan)
    return LeadingOrder(four, first, infinite, six, second)


def log_growth(mlp: Perceptron, layers: Sequence[int]) -> np.ndarray:
    """c tau, tau the sum of 1/n over the hidden layers before each: shape (len(layers),).

    In the limit of depth and width together log(Ghat/G) is normal with variance c tau and mean
    -c tau/2, for every scale-invariant network without bias (Hanin and Nica 2018), so that
    E[Ghat^k]/G^k = exp(c tau k (k - 1)/2).
    """
    tau = np.concatenate([[0.0], np.cumsum(1 / np.array(mlp.widths[1:-1], dtype=float))])
    return growth(mlp) * tau[np.array(check_layers(mlp, layers)) - 1]
