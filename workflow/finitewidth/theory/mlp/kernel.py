"""The infinite-width kernel K, layer by layer (PDLT sections 4.1 to 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.closed_forms import two_slopes
from finitewidth.theory.gaussian.expectations import second_moment
from finitewidth.theory.layers.infinite_width import advance
from finitewidth.theory.layers.kernels import Kernels


def overlaps(x: np.ndarray) -> np.ndarray:
    """x_a . x_b / n_0 of inputs x (N, n_0), exactly symmetric: shape (N, N).

    Raises
    ------
    ValueError
        If x does not have two dimensions.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 2:
        raise ValueError(f"inputs are an array (input, component), not of shape {x.shape}")
    return np.einsum("ai,bi->ab", x, x) / x.shape[1]


def infinite_width(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Kernel K^(l)_ab = C_b + C_W <sigma_a sigma_b>_K^(l-1), from C_b + C_W x_a.x_b/n_0.

    Exact at any width for the linear network and, on the diagonal, for every two-slope activation;
    elsewhere the limit of infinite width. Values beyond the range of a float are inf or 0.

    Parameters
    ----------
    mlp : Perceptron
        Only its activation, variances and depth matter here; widths and shape of weights do not.
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Returns
    -------
    ndarray, shape (len(layers), N, N)

    Raises
    ------
    ValueError
        If a layer is not between 1 and the depth, or x has another shape.
    """
    layers = check_layers(mlp, layers)
    if mlp.is_scale_invariant:
        return _scale_invariant(mlp, x, layers)
    each = advance(mlp.layers, Kernels(mlp.widths[:1], overlaps(x)))
    wanted = {
        number: K.nngp
        for number, K in zip(range(1, max(layers) + 1), each, strict=False)
        if number in layers
    }
    return np.stack([wanted[layer] for layer in layers])


def variances(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """The diagonal of :func:`infinite_width` alone, at a fraction of its cost.

    Returns
    -------
    ndarray, shape (len(layers), N)

    Raises
    ------
    ValueError
        As :func:`infinite_width`.
    """
    layers = check_layers(mlp, layers)
    norm = np.diagonal(overlaps(x))
    if mlp.is_scale_invariant:
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            return np.exp(np.log(norm) + log_gain(mlp)[np.array(layers) - 1, None])
    K = np.empty((max(layers), len(norm)))
    K[0] = mlp.C_b[0] + mlp.C_W[0] * norm
    for k in range(1, len(K)):
        K[k] = mlp.C_b[k] + mlp.C_W[k] * second_moment(mlp.activation, K[k - 1])
    return K[np.array(layers) - 1]


def check_layers(mlp: Perceptron, layers: Sequence[int]) -> list[int]:
    """``layers`` as a list of int; raises ValueError if one is not between 1 and the depth."""
    layers = [int(layer) for layer in layers]
    if not layers or min(layers) < 1 or max(layers) > mlp.depth:
        raise ValueError(f"layers are numbered from 1 to {mlp.depth}, not {layers}")
    return layers


def log_gain(mlp: Perceptron) -> np.ndarray:
    """Sum over layers up to l of log C_W, and of log A2 for l > 1: shape (L,).

    Added to log |x|^2/n_0 it is log G^(l) of a scale-invariant network without bias, where
    A2 = (a_+^2 + a_-^2)/2 is the mean gain of one two-slope activation.
    """
    plus, minus = mlp.activation.slope_pair
    with np.errstate(divide="ignore"):
        gain = np.log(np.asarray(mlp.C_W, dtype=float))
    gain[1:] += np.log((plus**2 + minus**2) / 2)
    return np.cumsum(gain)


def _scale_invariant(mlp: Perceptron, x: np.ndarray, layers: list[int]) -> np.ndarray:
    """Without bias, scales multiply (in logs, so that depth 1e5 is one sum) and angles go alone."""
    start = overlaps(x)
    norm = np.sqrt(np.diagonal(start))
    scale = np.outer(norm, norm)
    rho = np.divide(start, scale, out=np.zeros_like(start), where=scale > 0).clip(-1, 1)
    np.fill_diagonal(rho, 1.0)
    plus, minus = mlp.activation.slope_pair
    wanted = {1: rho}
    # Angles stand still where there is but one, and in a linear network.
    if len(start) > 1 and plus != minus:
        one, gain = np.ones_like(rho), (plus**2 + minus**2) / 2
        for layer in range(2, max(layers) + 1):
            rho = two_slopes(plus, minus, one, one, rho) / gain
            if layer in layers:
                wanted[layer] = rho
    factor = log_gain(mlp)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        log_scale = np.log(scale)
        return np.stack(
            [np.exp(factor[layer - 1] + log_scale) * wanted.get(layer, rho) for layer in layers]
        )
