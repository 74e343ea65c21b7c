"""Means of products of two derivatives, <sigma'(z1) sigma'(z2)>: what carries tangent kernels.

Derivatives are those that a network computes: almost everywhere the ordinary one and 0 at a kink,
so that an input whose preactivation is exactly 0 passes nothing back through a kink.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import closed_forms
from finitewidth.theory.gaussian.covariance_derivatives import pair_derivatives
from finitewidth.theory.gaussian.expectations import expectation, pair_expectation

# A correlation nearer to +-1 than this is +-1: the angle of equal inputs would be 1e-8 by rounding.
_ROUNDING = 1e-15


def mean_square_slope(activation: Activation, K: ArrayLike) -> np.ndarray:
    """<sigma'(z)^2> for z ~ N(0, K), shape of ``K``; at K = 0 it is sigma'(0)^2.

    Raises
    ------
    ValueError
        If a variance is negative or not finite.
    """
    K = np.asarray(K, dtype=float)
    if activation.slopes is not None:
        mean = sum(a * a for a in activation.slope_pair) / 2
        return np.where(K > 0, mean, activation.derivative(np.zeros(())) ** 2)
    if activation.name == "sin":
        return closed_forms.cos(K, K, K)
    if activation.name == "cos":
        return closed_forms.sin(K, K, K)
    return expectation(lambda z: activation.derivative(z) ** 2, K)


def slope_covariance(
    activation: Activation, K11: ArrayLike, K22: ArrayLike, K12: ArrayLike
) -> np.ndarray:
    """<sigma'(z1) sigma'(z2)> for (z1, z2) ~ N(0, [[K11, K12], [K12, K22]]).

    Closed forms for two slopes (Cho and Saul 2009), erf, gelu, sin and cos, as the derivative of
    <sigma sigma> by K12; quadrature for the others.

    Parameters
    ----------
    activation : Activation
    K11, K22, K12 : array_like
        Broadcast against each other to a shape (...). Equal, opposite and zero z are ordinary.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If a variance is negative or not finite, where it is integrated.
    """
    K11, K22, K12 = np.broadcast_arrays(*(np.asarray(k, dtype=float) for k in (K11, K22, K12)))
    if activation.slopes is not None:
        return _two_slopes(activation, K11, K22, K12)
    if activation.name == "sin":
        return closed_forms.cos(K11, K22, K12)
    if activation.name == "cos":
        return closed_forms.sin(K11, K22, K12)
    if activation.name in closed_forms.BY_NAME:
        found = pair_derivatives(activation, K11.ravel(), K22.ravel(), K12.ravel())
        return found.first[:, 1].reshape(K12.shape)
    slope = activation.derivative
    return pair_expectation(lambda z1, z2: slope(z1) * slope(z2), K11, K22, K12)


def _two_slopes(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray
) -> np.ndarray:
    found = both_slopes(*activation.slope_pair, snapped_angle(K11, K22, K12))
    return np.where((K11 > 0) & (K22 > 0), found, activation.derivative(np.zeros(())) ** 2)


def both_slopes(plus: float, minus: float, angle: np.ndarray) -> np.ndarray:
    """<sigma' sigma'> of slopes ``plus`` and ``minus`` at an angle, the angle's shape."""
    return plus * minus + (plus - minus) ** 2 * (np.pi - angle) / (2 * np.pi)


def snapped_angle(K11: np.ndarray, K22: np.ndarray, K12: np.ndarray) -> np.ndarray:
    """The angle of :func:`closed_forms.angle`; exactly 0 or pi if it is 0 or pi up to rounding."""
    t = closed_forms.angle(K11, K22, K12)
    near = 2 * np.sin(t / 2) ** 2 <= _ROUNDING
    far = 2 * np.cos(t / 2) ** 2 <= _ROUNDING
    return np.where(near, 0.0, np.where(far, np.pi, t))
