"""Squared lengths of derivatives by the input at infinite width, along the input and across it.

Tangents t of directions across x are independent of the neuron z: a layer makes C_W <sigma'^2> of
their squares. The tangent along x is not. Of covariances K = <zz>, B = <zt> and T = <tt> a
layer makes B' = C_W (B/K) <z sigma sigma'> and T' = C_W [(B/K)^2 <z^2 sigma'^2>
+ (T - B^2/K) <sigma'^2>], since t is (B/K) z and a part that is independent of z.
"""

from __future__ import annotations

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.gaussian.slopes import mean_square_slope
from finitewidth.theory.mlp import kernel


def along_and_across(
    mlp: Perceptron, x: np.ndarray, layers: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares over neurons, times n_0, of derivatives along x and across it.

    Parameters
    ----------
    mlp : Perceptron
    x : ndarray, shape (inputs, n_0)
    layers : list of int

    Returns
    -------
    (ndarray, ndarray), shape (layers, inputs)
        The same where x is 0. Squares of the singular values of sqrt(n_0/n_l) dz_l/dx.
    """
    sigma, top = mlp.activation, max(layers)
    square = np.sum(np.asarray(x, float) ** 2, axis=1)
    across = [np.full(len(x), mlp.C_W[0])]
    if sigma.slopes is not None:
        # Slopes are independent of all sizes, so that both are one; sizes may be out of range.
        alive = square > 0
        for layer in range(1, top):
            alive = (alive & (mlp.C_W[layer - 1] > 0)) | (mlp.C_b[layer - 1] > 0)
            across.append(
                mlp.C_W[layer] * mean_square_slope(sigma, alive.astype(float)) * across[-1]
            )
        found = np.array(across)[np.array(layers) - 1]
        return found, found
    K = kernel.variances(mlp, x, range(1, top)) if top > 1 else np.empty((0, len(x)))
    # In units of |x|^2/n_0.
    size = np.where(square > 0, square, 1.0) / mlp.widths[0]
    B, along = across[0], [across[0]]
    for layer in range(1, top):
        k, C_W = K[layer - 1], mlp.C_W[layer]
        slope = mean_square_slope(sigma, k)
        share = np.where(k > 0, B / np.where(k > 0, k, 1.0), 0.0)
        both = expectation(lambda z: z * sigma.function(z) * sigma.derivative(z), k)
        steep = expectation(lambda z: (z * sigma.derivative(z)) ** 2, k)
        rest = along[-1] - share * B * size
        along.append(C_W * (share**2 * size * steep + rest * slope))
        across.append(C_W * slope * across[-1])
        B = C_W * share * both
    at = np.array(layers) - 1
    found = np.array(across)[at]
    return np.where(square > 0, np.array(along)[at], found), found
