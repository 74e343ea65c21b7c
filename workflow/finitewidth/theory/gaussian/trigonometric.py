"""Moments of sin(z) and cos(z): products of trigonometric functions are sums of exponentials.

<exp(i s.z)> = exp(-s.K s/2), so that every moment is a finite sum, whatever the matrix K. Where K
is small the terms for the sine nearly cancel; there the same sum is written in products of
hyperbolic functions of one sign.
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np

NAMES = ("sin", "cos")

# Up to this sum of covariances hyperbolic functions neither overflow nor cancel to speak of.
_SMALL = 4.0


def power(name: str, order: int, K: np.ndarray) -> np.ndarray:
    """<sin(z)^order> or <cos(z)^order> for z ~ N(0, K): shape of K.

    The sum over binomial coefficients; for the sine it loses digits where K is small, as the
    value is of order K^(order/2) and the terms are of order 1.
    """
    K = np.asarray(K, dtype=float)
    if name == "sin" and order % 2:
        return np.zeros_like(K)
    k = np.arange(order + 1)
    sign = (-1.0) ** (order // 2 - k) if name == "sin" else np.ones(order + 1)
    return (
        np.exp(-((order - 2 * k) ** 2) / 2 * K[..., None])
        @ (sign * np.array([comb(order, j) for j in k], dtype=float))
        / 2.0**order
    )


def quartic(name: str, K: np.ndarray) -> np.ndarray:
    """<s_1 s_2 s_3 s_4> with s the sine or the cosine of z ~ N(0, K), for K (M, 4, 4): shape (M,).

    Any two of the four may be the same variable.
    """
    off = [(0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2)]
    size = sum(np.abs(K[:, a, b]) for a, b in off)
    # Both forms are cheap; which one is kept is chosen number by number.
    return np.where(size <= _SMALL, _hyperbolic(name, K, size), _exponentials(name, K))


def _exponentials(name: str, K: np.ndarray) -> np.ndarray:
    """The sum over the 8 choices of relative signs, none of whose terms exceeds 1."""
    total = np.zeros(len(K))
    for rest in product((1.0, -1.0), repeat=3):
        s = np.array([1.0, *rest])
        term = np.exp(-np.einsum("a,b,mab->m", s, s, K) / 2)
        total += (np.prod(s) if name == "sin" else 1.0) * term
    return total / 8


def _hyperbolic(name: str, K: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The same sum, the differences of hyperbolic cosines written as products of sines."""
    K = np.where((size <= _SMALL)[:, None, None], K, 0.0)
    one = np.stack([K[:, 0, 1], K[:, 0, 2], K[:, 0, 3]])
    two = np.stack([K[:, 2, 3], K[:, 1, 3], K[:, 1, 2]])
    plus, minus = one + two, one - two
    cp, cm = np.cosh(plus), np.cosh(minus)
    odd = np.sinh(plus).prod(axis=0)
    rest = np.sinh(minus).prod(axis=0)
    if name == "cos":
        even = cp.prod(axis=0) + cm.prod(axis=0) - odd + rest
    else:
        gap = 2 * np.sinh(one) * np.sinh(two)
        even = gap[0] * cp[1] * cp[2] + cm[0] * gap[1] * cp[2] + cm[0] * cm[1] * gap[2] - odd - rest
    return np.exp(-np.einsum("maa->m", K) / 2) * even / 2
