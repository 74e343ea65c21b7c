"""First order in 1/n of the tangent kernel on one input: the fluctuations of Theta, and the dNTK.

Given layer l, the NTK of layer l+1 is made of means over n neurons of s^2 and of s'^2 times the NTK
of layer l. What these fluctuate by, to first order, and how the fluctuations of layer l go through
them, are the recursions below (PDLT chapters 8 and 11; docs/theory.md 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.tangent_moments import TangentMoments, tangent_moments
from finitewidth.theory.mlp.kernel import overlaps, variances
from finitewidth.theory.mlp_ntk.infinite_width_ntk import check_rates


class NTKChain(NamedTuple):
    """Of T layers on each of N inputs, (T, N); all but K and Theta hold their power of 1/n.

    Ghat is the variance of a neuron given the layer before, z one of its neurons, Theta_ij the NTK
    of neurons i and j, all at one input; i != j.
    """

    K: np.ndarray  #: E[Ghat] at infinite width
    V: np.ndarray  #: Var Ghat
    G1: np.ndarray  #: E[Ghat] - K
    Theta: np.ndarray  #: E[Theta_ii] at infinite width
    A: np.ndarray  #: Cov(Theta_ii, Theta_jj)
    B: np.ndarray  #: E[Theta_ij^2]
    D: np.ndarray  #: Cov(Ghat, Theta_ii)
    F: np.ndarray  #: E[z_i z_j Theta_ij]
    H1: np.ndarray  #: E[Theta_ii] - Theta
    P: np.ndarray  #: E[dH_ijj z_i], dH_ijk = sum lambda lambda' d^2z_i/dmu dnu dz_j/dmu dz_k/dnu
    Q: np.ndarray  #: E[dH_iij z_j]


def first_order(
    mlp: Perceptron, rates: LearningRates, x: np.ndarray, layers: Sequence[int]
) -> NTKChain:
    """All tensors of :class:`NTKChain`, to first order in 1/n, each input alone.

    To this order Var Theta_ii = A + 2B. Each hidden width has its own 1/n. What leaves the range of
    floats, or is made of what does, is inf or NaN.

    Parameters
    ----------
    mlp : Perceptron
        Any activation of two slopes or smooth; weights must be normal.
    rates : LearningRates
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Raises
    ------
    ValueError
        If the weights are not normal, the rates are for another depth, a layer is not between 1 and
        the depth, x has another shape, or the activation has a kink and is not of two slopes.
    """
    layers = check_rates(mlp, rates, layers)
    depth = max(layers)
    K = variances(mlp, x, range(1, depth + 1))
    means = tangent_moments(mlp.activation, K[:-1])
    zero = np.zeros(K.shape[1])
    theta = rates.lambda_b[0] + rates.lambda_W[0] * np.diagonal(overlaps(x))
    state = NTKChain(K[0], zero, zero, theta, *[zero] * 7)
    wanted = {1: state}
    for k in range(1, depth):
        local = TangentMoments(*(mean[k - 1] for mean in means))
        rate = rates.lambda_b[k], rates.lambda_W[k]
        with np.errstate(over="ignore", invalid="ignore"):
            state = _next(state, local, K[k], mlp.C_W[k], rate, mlp.widths[k])
        if k + 1 in layers:
            wanted[k + 1] = state
    return NTKChain(*(np.stack(x) for x in zip(*(wanted[k] for k in layers), strict=True)))


def _next(
    state: NTKChain,
    means: TangentMoments,
    K_next: np.ndarray,
    C_W: float,
    rate: tuple[float, float],
    n: int,
) -> NTKChain:
    """The tensors of the next layer; ``means`` are over z ~ N(0, K) of this one."""
    _, V, G1, theta, A, B, D, F, H1, P, Q = state
    s2, d2, v_ss, v_sd, v_dd, S2, S4, T2, T4, curved = means
    lambda_b, lambda_W = rate
    pull = C_W * theta
    # Half the second, an eighth of the fourth derivatives of lambda_W s^2 + C_W Theta s'^2.
    first, second = (lambda_W * S2 + pull * T2) / 2, (lambda_W * S4 + pull * T4) / 8
    chi, grow = C_W * d2, C_W * S2 / 2
    local = lambda_W**2 * v_ss + 2 * lambda_W * pull * v_sd + pull**2 * v_dd
    F_over = C_W * ((v_sd + s2 * d2) * theta / n + (S2 / 2) ** 2 * F)
    bend = C_W**2 * curved * theta**2 / n
    return NTKChain(
        K_next,
        C_W**2 * v_ss / n + grow**2 * V,
        grow * G1 + C_W * S4 / 8 * V,
        lambda_b + lambda_W * s2 + chi * theta,
        local / n + first**2 * V + 2 * first * chi * D + chi**2 * A,
        pull**2 * (v_dd + d2**2) / n + chi**2 * B,
        C_W * (lambda_W * v_ss + pull * v_sd) / n + grow * first * V + grow * chi * D,
        C_W * F_over,
        first * G1 + second * V + chi * H1 + C_W * T2 * (D / 2 + F),
        bend + chi * (C_W * (S2 / 2 - d2) * B + grow * P),
        lambda_W * F_over + bend + C_W * pull * (T2 / 2) * (S2 / 2) * F + chi * grow * Q,
    )
