"""One input, order by order in 1/n: the Markov chain of the conditional variance.

Given layer l, Ghat' = C_b + (C_W/n) sum_j sigma(z_j)^2 with z_j independent N(0, Ghat): a Markov
chain on one number, whose conditional cumulants are m(g) = C_b + C_W <sigma^2>_g, v(g)/n and
t(g)/n^2 with v = C_W^2 Var(sigma^2)_g and t = C_W^3 kappa_3(sigma^2)_g. Expanding m, v, t around
the infinite-width kernel K and taking cumulants of both sides gives closed recursions at each
order. docs/theory.md 6 derives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.powers import power_derivatives
from finitewidth.theory.mlp.kernel import check_layers, overlaps


class SecondOrder(NamedTuple):
    """Cumulants of Ghat in T layers on each of N inputs, (T, N); powers of 1/n are included."""

    K: np.ndarray  #: infinite width
    mean_1: np.ndarray  #: E[Ghat] = K + mean_1 + mean_2
    mean_2: np.ndarray
    variance_1: np.ndarray  #: Var Ghat = variance_1 + variance_2
    variance_2: np.ndarray
    third_2: np.ndarray  #: third cumulant, which begins at order 1/n^2


def second_order(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> SecondOrder:
    """Mean, variance and third cumulant of Ghat up to second order in 1/n, each input alone.

    With e1, e2 the orders of E[Ghat] - K, V1, V2 those of the variance, U the third cumulant, n the
    width of the layer before and ' = d/dK,

    * e1 <- m' e1 + m'' V1/2
    * V1 <- v/n + m'^2 V1
    * U  <- t/n^2 + 3 m' v' V1/n + m'^3 U + 3 m'^2 m'' V1^2
    * e2 <- m' e2 + m'' (V2 + e1^2)/2 + m''' (U + 3 V1 e1)/6 + m'''' V1^2/8
    * V2 <- (v' e1 + v'' V1/2)/n + m'^2 V2 + m' m'' (U + 2 V1 e1) + m''^2 V1^2/2 + m' m''' V1^2

    from zero in layer 1. (First order: PDLT sections 4.3 and 4.5; the rest derived here.)

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal; hidden widths and variances may differ from layer to layer.
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Raises
    ------
    ValueError
        If the weights are not normal, a layer is not between 1 and the depth, or x has another
        shape.
    """
    if mlp.weights != "normal":
        raise ValueError("second order in 1/n is for normal weights")
    layers = check_layers(mlp, layers)
    K = mlp.C_b[0] + mlp.C_W[0] * np.diagonal(overlaps(x))
    state = SecondOrder(K, *(np.zeros_like(K) for _ in range(5)))
    wanted = {}
    for layer in range(1, max(layers) + 1):
        if layer > 1:
            C_b, C_W, n = mlp.C_b[layer - 1], mlp.C_W[layer - 1], mlp.widths[layer - 1]
            state = _next(mlp.activation, state, C_b, C_W, n)
        if layer in layers:
            wanted[layer] = state
    return SecondOrder(*(np.stack(x) for x in zip(*(wanted[k] for k in layers), strict=True)))


def _next(
    activation: Activation, state: SecondOrder, C_b: float, C_W: float, n: int
) -> SecondOrder:
    K, e1, e2, V1, V2, U = state
    m, m1, m2, m3, m4 = C_W * power_derivatives(activation, K, 2, 4)
    v, v1, v2, t = local_cumulants(activation, K, C_W)
    return SecondOrder(
        C_b + m,
        m1 * e1 + m2 * V1 / 2,
        m1 * e2 + m2 * (V2 + e1**2) / 2 + m3 * (U + 3 * V1 * e1) / 6 + m4 * V1**2 / 8,
        v / n + m1**2 * V1,
        (v1 * e1 + v2 * V1 / 2) / n
        + m1**2 * V2
        + m1 * m2 * (U + 2 * V1 * e1)
        + m2**2 * V1**2 / 2
        + m1 * m3 * V1**2,
        t / n**2 + 3 * m1 * v1 * V1 / n + m1**3 * U + 3 * m1**2 * m2 * V1**2,
    )


def local_cumulants(activation: Activation, K: np.ndarray, C_W: float) -> tuple[np.ndarray, ...]:
    """v = C_W^2 Var(sigma^2)_K, its first two derivatives, and t = C_W^3 kappa_3(sigma^2)_K.

    Each of the shape of ``K``.
    """
    a, a1, a2 = power_derivatives(activation, K, 2, 2)
    b, b1, b2 = power_derivatives(activation, K, 4, 2)
    c = power_derivatives(activation, K, 6, 0)[0]
    v = C_W**2 * (b - a**2)
    v1 = C_W**2 * (b1 - 2 * a * a1)
    v2 = C_W**2 * (b2 - 2 * a1**2 - 2 * a * a2)
    return v, v1, v2, C_W**3 * (c - 3 * b * a + 2 * a**3)
