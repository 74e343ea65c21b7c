"""Means of products of four derivatives of an activation: by quadrature, or by quasi-random points.

Quadrature is exact and for three inputs at most. Points are for any number of inputs; the spread
between sets of points that are scrambled apart tells how far off their means are.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.factor_products import (
    Orders,
    factor_products,
    joined,
    products_of_two,
)
from finitewidth.theory.gaussian.four_factors import FourMeans, four_means
from finitewidth.theory.gaussian.trapezoidal import pivoted_cholesky

#: Points of a set, each taken with both signs.
POINTS = 2**10
#: Of :class:`FourMeans`, the orders of each field.
_FIELDS = ((0, 0, 0, 0), (0, 0, 1, 1), (1, 1, 1, 1), (2, 0, 1, 1))


class FactorMeans(Protocol):
    """A way to take means over z ~ N(0, K), K of shape (N, N)."""

    def four(self, activation: Activation, K: np.ndarray) -> FourMeans:
        """As :func:`finitewidth.theory.gaussian.four_factors.four_means`."""

    def products(
        self, activation: Activation, K: np.ndarray, wanted: Collection[Orders]
    ) -> dict[Orders, np.ndarray]:
        """As :func:`finitewidth.theory.gaussian.factor_products.factor_products`."""


class Quadrature:
    """Grids and closed forms, of three inputs at most."""

    def four(self, activation: Activation, K: np.ndarray) -> FourMeans:
        return four_means(activation, K)

    def products(
        self, activation: Activation, K: np.ndarray, wanted: Collection[Orders]
    ) -> dict[Orders, np.ndarray]:
        return factor_products(activation, K, wanted)


class QuasiRandom:
    """Means over one set of points (Sobol 1967, scrambled as Owen 1998 does).

    Parameters
    ----------
    inputs : int
        N, of all kernels to come.
    scramble : int
        Of two numbers the sets are independent.
    """

    def __init__(self, inputs: int, scramble: int, points: int = POINTS):
        from scipy.special import ndtri
        from scipy.stats import qmc

        uniform = qmc.Sobol(inputs, rng=np.random.default_rng([0x54AB, scramble])).random(points)
        # What is odd in z cancels.
        u = ndtri(np.clip(uniform.T, 1e-16, 1 - 1e-16))
        self._u = np.concatenate([u, -u], axis=1)

    def four(self, activation: Activation, K: np.ndarray) -> FourMeans:
        # Less their values at 0, so that covariances do not cancel where K is small.
        s = self._jet(activation, K)
        two = products_of_two(s, _FIELDS)
        at_0 = activation.jet(np.zeros(()))[:2] ** 2
        shifted = dict(two)
        for p in (0, 1):
            shifted[p, p] = two[p, p] - at_0[p]
        mean = {pair: values.mean(axis=-1) for pair, values in shifted.items()}
        found = joined(shifted, 1 / s.shape[-1], _FIELDS)
        squares, mixed, slopes = (
            found[orders] - np.multiply.outer(mean[orders[:2]], mean[orders[2:]])
            for orders in _FIELDS[:3]
        )
        curved = found[_FIELDS[3]] + at_0[1] * mean[2, 0][..., None, None]
        # <s''_a s_d s'_b s'_c> has its inputs in the order a, b, c, d.
        return FourMeans(squares, mixed, slopes, curved.transpose(0, 2, 3, 1))

    def products(
        self, activation: Activation, K: np.ndarray, wanted: Collection[Orders]
    ) -> dict[Orders, np.ndarray]:
        s = self._jet(activation, K)
        return joined(products_of_two(s, wanted), 1 / s.shape[-1], wanted)

    def _jet(self, activation: Activation, K: np.ndarray) -> np.ndarray:
        L, order = pivoted_cholesky(K)
        return activation.jet((L @ self._u)[np.argsort(order)])
