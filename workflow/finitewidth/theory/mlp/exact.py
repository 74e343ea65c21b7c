"""Exact moments at finite width of networks with a two-slope activation, on one input.

The activation is sigma(z) = a_+ z for z > 0 and a_- z for z < 0 (linear, ReLU, leaky ReLU, abs),
with A_2k = (a_+^2k + a_-^2k)/2; each layer has its own width, C_b and C_W. Moments are kept as
ratios to powers of G = E[z^2], which neither overflow nor underflow while G does, and are inf
where they exceed the range of a float. Arrays are (len(layers), N): every input on its own.

Given a layer's activations the next preactivations are independent with conditional variance Ghat,
so that E[Ghat^k] = E[z_1^2 ... z_k^2] over k different neurons (PDLT sections 3.3 and 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import check_layers
from finitewidth.theory.mlp.mean_squares import (
    first_layer_cumulant,
    flow,
    growth,
    norms,
    require_slopes,
    shares,
    square_cumulants,
)


def moment_ratios(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """E[Ghat^k]/G^k for k = 1, 2, 3, 4, normal weights.

    Ghat^(l+1) = C_b + C_W Ghat^(l) X with X the mean over the layer's n neurons of sigma(g)^2, g
    standard normal: a Markov chain whose moments close (Hanin and Nica 2018; Zavatone-Veth and
    Pehlevan 2021 for the linear network).

    Returns
    -------
    ndarray, shape (4, len(layers), N)

    Raises
    ------
    ValueError
        As :func:`finitewidth.theory.mlp.mean_squares.log_mean_square`, and if the weights are not
        normal.
    """
    if mlp.weights != "normal":
        raise ValueError("the chain of conditional variances needs normal weights")
    require_slopes(mlp)
    layers = check_layers(mlp, layers)
    depth, inputs = max(layers), len(x)
    gains = gain_moments(mlp.activation.slope_pair, np.array(mlp.widths[1:depth], dtype=float))
    r = np.ones((4, depth, inputs))
    with np.errstate(over="ignore", invalid="ignore"):
        if mlp.is_scale_invariant:
            r[:, 1:] = np.cumprod(gains, axis=1)[..., None]
        else:
            _, share = flow(mlp, x, depth)
            for k in range(1, depth):
                w = share[k]
                one, two, three, four = gains[:, k - 1, None] * r[:, k - 1]
                v = 1 - w
                r[1, k] = v**2 + 2 * v * w * one + w**2 * two
                r[2, k] = v**3 + 3 * v**2 * w * one + 3 * v * w**2 * two + w**3 * three
                r[3, k] = (
                    v**4
                    + 4 * v**3 * w * one
                    + 6 * v**2 * w**2 * two
                    + 4 * v * w**3 * three
                    + w**4 * four
                )
    return r[:, np.array(layers) - 1]


def gain_moments(slopes: tuple[float, float], n: np.ndarray) -> np.ndarray:
    """E[X^k]/A2^k, k = 1 to 4, of the mean X of n squares sigma(g)^2: shape (4, *n.shape)."""
    k2, k3, k4 = square_cumulants(slopes)
    e = 1 / np.asarray(n, dtype=float)
    return np.stack(
        [
            np.ones_like(e),
            1 + k2 * e,
            1 + 3 * k2 * e + k3 * e**2,
            1 + 6 * k2 * e + (4 * k3 + 3 * k2**2) * e**2 + k4 * e**3,
        ]
    )


def pair_ratios(
    mlp: Perceptron, x: np.ndarray, layers: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """E[z_i^2 z_j^2]/G^2 for i != j and E[z^4]/G^2, whatever symmetric law the weights have.

    Changing the sign of all weights into one neuron leaves the law as it is, which decouples the
    gates: E[sigma(z)^4] = A4 E[z^4], E[sigma(z_i)^2 sigma(z_j)^2] = A2^2 E[z_i^2 z_j^2]. Given the
    layer before, E[z^4] = 3 Ghat^2 + k (C_b^2 + (C_W/n)^2 sum_j sigma(z_j)^4), k the excess
    kurtosis of one weight. Both together close.

    Returns
    -------
    pair, same : ndarray, shape (len(layers), N)

    Raises
    ------
    ValueError
        As :func:`finitewidth.theory.mlp.mean_squares.log_mean_square`.
    """
    require_slopes(mlp)
    layers = check_layers(mlp, layers)
    if mlp.weights == "normal":
        pair = moment_ratios(mlp, x, layers)[1]
        return pair, 3 * pair
    kurtosis, spread = mlp.excess_kurtosis, (growth(mlp) + 1) / 3
    found = {}
    pair, same = np.ones(len(x)), 3 + first_layer_cumulant(mlp, x)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, w, n in shares(mlp, x, max(layers)):
            if layer > 1:
                local = w**2 * spread * same / n
                rest = 1 - w**2 + w**2 * (1 - 1 / n) * pair
                pair = rest + local
                # 3 pair + kurtosis (local + (1 - w)^2), never the difference of two infinities.
                same = 3 * rest + (3 + kurtosis) * local + kurtosis * (1 - w) ** 2
            if layer in layers:
                found[layer] = pair, same
    pairs, sames = zip(*(found[layer] for layer in layers), strict=True)
    return np.stack(pairs), np.stack(sames)


def dead_fraction(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Probability that all of z^(l) is zero, for a two-slope activation: (len(layers), N).

    A layer without bias is zero where the layer before is, or where a slope is 0 (ReLU) and all n
    neurons before are on that side: signs are independent and fair, whatever the symmetric law of
    the weights. Without any bias this is 1 - prod(1 - 2^-n) over the hidden layers before.

    Raises
    ------
    ValueError
        As :func:`finitewidth.theory.mlp.mean_squares.log_mean_square`.
    """
    require_slopes(mlp)
    layers = check_layers(mlp, layers)
    half_off = 0 in mlp.activation.slope_pair
    found = {}
    dead = np.where(norms(x) * mlp.C_W[0] > 0, 0.0, 1.0)
    for layer in range(1, max(layers) + 1):
        if layer > 1:
            off = 2.0 ** -mlp.widths[layer - 1] if half_off else 0.0
            dead = dead + (1 - dead) * (off if mlp.C_W[layer - 1] else 1.0)
        if mlp.C_b[layer - 1]:
            dead = np.zeros_like(dead)
        if layer in layers:
            found[layer] = dead
    return np.stack([found[layer] for layer in layers])
