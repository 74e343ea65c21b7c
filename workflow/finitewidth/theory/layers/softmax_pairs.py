"""Means over the softmax of two tokens: of one Gaussian number a row, the difference of logits.

P_t = (p, 1 - p) with p = 1/(1 + exp(-d_t)), Cov(d_t, d_t') = Kq_tt' kappa, kappa the covariance of
differences of keys. So all means are those of pairs of one activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finitewidth.models.activations.table import get
from finitewidth.theory.gaussian.expectations import covariance, second_moment
from finitewidth.theory.gaussian.slopes import mean_square_slope, slope_covariance

if TYPE_CHECKING:
    from finitewidth.theory.layers.attention import Parts


def of_two(parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    """As :func:`~finitewidth.theory.layers.attention.means`, for inputs of two tokens."""
    sigma, rows = get("sigmoid"), len(parts.q)
    C = parts.q * differences(parts.k)
    variance, (a, b) = np.diagonal(C), np.triu_indices(rows, 1)

    def on_rows(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        found = np.diag(one)
        found[a, b] = found[b, a] = two
        return found

    pairs = variance[a], variance[b], C[a, b]
    # p - 1/2, whose mean is 0, and where a token sees itself alone, 1/2.
    products = on_rows(second_moment(sigma, variance), covariance(sigma, *pairs)) - 0.25
    slopes = on_rows(mean_square_slope(sigma, variance), slope_covariance(sigma, *pairs))
    fixed = parts.causal & (np.arange(rows) % 2 == 0)
    single = np.where(fixed, 0.5, 0.0)
    products[fixed], products[:, fixed] = single / 2, single[:, None] / 2
    slopes[fixed], slopes[:, fixed] = 0.0, 0.0
    mixed = _mixed(parts.v, single, products)
    of = parts.tangents
    if of is None:
        return mixed, None
    of_logits = of.q * differences(parts.k) + parts.q * differences(of.k)
    return mixed, _mixed(of.v, single, products) + slopes * differences(parts.v) * of_logits


def _mixed(X: np.ndarray, single: np.ndarray, products: np.ndarray) -> np.ndarray:
    """M[X], with P = (1, 1)/2 + r (1, -1): ``single`` are means of r, ``products`` of two of them.

    Where one of two rows is fixed its product is r times the mean of the other.
    """
    total = _signed(X, (1, 1), (1, 1)) / 4 + products * _signed(X, (1, -1), (1, -1))
    total += single[:, None] * _signed(X, (1, -1), (1, 1)) / 2
    return total + single * _signed(X, (1, 1), (1, -1)) / 2


def differences(X: np.ndarray) -> np.ndarray:
    """Covariances of differences of the two tokens of inputs, on their rows: (rows, rows)."""
    return _signed(X, (1, -1), (1, -1))


def _signed(X: np.ndarray, left: tuple[int, int], right: tuple[int, int]) -> np.ndarray:
    inputs = X.shape[-1] // 2
    each = X.reshape(*X.shape[:-2], inputs, 2, inputs, 2)
    by_input = np.einsum("...asbt,s,t->...ab", each, left, right)
    return by_input.repeat(2, axis=-2).repeat(2, axis=-1)
