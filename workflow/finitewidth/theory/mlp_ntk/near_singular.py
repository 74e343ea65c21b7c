"""Two inputs whose tangent kernel is nearly singular, without cancellation.

Beside K_11, K_22 and Theta_11, Theta_22 what is followed from layer to layer is the gap
g = Theta_11 + Theta_22 - 2 s Theta_12 itself, and Var(z_1 - s z_2), where s is the sign that makes
them small: 1 for inputs that nearly coincide, -1 for nearly opposite ones of an odd or an even
activation. With M = <(s_1 - s s_2)^2> and S the same of derivatives (derived here),

    g' = lambda_W M + C_W ((<s_1'^2> - <s_2'^2>)(Theta_11 - Theta_22)/2
         + (<s_1'^2> + <s_2'^2>) g/2 + s S Theta_12),

and 4 lambda_b more where s is still -1: nothing large is subtracted. Then
4 det Theta = 2 (Theta_11 + Theta_22) g - g^2 - (Theta_11 - Theta_22)^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian import expectations
from finitewidth.theory.gaussian.slopes import mean_square_slope, slope_covariance

#: A gap of more than this share of the variances loses little as a difference.
_WIDE = 0.1
#: Differences of sigma over less than this are taken from its derivatives.
_STEP = 0.02
#: Share of det Theta's terms that is rounding.
_ROUNDING = 64 * np.finfo(float).eps


@dataclass(frozen=True)
class Gap:
    """Theta of two inputs: ``one`` = Theta_11, ``two`` = Theta_22, ``gap`` = their sum less
    2 ``sign`` Theta_12."""

    one: float
    two: float
    gap: float
    sign: int

    @property
    def across(self) -> float:
        """Theta_12."""
        return self.sign * (self.one + self.two - self.gap) / 2

    def eigenvalues(self) -> np.ndarray:
        """Both, the larger one first, (2,). The smaller is 0 where Theta is singular, and NaN where
        rounding hides whether it is."""
        total, apart = self.one + self.two, self.one - self.two
        most = (total + np.hypot(apart, 2 * self.across)) / 2
        if self.gap == 0 or most == 0:
            return np.array([most, 0.0])
        terms = 2 * total * self.gap
        four_det = terms - self.gap**2 - apart**2
        if four_det <= _ROUNDING * (terms + apart**2):
            return np.array([most, np.nan])
        return np.array([most, four_det / 4 / most])


def two_inputs(mlp: Perceptron, rates: LearningRates, x: np.ndarray) -> Gap | None:
    """The tangent kernel of the last layer at infinite width.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    rates : LearningRates
    x : ndarray, shape (2, n_0)

    Returns
    -------
    Gap or None
        None where a variance leaves the range of floating point.
    """
    sigma, parity = mlp.activation, _parity(mlp.activation)
    norms = (x**2).mean(axis=1)
    away, towards = ((x[0] - x[1]) ** 2).mean(), ((x[0] + x[1]) ** 2).mean()
    sign = -1 if parity and towards < away else 1
    between = away if sign == 1 else towards
    bias = 0 if sign == 1 else 4
    K = mlp.C_b[0] + mlp.C_W[0] * norms
    gap_K = bias * mlp.C_b[0] + mlp.C_W[0] * between
    theta = rates.lambda_b[0] + rates.lambda_W[0] * norms
    gap = bias * rates.lambda_b[0] + rates.lambda_W[0] * between
    for k in range(1, mlp.depth):
        if not (np.isfinite(K).all() and (K > 1e-280).all() and np.isfinite(gap_K)):
            return None
        follows = sign == 1 or parity
        new_sign = 1 if parity == 1 or not follows else sign
        squares = expectations.second_moment(sigma, K)
        slopes = mean_square_slope(sigma, K)
        M, S = moments_of_gap(sigma, K, gap_K, sign, new_sign)
        across = sign * (theta.sum() - gap) / 2
        bias = 0 if new_sign == 1 else 4
        if follows:
            passed = (slopes[0] - slopes[1]) * (theta[0] - theta[1]) + slopes.sum() * gap
            passed = passed / 2 + sign * S * across
        else:
            K12 = sign * (K.sum() - gap_K) / 2
            passed = slopes @ theta - 2 * slope_covariance(sigma, K[0], K[1], K12) * across
        gap = bias * rates.lambda_b[k] + rates.lambda_W[k] * M + mlp.C_W[k] * passed
        theta = rates.lambda_b[k] + rates.lambda_W[k] * squares + mlp.C_W[k] * slopes * theta
        gap_K = bias * mlp.C_b[k] + mlp.C_W[k] * M
        K, sign = mlp.C_b[k] + mlp.C_W[k] * squares, new_sign
    return Gap(float(theta[0]), float(theta[1]), float(gap), sign)


def _parity(activation: Activation) -> int:
    """-1 of an odd function, 1 of an even one, 0 of others."""
    z = np.linspace(0.1, 4, 40)
    plus, minus = activation.function(z), activation.function(-z)
    return next((p for p in (-1, 1) if np.allclose(plus, p * minus, rtol=1e-12, atol=0)), 0)


def moments_of_gap(
    activation: Activation, K: np.ndarray, gap: float, sign: int = 1, new_sign: int = 1
) -> tuple[float, float]:
    """M = <(s_1 - new_sign s_2)^2> and S, the same of derivatives up to their own sign.

    Parameters
    ----------
    activation : Activation
    K : ndarray, shape (2,)
        Variances of z_1 and z_2.
    gap : float
        Variance of z_1 - sign z_2.
    """
    if activation.slopes is not None:
        return _two_slopes(*activation.slope_pair, K, gap, sign, new_sign)
    if activation.name in ("sin", "cos"):
        sine, cosine = _trigonometric(K, gap)
        return (sine, cosine) if activation.name == "sin" else (cosine, sine)
    if gap > _WIDE * K.sum():
        K12 = sign * (K.sum() - gap) / 2
        M = expectations.second_moment(activation, K).sum()
        M -= 2 * new_sign * expectations.covariance(activation, K[0], K[1], K12)
        S = mean_square_slope(activation, K).sum()
        # The derivative of an odd function is even, and the other way round.
        S -= 2 * sign * new_sign * slope_covariance(activation, K[0], K[1], K12)
        return float(M), float(S)
    return _narrow(activation, K, gap)


def _two_slopes(
    plus: float, minus: float, K: np.ndarray, gap: float, sign: int, new_sign: int
) -> tuple[float, float]:
    """With sigma(z) = even |z| + odd z."""
    odd, even = (plus + minus) / 2, (plus - minus) / 2
    size = np.sqrt(K)
    apart = (K[0] - K[1]) ** 2 / size.sum() ** 2
    # 4 |z_1| |z_2| sin^2(t/2) and cos^2(t/2), t the angle between z_1 and sign z_2.
    near, far = max(gap - apart, 0.0), max((2 * K.sum() - gap) - apart, 0.0)
    t = 2 * np.arctan2(np.sqrt(near), np.sqrt(far))
    product = size.prod()
    if odd and even and sign != new_sign:
        # Of opposite inputs no slope but 0 is near the other's.
        t = np.pi - t
        return (
            float(odd**2 * (2 * K.sum() - gap) + even**2 * _of_sizes(apart, product, t)),
            float(4 * even**2 * t / np.pi),
        )
    M = odd**2 * gap + even**2 * _of_sizes(apart, product, t)
    return float(M), float(4 * even**2 * t / np.pi)


def _of_sizes(apart: float, product: float, t: float) -> float:
    """<(|z_1| - |z_2|)^2> at an angle, from <|z_1 z_2|> of Cho and Saul (2009)."""
    t = min(t, np.pi - t)
    if t < 0.1:
        rest = t**3 / 3 - t**5 / 30 + t**7 / 840 - t**9 / 45360
    else:
        rest = np.sin(t) - t * np.cos(t)
    return apart + 2 * product * (2 * np.sin(t / 2) ** 2 - 2 / np.pi * rest)


def _trigonometric(K: np.ndarray, gap: float) -> tuple[float, float]:
    """<(sin z_1 - sin z_2)^2> and the same of cos, by products of sin and cos of z_1 -+ z_2."""
    moved = -np.expm1(-gap / 2)
    h = (K[0] - K[1]) / 2
    both = np.exp(-(K.sum() - gap / 2)) * (moved - 2 * np.exp(-gap / 2) * np.sinh(h) ** 2)
    return float(moved + both), float(moved - both)


def _narrow(activation: Activation, K: np.ndarray, gap: float) -> tuple[float, float]:
    """A gap that is small beside the variances: squares of differences, by quadrature."""
    u, weight = expectations.line_rule(40)
    v, other = np.polynomial.hermite_e.hermegauss(24)
    size = np.sqrt(K[0])
    along = (K[0] - K[1] + gap) / 2 / size
    across = np.sqrt(max(gap - along**2, 0.0))
    d = along * u[:, None] + across * v
    middle = size * u[:, None] - d / 2
    of = activation.jet(middle)
    first = d * (of[1] + d**2 / 24 * (of[3] + d**2 / 80 * of[5]))
    second = d * (of[2] + d**2 / 24 * of[4])
    high, low = activation.jet(middle + d / 2), activation.jet(middle - d / 2)
    wide = np.abs(d) > _STEP
    first = np.where(wide, high[0] - low[0], first)
    second = np.where(wide, high[1] - low[1], second)
    other = other / np.sqrt(2 * np.pi)
    return float(weight @ first**2 @ other), float(weight @ second**2 @ other)
