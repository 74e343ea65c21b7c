"""The neural tangent kernel at infinite width (PDLT chapter 8; Jacot et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.closed_forms import two_slopes
from finitewidth.theory.gaussian.slopes import (
    both_slopes,
    slope_covariance,
    snapped_angle,
)
from finitewidth.theory.layers.infinite_width import advance
from finitewidth.theory.layers.kernels import Kernels
from finitewidth.theory.mlp.kernel import check_layers, log_gain, overlaps


def infinite_width_ntk(
    mlp: Perceptron, rates: LearningRates, x: np.ndarray, layers: Sequence[int]
) -> np.ndarray:
    """Theta^(l), from lambda_b + lambda_W x_a.x_b/n_0 in layer 1 by

        Theta' = lambda_b + lambda_W <s_a s_b>_K + C_W <s'_a s'_b>_K Theta_ab,

    of neuron i with itself; that of two different neurons has mean 0 at any width. On networks of
    two slopes the diagonal is the mean at any width, as E[s'^2 Theta] = A2 E[Theta] by symmetry.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal. Widths do not matter here.
    rates : LearningRates
    x : ndarray, shape (N, n_0)
        Equal, opposite and zero inputs are ordinary. Where a preactivation is exactly 0, s' is 0
        if sigma has a kink there.
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Returns
    -------
    ndarray, shape (len(layers), N, N)
        Without bias networks of two slopes are followed in logarithms: a value that a float can
        hold is right whatever was in between, others are inf or 0.

    Raises
    ------
    ValueError
        If the weights are not normal, the rates are for another depth, a layer is not between 1 and
        the depth, or x has another shape.
    """
    layers = check_rates(mlp, rates, layers)
    start = overlaps(x)
    if mlp.is_scale_invariant:
        return _scale_invariant(mlp, rates, start, layers)
    each = advance(mlp.layers, Kernels(mlp.widths[:1], start, np.zeros_like(start)), rates)
    wanted = {
        number: K.ntk
        for number, K in zip(range(1, max(layers) + 1), each, strict=False)
        if number in layers
    }
    return np.stack([wanted[layer] for layer in layers])


def check_rates(mlp: Perceptron, rates: LearningRates, layers: Sequence[int]) -> list[int]:
    """``layers`` as a list of int.

    Raises
    ------
    ValueError
        If the weights are not normal, the rates are for another depth, or a layer is not between 1
        and the depth.
    """
    if mlp.weights != "normal":
        raise ValueError(f"tangent kernels are predicted for normal weights, not {mlp.weights}")
    given = len(rates.lambda_b), len(rates.lambda_W)
    if given != (mlp.depth, mlp.depth):
        raise ValueError(f"rates need {mlp.depth} values of lambda_b and lambda_W, not {given}")
    return check_layers(mlp, layers)


def _scale_invariant(
    mlp: Perceptron, rates: LearningRates, start: np.ndarray, layers: list[int]
) -> np.ndarray:
    """Without bias: correlations of z and of its tangents, and the logarithms of their scales."""
    plus, minus = mlp.activation.slope_pair
    norm = np.diagonal(start)
    scale = np.sqrt(np.outer(norm, norm))
    rho = np.divide(start, scale, out=np.zeros_like(start), where=scale > 0).clip(-1, 1)
    np.fill_diagonal(rho, 1.0)
    one, gain = np.ones_like(rho), (plus**2 + minus**2) / 2
    passes = slope_covariance(mlp.activation, norm[:, None], norm, scale) / gain
    wanted = {}
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        log_b, log_W = np.log(rates.lambda_b), np.log(rates.lambda_W)
        log_up = np.log(mlp.C_W) + np.log(gain)
        log_norm, log_G = np.log(norm), log_gain(mlp)
        ratio, log_theta = np.zeros_like(rho), np.full(len(norm), -np.inf)
        for k in range(max(layers)):
            if k == 0:
                new, slopes = log_W[0] + log_norm, np.zeros_like(rho)
            else:
                new = log_W[k] + np.log(gain) + log_G[k - 1] + log_norm
                slopes = both_slopes(plus, minus, snapped_angle(one, one, rho)) / gain * passes
                if plus != minus:
                    rho = two_slopes(plus, minus, one, one, rho) / gain
            old = log_up[k] + log_theta + np.log(np.diagonal(slopes))
            log_theta = np.logaddexp(np.logaddexp(log_b[k], new), old)
            size = np.where(np.isfinite(log_theta), log_theta, 0.0)
            # Shares of the root of Theta_aa Theta_bb: never more than 1.
            ratio = (
                np.exp(log_b[k] - _mean(size))
                + rho * np.exp(_mean(new - size))
                + slopes * ratio * np.exp(_mean(old - size))
            )
            if k + 1 in layers:
                theta = ratio * np.exp(_mean(log_theta))
                np.fill_diagonal(theta, np.exp(log_theta))
                wanted[k + 1] = theta
    return np.stack([wanted[layer] for layer in layers])


def _mean(values: np.ndarray) -> np.ndarray:
    """(v_a + v_b)/2, (N, N)."""
    return np.add.outer(values, values) / 2
