"""ReLU's motion of order n^{-1/2}, on one training input and one output.

A gate that closes while a network learns has no gradient and never opens again: the tangent kernel
loses at order n^{-1/2}, and the prediction lags. Per layer l, of n neurons with z ~ N(0, K_l), the
gates that lie within reach of zero are a share n^{-1/2}, which gives (docs/theory.md 12.6, derived
here)

    E[H(t) - H(0)] = -n^{-1/2} kappa E|q|,    E[z(t) - z_lin(t)] = n^{-1/2} kappa E[e|e|] c(t),

kappa = sum_l Theta_l^2 beta_l^{3/2}/(pi sqrt(K_l)), beta_l the variance of z's derivatives by
z^(l), times n; e = z(0) - y, q = e (1 - e^{-Theta t})/Theta, and c(t) that of O3 e e.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp_ntk import ntk_chain
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.training.lateness import lateness
from finitewidth.theory.training.moments import Moment
from finitewidth.theory.training.path_coefficients import coefficients


@dataclass(frozen=True)
class HalfOrder:
    """At the training input and one moment; motion and drift hold their n^{-1/2}."""

    motion: float  #: E[z - z of a kernel that stands still]
    drift: float  #: E[H(t) - H(0)]
    late: float  #: by how much more the next order of the motion counts


def is_covered(mlp: Perceptron) -> bool:
    """Whether the law is known of such networks, trained on one input."""
    relu = mlp.activation.slopes == (1.0, 0.0) and mlp.weights == "normal"
    hidden = mlp.widths[1:-1]
    return relu and mlp.widths[-1] == 1 and len(hidden) > 0 and len(set(hidden)) == 1


def half_order(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    y: float,
    moments: list[Moment],
    *,
    centred: bool = False,
) -> list[HalfOrder]:
    """At each of the moments, which rise; of networks that :func:`is_covered` names.

    Parameters
    ----------
    x : array, shape (1, n_0)
    y : float
        The target.
    """
    L, hidden = mlp.depth, range(1, mlp.depth)
    K = infinite_width(mlp, x, [*hidden, L])[:, 0, 0]
    theta = infinite_width_ntk(mlp, rates, x, [*hidden, L])[:, 0, 0]
    C_W = np.array(mlp.C_W)
    # From the last hidden layer down: one map without a gate, and a gate for each further one.
    beta = np.array([C_W[layer] * np.prod(C_W[layer + 1 :] / 2) for layer in hidden])
    kappa = np.sum(theta[:-1] ** 2 * beta**1.5 / (np.pi * np.sqrt(K[:-1])))
    kappa = float(kappa) / mlp.widths[1] ** 0.5
    size, square = _folded(-y, 0.0 if centred else float(K[-1]))
    found = []
    lam = theta[-1:]
    first = ntk_chain.first_order(mlp, rates, x, [L])
    spread = (first.A + 2 * first.B).ravel()
    for moment, path in zip(moments, coefficients(lam, moments), strict=True):
        reach = float(moment.progress(lam)[0])
        c = float(path.move[0, 0, 0] + path.turn[0, 0, 0] / 2)
        late = float(lateness(moment, lam, spread)[0])
        found.append(HalfOrder(kappa * square * c, -kappa * size * reach, late))
    return found


def _folded(mean: float, variance: float) -> tuple[float, float]:
    """E|e| and E[e|e|] of a normal e."""
    if variance == 0:
        return abs(mean), mean * abs(mean)
    s = variance**0.5
    u = mean / s
    density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    odd = 2 * ndtr(u) - 1
    return float(s * (2 * density + u * odd)), float(s * s * ((1 + u * u) * odd + 2 * u * density))
