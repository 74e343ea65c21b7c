"""The mean square G of networks with a two-slope activation, and what feeds it, layer by layer.

sigma(z) = a_+ z for z > 0 and a_- z for z < 0 (linear, ReLU, leaky ReLU, abs), with
A_2k = (a_+^2k + a_-^2k)/2. Changing the sign of all weights and the bias into one neuron leaves the
law of a network as it is, so that E[sigma(z)^2k] = A_2k E[z^2k] at any width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import check_layers, log_gain, overlaps


def log_mean_square(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """log G, with G^(l) = C_b + C_W A2 G^(l-1): exact for every symmetric law of the weights.

    Parameters
    ----------
    mlp : Perceptron
        Its activation has two slopes.
    x : ndarray, shape (N, n_0)
    layers : sequence of int

    Returns
    -------
    ndarray, shape (len(layers), N)
        -inf where the network is zero.

    Raises
    ------
    ValueError
        If the activation has no two slopes, a layer does not exist, or x has another shape.
    """
    require_slopes(mlp)
    layers = check_layers(mlp, layers)
    with np.errstate(divide="ignore"):
        if mlp.is_scale_invariant:
            return np.log(norms(x)) + log_gain(mlp)[np.array(layers) - 1, None]
        G, _ = flow(mlp, x, max(layers))
        return np.log(G[np.array(layers) - 1])


def require_slopes(mlp: Perceptron) -> None:
    """Raise ValueError unless the activation of ``mlp`` has two slopes."""
    if mlp.activation.slopes is None:
        raise ValueError(f"{mlp.activation_name} has no two slopes: nothing exact is known of it")


def square_cumulants(slopes: tuple[float, float]) -> tuple[float, float, float]:
    """Second to fourth cumulant of sigma(g)^2/A2, whose mean is 1."""
    a, b = np.array(slopes, dtype=float) ** 2
    mean = (a + b) / 2
    m2, m3, m4 = (
        factorial * (a**k + b**k) / 2 / mean**k for k, factorial in ((2, 3), (3, 15), (4, 105))
    )
    return m2 - 1, m3 - 3 * m2 + 2, m4 - 4 * m3 - 3 * m2**2 + 12 * m2 - 6


def growth(mlp: Perceptron) -> float:
    """c = 3 A4/A2^2 - 1, the relative variance of sigma(g)^2: 2 linear, 5 ReLU."""
    return square_cumulants(mlp.activation.slope_pair)[0]


def flow(mlp: Perceptron, x: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """G and the share of G that comes from the layer before, not the bias: (depth, N) each."""
    plus, minus = mlp.activation.slope_pair
    C_b, C_W = np.array(mlp.C_b[:depth]), np.array(mlp.C_W[:depth])
    G = np.empty((depth, len(x)))
    with np.errstate(over="ignore"):
        G[0] = C_b[0] + C_W[0] * norms(x)
        for k in range(1, depth):
            G[k] = C_b[k] + C_W[k] * (plus**2 + minus**2) / 2 * G[k - 1]
    return G, 1 - np.divide(C_b[:, None], G, out=np.zeros_like(G), where=G > 0)


def shares(mlp: Perceptron, x: np.ndarray, depth: int) -> Iterator[tuple[int, np.ndarray, float]]:
    """For each layer up to ``depth``: its number, its share w (N,), the width before it."""
    if mlp.is_scale_invariant:
        share = np.ones((depth, len(x)))
    else:
        _, share = flow(mlp, x, depth)
    for layer in range(1, depth + 1):
        yield layer, share[layer - 1], float(mlp.widths[layer - 1])


def first_layer_cumulant(mlp: Perceptron, x: np.ndarray) -> np.ndarray:
    """Excess kurtosis of z^(1), a finite sum of independent terms: shape (N,)."""
    x = np.asarray(x, dtype=float)
    scale = mlp.C_W[0] / x.shape[1]
    G = mlp.C_b[0] + mlp.C_W[0] * norms(x)
    fourth = mlp.excess_kurtosis * (mlp.C_b[0] ** 2 + scale**2 * np.sum(x**4, axis=1))
    return np.divide(fourth, G**2, out=np.zeros_like(G), where=G > 0)


def norms(x: np.ndarray) -> np.ndarray:
    """|x|^2/n_0 of inputs x (N, n_0): shape (N,)."""
    return np.diagonal(overlaps(x))
