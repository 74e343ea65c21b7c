"""How far training moves a prediction from that of a kernel that stands still: its mean square.

Two layers, one training input, one output. Then z and n dH are jointly Gaussian at large n, dH
being D^2 z[g, g], g = Lambda grad z: sums over neurons j with weights W_j of variance C_W/n,

    dH = sum_j (lambda_W/n) W_j X_j + W_j^3 Y_j,  X = 2 s s'^2 Theta,  Y = s'' s'^2 Theta^2,

s, Theta of layer 1. Motion is a dH e^2 + b e^3 with the second differentials at their means
(docs/theory.md 12.7, derived here); of more layers the variance of dH is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.training.ddntk import has_kink
from finitewidth.theory.training.first_order import FirstOrder
from finitewidth.theory.training.lateness import lateness
from finitewidth.theory.training.moments import Moment
from finitewidth.theory.training.path_coefficients import coefficients
from finitewidth.theory.training.path_means import fourth

#: Nodes of Gauss-Hermite quadrature, exact for polynomials of twice that degree.
_NODES = 8


@dataclass(frozen=True)
class MotionSquare:
    """At one moment; square and size hold their 1/n^2."""

    square: float  #: E(z - z_lin)^2
    size: float  #: of its terms, as if none cancelled
    late: float  #: by how much more the next order counts


def is_known(mlp: Perceptron) -> bool:
    """Whether the mean square is known of such networks, trained on one input."""
    return mlp.depth == 2 and mlp.widths[-1] == 1 and mlp.weights == "normal" and not has_kink(mlp)


def variance_of_differential(mlp: Perceptron, rates: LearningRates, x: np.ndarray) -> float:
    """E dH^2 at one input x (1, n_0) of networks that :func:`is_known` names, with its 1/n^2."""
    K = infinite_width(mlp, x, [1])[0, 0, 0]
    theta = infinite_width_ntk(mlp, rates, x, [1])[0, 0, 0]
    C_W, lambda_W = mlp.C_W[1], rates.lambda_W[1]

    def square(z: np.ndarray) -> np.ndarray:
        s, slope, bend, *_ = mlp.activation.jet(z)
        X, Y = 2 * s * slope**2 * theta, bend * slope**2 * theta**2
        return lambda_W**2 * X**2 + 6 * lambda_W * C_W * X * Y + 15 * C_W**2 * Y**2

    return C_W * float(expectation(square, K)) / mlp.widths[1] ** 2


def motion_square(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    y: float,
    moments: Sequence[Moment],
    *,
    centred: bool = False,
) -> list[MotionSquare]:
    """E(z - z_lin)^2 at the training input, to leading order, 1/n^2, at each of the moments.

    Parameters
    ----------
    mlp, rates
        As :func:`is_known` names them.
    x : array, shape (1, n_0)
    y : float
        The target.
    moments : sequence of Moment
        Rising.
    centred : bool
        Whether the function at the start is subtracted.
    """
    t = FirstOrder(mlp, rates, x, np.array([[y]]), centred=centred).tensors
    spread = variance_of_differential(mlp, rates, x)
    K, with_z = float(t.K[0, 0]), float(t.dHz[0, 0, 0, 0])
    slope = with_z / K if K > 0 else 0.0
    own = spread - slope * with_z
    u, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    u, weight = u * K**0.5, weight / weight.sum()
    e = u + t.mean[0]
    found = []
    lam = np.atleast_1d(infinite_width_ntk(mlp, rates, x, [mlp.depth])[0, 0])
    varied = t.hh[0, 0, 0, 0].reshape(1)
    for path, moment in zip(coefficients(lam, moments), moments, strict=True):
        # O3 = 2 dH on one input.
        a = 2 * path.move[0, 0, 0] + path.turn[0, 0, 0]
        b = fourth(t, path)[0, 0, 0, 0]
        square = (a * slope * u * e**2 + b * e**3) ** 2 + a**2 * own * e**4
        size = 2 * (a * slope * u * e**2) ** 2 + 2 * (b * e**3) ** 2 + a**2 * own * e**4
        late = float(lateness(moment, lam, varied, 2)[0])
        found.append(MotionSquare(float(weight @ square), float(weight @ size), late))
    return found
