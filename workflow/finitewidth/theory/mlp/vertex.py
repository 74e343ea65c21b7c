"""First order in 1/n on several inputs: the layer-to-layer recursions of V and G^{1}.

The conditional covariance of the next layer, Ghat' = C_b + (C_W/n) sum_j s_j s_j, is a mean over n
neurons that are independent given Ghat. Its covariance is what one neuron's fluctuations add, plus
what the function F_ab(K) = C_b + C_W <s_a s_b>_K makes of the fluctuations of Ghat; its mean is off
F(K) by the curvature of F (PDLT sections 4.3 and 4.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import pairs, quad_positions
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.covariance_derivatives import (
    pair_derivatives,
    variance_derivatives,
)
from finitewidth.theory.gaussian.four_activations import quartic
from finitewidth.theory.mlp.kernel import check_layers, log_gain, overlaps

# 1 - |correlation| under which two inputs are one: the rounding of a correlation, with room.
_SAME = 1e-13


class FirstOrder(NamedTuple):
    """The tensors of T layers and N inputs; V and G1 hold their power of 1/n."""

    K: np.ndarray  #: (T, N, N), infinite width
    V: np.ndarray  #: (T, N, N, N, N), Cov(Ghat_ab, Ghat_cd) to order 1/n
    G1: np.ndarray  #: (T, N, N), E[Ghat] - K to order 1/n


def first_order(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> FirstOrder:
    """K, V and G1 of the wanted layers, each hidden width with its own 1/n.

    Over unordered pairs of inputs p, q, with J_pq = dF_p/dK_q and n the width of the layer before,

    * V' = C_W^2 Cov(s_a s_b, s_c s_d)_K/n + J V J^T,
    * G1' = J G1 + (1/2) sum_qr d^2F/dK_q dK_r V_qr,

    from V = G1 = 0 in layer 1, which is exactly Gaussian.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    x : ndarray, shape (N, n_0)
        Equal inputs, and multiples of an input of a scale-invariant network, are one input to the
        recursion: there the derivatives by their covariance need not exist.
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Raises
    ------
    ValueError
        If the weights are not normal, a layer is not between 1 and the depth, x has another shape,
        or the activation has a kink and is not of two slopes.
    """
    if mlp.weights != "normal":
        raise ValueError("first order in 1/n on several inputs is for normal weights")
    layers = check_layers(mlp, layers)
    start = overlaps(x)
    if mlp.is_scale_invariant:
        return _scale_invariant(mlp, start, layers)
    return _distinct(mlp, mlp.C_b[0] + mlp.C_W[0] * start, layers)


def _scale_invariant(mlp: Perceptron, start: np.ndarray, layers: list[int]) -> FirstOrder:
    """At unit scale, where nothing grows; the logarithms of the scales are put back at the end."""
    norm = np.sqrt(np.diagonal(start))
    scale = np.outer(norm, norm)
    rho = np.divide(start, scale, out=np.zeros_like(start), where=scale > 0).clip(-1, 1)
    np.fill_diagonal(rho, 1.0)
    gain = sum(a * a for a in mlp.activation.slope_pair) / 2
    found = _distinct(replace(mlp, C_W=(1 / gain,) * mlp.depth), rho, layers)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        log_scale = np.add.outer(np.log(norm), np.log(norm))
        log_K = log_gain(mlp)[np.array(layers) - 1, None, None] + log_scale
        log_V = log_K[:, :, :, None, None] + log_K[:, None, None, :, :]
        return FirstOrder(
            _times_exp(found.K, log_K), _times_exp(found.V, log_V), _times_exp(found.G1, log_K)
        )


def _times_exp(values: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
    """values exp(log_scale), 0 where either factor is."""
    return np.where(values == 0, 0.0, values * np.exp(log_scale))


def _distinct(mlp: Perceptron, K: np.ndarray, layers: list[int]) -> FirstOrder:
    """The recursion from K^(1), with inputs that have the same activations taken once."""
    leader = _leaders(mlp, K)
    own = np.unique(leader)
    at = np.searchsorted(own, leader)
    found = _recursion(mlp, K[np.ix_(own, own)], layers)
    result = FirstOrder(
        found.K[:, at][:, :, at],
        found.V[:, at][:, :, at][:, :, :, at][:, :, :, :, at],
        found.G1[:, at][:, :, at],
    )
    # Opposite inputs of an even activation are one input only from layer 2 on.
    result.K[np.array(layers) == 1] = K
    return result


def _leaders(mlp: Perceptron, K: np.ndarray) -> np.ndarray:
    """For each input the first whose activations are the same whatever the weights, (N,)."""
    slopes = mlp.activation.slopes
    even = slopes is not None and slopes[0] == -slopes[1]
    leader = np.arange(len(K))
    for b in range(len(K)):
        for a in range(b):
            gap = K[a, a] + K[b, b] - 2 * (abs(K[a, b]) if even else K[a, b])
            if leader[a] == a and gap <= _SAME * (K[a, a] + K[b, b]):
                leader[b] = a
                break
    return leader


def _recursion(mlp: Perceptron, K: np.ndarray, layers: list[int]) -> FirstOrder:
    """The recursion of :func:`first_order` from K^(1), (N, N), over pairs of different inputs."""
    inputs = len(K)
    pair = pairs(inputs)
    place = np.empty((inputs, inputs), dtype=int)
    place[pair[:, 0], pair[:, 1]] = place[pair[:, 1], pair[:, 0]] = np.arange(len(pair))
    positions = quad_positions(inputs)
    k = K[pair[:, 0], pair[:, 1]]
    V, G = np.zeros((len(pair), len(pair))), np.zeros(len(pair))
    found = {}
    for layer in range(1, max(layers) + 1):
        if layer > 1:
            C_b, C_W, n = mlp.C_b[layer - 1], mlp.C_W[layer - 1], mlp.widths[layer - 1]
            f, J, curvature = _one_layer(mlp, k[place], pair, place, V)
            four = quartic(mlp.activation, k[place], estimate=False).values[positions]
            V = C_W**2 * ((four - np.outer(f, f)) / n + J @ V @ J.T)
            V = (V + V.T) / 2
            G = C_W * (J @ G + curvature)
            k = C_b + C_W * f
        if layer in layers:
            found[layer] = k[place], V[place][:, :, place], G[place]
    of_each = zip(*(found[layer] for layer in layers), strict=True)
    return FirstOrder(*(np.stack(parts) for parts in of_each))


def _one_layer(
    mlp: Perceptron, K: np.ndarray, pair: np.ndarray, place: np.ndarray, V: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """<s_a s_b>, its derivatives (P, P) by pairs, and half its second derivatives on V, (P,)."""
    variance = np.diagonal(K)
    f, curvature = np.empty(len(pair)), np.empty(len(pair))
    J = np.zeros((len(pair), len(pair)))
    one = place[range(len(K)), range(len(K))]
    alone = variance_derivatives(mlp.activation, variance)
    f[one], J[one, one], curvature[one] = alone.value, alone.first, alone.second * V[one, one] / 2
    off = np.flatnonzero(pair[:, 0] < pair[:, 1])
    if len(off):
        a, b = pair[off].T
        both = pair_derivatives(mlp.activation, variance[a], variance[b], K[a, b])
        by = np.stack([one[a], off, one[b]], axis=-1)
        f[off] = both.value
        J[off[:, None], by] = both.first
        block = V[by[:, :, None], by[:, None, :]]
        curvature[off] = np.einsum("mij,mij->m", both.second, block) / 2
    return f, J, curvature
