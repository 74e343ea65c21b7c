"""Exact four-point functions of linear networks on several inputs, any symmetric weights.

With s = z nothing but Wick contractions and the fourth cumulant of the weights enters, so that
V_abcd = Cov(Ghat_ab, Ghat_cd) (the connected four-point function of two different neurons) and
S_abcd (that of one neuron) close (PDLT sections 3.2 and 3.3 for normal weights without bias).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import check_layers, infinite_width, overlaps


class FourPoint(NamedTuple):
    """Arrays of shape (len(layers), N, N, N, N), indices a, b, c, d."""

    pairs: np.ndarray  #: V_abcd = E[z_ia z_ib z_jc z_jd] - G_ab G_cd, i != j
    same: np.ndarray  #: S_abcd = E[z_a z_b z_c z_d] - three pairings of G


def four_point(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> FourPoint:
    """Exact four-point functions: V' = C_W^2 [V + (G_ac G_bd + G_ad G_bc + S - V)/n].

    S' = the three pairings of V' + k (C_b^2 + C_W^2 E[z_a z_b z_c z_d]/n), k the excess kurtosis of
    one weight.

    Parameters
    ----------
    mlp : Perceptron
        Of a linear network.
    x : ndarray, shape (N, n_0)
    layers : sequence of int

    Raises
    ------
    ValueError
        If the network is not linear, a layer does not exist, or x has another shape.
    """
    return _recursion(mlp, x, layers, first_order=False)


def first_order(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> FourPoint:
    """The same to first order in 1/n: as :func:`four_point`, with what is of order 1 in S."""
    return _recursion(mlp, x, layers, first_order=True)


def infinite_same(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Connected same-neuron function at infinite width, any activation: (len(layers), N, N, N, N).

    Exact in layer 1; later only what is not Gaussian in the biases survives.

    Raises
    ------
    ValueError
        If a layer does not exist, or x has another shape.
    """
    first = _first_layer(mlp, x)
    k = mlp.excess_kurtosis
    return np.stack(
        [
            first if layer == 1 else np.full_like(first, k * mlp.C_b[layer - 1] ** 2)
            for layer in check_layers(mlp, layers)
        ]
    )


def double_scaling(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """V without bias as width and depth grow together: shape (len(layers), N, N, N, N).

    The mean over pairings grows with exp(2 tau), the rest decays with exp(-tau), tau the sum of
    1/n over the hidden layers before.

    Raises
    ------
    ValueError
        If the network is not linear or has a bias.
    """
    _require_linear(mlp)
    if any(mlp.C_b):
        raise ValueError("the double-scaling limit is known without bias only")
    tau = np.concatenate([[0.0], np.cumsum(1 / np.array(mlp.widths[1:-1], dtype=float))])
    result = []
    for layer, G in zip(layers, infinite_width(mlp, x, layers), strict=True):
        product = np.multiply.outer(G, G)
        mean = pairings(product) / 3
        t = tau[layer - 1]
        result.append(mean * np.expm1(2 * t) + (product - mean) * np.expm1(-t))
    return np.stack(result)


def _recursion(
    mlp: Perceptron, x: np.ndarray, layers: Sequence[int], first_order: bool
) -> FourPoint:
    _require_linear(mlp)
    layers = check_layers(mlp, layers)
    k = mlp.excess_kurtosis
    G = mlp.C_b[0] + mlp.C_W[0] * overlaps(x)
    S = infinite = _first_layer(mlp, x)
    V = np.zeros_like(S)
    found = {1: (V, S)}
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in range(2, max(layers) + 1):
            C_b, C_W, n = mlp.C_b[layer - 1], mlp.C_W[layer - 1], mlp.widths[layer - 1]
            product = np.multiply.outer(G, G)
            wick = pairings(product)
            if first_order:
                V = C_W**2 * (V + (wick - product + infinite) / n)
                same = wick + infinite
            else:
                V = C_W**2 * (V + (wick - product + S - V) / n)
                same = wick + S
            S = pairings(V) + k * (C_b**2 + C_W**2 * same / n)
            infinite = np.full_like(S, k * C_b**2)
            G = C_b + C_W * G
            if layer in layers:
                found[layer] = V, S
    pairs, same = zip(*(found[layer] for layer in layers), strict=True)
    return FourPoint(np.stack(pairs), np.stack(same))


def _require_linear(mlp: Perceptron) -> None:
    if not mlp.activation.is_linear:
        raise ValueError(f"{mlp.activation_name} is not linear")


def pairings(T: np.ndarray) -> np.ndarray:
    """T_abcd + T_acbd + T_adbc: the three ways to pair four inputs, over (..., N, N, N, N)."""
    return T + np.einsum("...acbd->...abcd", T) + np.einsum("...adbc->...abcd", T)


def _first_layer(mlp: Perceptron, x: np.ndarray) -> np.ndarray:
    """Fourth cumulant of z^(1), (N, N, N, N): biases and weights add up, each independent."""
    x = np.asarray(x, dtype=float)
    scale = mlp.C_W[0] / x.shape[1]
    fourth = np.einsum("ai,bi,ci,di->abcd", x, x, x, x, optimize=True)
    return mlp.excess_kurtosis * (mlp.C_b[0] ** 2 + scale**2 * fourth)
