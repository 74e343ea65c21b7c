"""Estimates of the sizes of the orders in 1/n, from how much networks fluctuate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp import expansions
from finitewidth.theory.mlp_ntk import ntk_chain
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.predict.case import Case

#: The spread where no fluctuations are known, in units of the sum of 1/n: that of ReLU.
STEEP = 5.0


class Steps(NamedTuple):
    """Sizes of the orders of an expansion, (T,) each; powers of 1/n are included."""

    spread: np.ndarray  #: of the first order, in the unit of the quantity
    step: np.ndarray  #: of each further order, in units of the one before


def steps(
    mlp: Perceptron, x: np.ndarray, layers: Sequence[int], rates: LearningRates | None = None
) -> Steps:
    """How large orders of 1/n are, about: for kernels, or with ``rates`` for tangent kernels.

    The spread is Var(Ghat)/K^2, or Var(Theta)/Theta^2, to first order. The step of kernels is the
    ratio of the second order of Var(Ghat) to the first, which on one input is known; for curved
    activations it is at least their spread, since that ratio may vanish by chance. The step of
    tangent kernels is half the sum of both spreads. Where only layers beyond the second add to a
    step, their share of the sum of 1/n is taken: layer 1 is Gaussian, and layer 2 has one order.

    Parameters
    ----------
    mlp : Perceptron
    x : ndarray, shape (N, n_0)
        The largest of all inputs counts.
    layers : sequence of int
    rates : LearningRates, optional
    """
    case = Case(mlp, np.asarray(x, dtype=float), list(layers), 0, None)
    tau = np.cumsum([0.0, *(1 / np.array(mlp.widths[1:-1]))])
    first = tau[min(1, len(tau) - 1)] if case.is_normal else 0.0
    tau = tau[np.array(layers) - 1]
    later = np.divide(tau - first, tau, out=np.zeros_like(tau), where=tau > first)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if case.is_normal:
            one = case.relative_orders
            kernel = _largest(np.abs(one.variance_1), STEEP * tau)
            ratio = np.where(one.variance_1 > 0, np.abs(one.variance_2 / one.variance_1), 0.0)
            step = _largest(ratio, STEEP * tau)
            if not case.has_slopes:
                step = np.maximum(step, kernel * later)
        else:
            if case.has_slopes:
                kernel = np.abs(expansions.leading_order(mlp, case.x, layers).four_point)
            else:
                # The first layer is not Gaussian, as if it had come out of few neurons.
                few = np.sum(case.x**4, axis=1) / np.sum(case.x**2, axis=1) ** 2
                kernel = STEEP * (tau[:, None] + np.where(np.isfinite(few), few, 0.0))
            step = kernel = _largest(kernel, STEEP * tau)
        if rates is None:
            return Steps(kernel, step)
        spread = np.full((len(layers), 1), np.nan)
        if case.is_normal:
            moments = ntk_chain.first_order(mlp, rates, case.x, layers)
            theta = infinite_width_ntk(mlp, rates, case.x, layers)
            theta = np.diagonal(theta, axis1=1, axis2=2)
            spread = (moments.A + 2 * moments.B) / theta**2
    spread = _largest(np.abs(spread), kernel)
    return Steps(spread, np.maximum(step, later * (kernel + spread) / 2))


def _largest(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """The largest of each row's finite numbers; where there is none, that of ``otherwise``."""
    finite = np.where(np.isfinite(values), values, -np.inf).max(axis=1)
    return np.where(np.isneginf(finite), otherwise, finite)
