"""The fluctuations of the tangent kernel in limits: depth with width, and large depth after width.

Double scaling: the sum of 1/n over hidden layers is held fixed as depth and widths grow. And the
laws by which the tensors of :mod:`finitewidth.theory.mlp_ntk.ntk_chain` grow with depth at a
critical point (docs/theory.md 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.tangent_moments import tangent_moments
from finitewidth.theory.mlp.criticality import (
    AT_ZERO,
    SCALE_INVARIANT,
    CriticalPoint,
    critical_point,
)
from finitewidth.theory.mlp.mean_squares import growth, require_slopes
from finitewidth.theory.mlp_ntk.infinite_width_ntk import check_rates


def ratio(activation: Activation, tau: ArrayLike) -> np.ndarray:
    """E[Theta^2]/E[Theta]^2 of one neuron and input, at tau = depth/width, both infinite.

    exp(s tau) (2/3) [1/2 + (2/u)(1 - (1 - exp(-u))/u)] with u = 3 a tau, s = 3a - 1, a = A4/A2^2,
    for layers of one width and one lambda_W, without biases. It is 1 + (7a - 3)/3 tau for small
    tau; its factor of :func:`bare_growth` falls from 1 to 1/3.

    Parameters
    ----------
    activation : Activation
        Of two slopes.
    tau : array_like, shape (...)

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If the activation has no two slopes, both are 0, or tau is negative.
    """
    a, tau = _kurtosis(activation), np.asarray(tau, dtype=float)
    if not np.all(tau >= 0):
        raise ValueError(f"tau is a sum of 1/n, at least 0, not {tau}")
    u = 3 * a * tau
    far = np.where(u > 1e-4, u, 1.0)
    # Mean of exp(-u |p - q|) over p and q in [0, 1].
    overlap = np.where(u > 1e-4, 2 / far * (1 + np.expm1(-far) / far), 1 - u / 3)
    return bare_growth(activation, tau) * (1 + 2 * overlap) / 3


def bare_growth(activation: Activation, tau: ArrayLike) -> np.ndarray:
    """exp(s tau), s = 3 A4/A2^2 - 1: the growth that Hanin and Nica (2020) state, for ReLU s = 5.

    Raises
    ------
    ValueError
        If the activation has no two slopes, or both are 0.
    """
    return np.exp((3 * _kurtosis(activation) - 1) * np.asarray(tau, dtype=float))


def _kurtosis(activation: Activation) -> float:
    """a = A4/A2^2."""
    if activation.slopes is None or not any(activation.slopes):
        raise ValueError(f"double scaling needs two slopes that are not both 0: {activation.name}")
    A2, A4 = (sum(s**p for s in activation.slope_pair) / 2 for p in (2, 4))
    return A4 / A2**2


def ratio_of(mlp: Perceptron, rates: LearningRates, layers: Sequence[int]) -> np.ndarray:
    """:func:`ratio` for widths and rates that differ from layer to layer, (len(layers),).

    Layer l puts lambda_W/C_W of its own into Theta, to a factor that all layers share; with tau_l
    the sum of 1/n over the hidden layers before it, the bracket is 1/2 plus the mean of
    exp(-3a |tau_k - tau_l|) over pairs of layers so weighted.

    Raises
    ------
    ValueError
        If the activation has no two slopes, the weights are not normal, the rates are for another
        depth, a layer does not exist, or one of C_b and lambda_b is not 0.
    """
    require_slopes(mlp)
    layers = check_rates(mlp, rates, layers)
    if any(mlp.C_b) or any(rates.lambda_b):
        raise ValueError(
            f"double scaling is without biases, not C_b up to {max(mlp.C_b)} and lambda_b up to"
            f" {max(rates.lambda_b)}"
        )
    a, s = _kurtosis(mlp.activation), growth(mlp)
    inner = pairs = total = tau = 0.0
    found = {}
    for k in range(max(layers)):
        h = rates.lambda_W[k] / mlp.C_W[k] if mlp.C_W[k] else np.nan
        if k:
            tau += 1 / mlp.widths[k]
            inner *= np.exp(-3 * a / mlp.widths[k])
        pairs += h * (h + 2 * inner)
        inner, total = inner + h, total + h
        # Without rates there is no tangent kernel.
        share = pairs / total**2 if total else np.nan
        found[k + 1] = np.exp(s * tau) * (1 + 2 * share) / 3
    return np.array([found[layer] for layer in layers])


class Power(NamedTuple):
    """A number that tends to ``coefficient`` l^(1 + ``power``)/n in layer l of networks n wide."""

    coefficient: float
    power: int = 0


class Asymptotics(NamedTuple):
    """How the tensors of one input grow at criticality, first order in 1/n and then large depth."""

    variance: Power  #: Var Theta_ii/Theta^2
    A: Power  #: A/Theta^2
    B: Power  #: B/Theta^2
    D: Power  #: D/(K Theta)
    F: Power  #: F/(K Theta)
    H1: Power  #: H1/Theta
    P: Power  #: P/Theta^2
    Q: Power  #: Q/Theta^2


def asymptotics(activation: Activation, bias_share: float = 0.0) -> Asymptotics:
    """The growth of each tensor with depth, at the critical point of ``activation``.

    Parameters
    ----------
    activation : Activation
    bias_share : float
        Share of Theta that the rates of the biases make. Rates are the same in all layers; but in
        the class K* = 0 the rate of the biases falls like 1/l, without which it were all of Theta.
        In the half-stable class the share does not matter.

    Raises
    ------
    ValueError
        If there is no critical point, the share is not between 0 and 1, or the activation is of the
        class K* = 0 and not odd to second order.
    """
    if not 0 <= bias_share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {bias_share}")
    critical = critical_point(activation)
    if critical.universality_class == SCALE_INVARIANT:
        return _scale_invariant(_kurtosis(activation), 1 - bias_share)
    if critical.universality_class == AT_ZERO:
        a1, b1 = critical.a1, critical.b1
        if a1 is None or b1 is None or abs(a1 - b1) > 1e-12:
            raise ValueError(
                f"large depth is known for odd activations only, not {activation.name}"
            )
        return _at_zero(bias_share)
    return _half_stable(activation, critical)


def _scale_invariant(a: float, r: float) -> Asymptotics:
    """``r`` is the share of the weights."""
    A, B = ((a - 1) * (1 + r) + r * r * (3 * a - 1)) / 3, a / 3
    return Asymptotics(
        Power(A + 2 * B),
        Power(A),
        Power(B),
        Power((r * (3 * a - 1) + a - 1) / 2),
        Power(a / 2),
        Power(0.0),
        Power(0.0),
        Power(a * r / 6),
    )


def _at_zero(y: float) -> Asymptotics:
    A, B = 4 / 27 * y * y, 1 / 3
    return Asymptotics(
        Power(A + 2 * B),
        Power(A),
        Power(B),
        Power(-2 / 9 * y),
        Power(1 / 4),
        Power(5 / 18 * y - 1 / 4),
        Power(-1 / 12),
        Power(-y / 16),
    )


def _half_stable(activation: Activation, critical: CriticalPoint) -> Asymptotics:
    """The drift of chi_perp with K lets Var K feed the NTK: D, A and H1 outgrow B and F."""
    K, C_W, v = critical.K_star, critical.C_W, critical.vertex_slope
    # The class has both.
    assert K is not None
    assert critical.b is not None
    means = tangent_moments(activation, K)
    drift = critical.b * K
    A = Power(2 / 15 * drift**2 * v, 2)
    F = C_W**2 * float(means.cross + means.square * means.slope) / (2 * K)
    return Asymptotics(
        A,
        A,
        Power(C_W**2 * float(means.slope_variance + means.slope**2) / 3),
        Power(drift * v / 3, 1),
        Power(F),
        Power(drift**2 * v / 12, 2),
        Power(C_W**2 * float(means.curved) / 3),
        Power(drift * F / 4, 1),
    )
