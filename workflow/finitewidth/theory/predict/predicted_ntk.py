"""What theory says of tangent kernels of the last layer, order by order.

As :mod:`finitewidth.theory.predict.predicted_moments`: a function returns {quantity: {order:
array}}, here without a layer; NaN where an order says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp_ntk import (
    near_singular,
    ntk_chain,
    ntk_exact,
    ntk_vertex,
    scaling_limits,
)
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.predict.case import Orders

#: Beyond so many inputs tensors over four of them cost too much: each input is taken alone.
MOST_INPUTS = 3
#: Eigenvalues closer than this share of the largest are one: perturbing them is another matter.
_DEGENERATE = 1e-6
#: Eigenvalues under so many roundings of the largest are not known from the matrix itself.
_LOST = 100 * np.finfo(float).eps
#: Relative errors of tensors of first order, in units of their largest entry: without kinks and
#: with them (docs/theory.md 8.3). And the largest error that a correction may have, in units of
#: what it corrects.
_KNOWN, _AT_KINKS, _WANTED = 1e-9, 1e-12, 1e-3


@dataclass(frozen=True)
class TangentCase:
    """One member's networks, rates and inputs x (N, n_0)."""

    mlp: Perceptron
    rates: LearningRates
    x: np.ndarray

    @property
    def inputs(self) -> int:
        """N."""
        return len(self.x)

    @cached_property
    def is_normal(self) -> bool:
        """Whether the weights are normal."""
        return self.mlp.weights == "normal"

    @cached_property
    def theta(self) -> np.ndarray:
        """Infinite width, (N, N); NaN where a bias that is not normal stays so."""
        mlp = self.mlp
        if not self.is_normal and not mlp.activation.is_linear and any(mlp.C_b[: mlp.depth - 1]):
            return np.full((self.inputs,) * 2, np.nan)
        # Sums over infinitely many neurons do not know the law of one weight.
        normal = replace(mlp, weights="normal")
        return infinite_width_ntk(normal, self.rates, self.x, [mlp.depth])[0]

    @cached_property
    def first(self) -> dict[str, np.ndarray]:
        """Tensors A, B, D, F, P, Q (N, N, N, N) and H1 (N, N) to order 1/n; NaN where unknown."""
        N, names = self.inputs, ("A", "B", "D", "F", "P", "Q")
        found = {name: np.full((N,) * 4, np.nan) for name in names}
        found["H1"] = np.full((N, N), np.nan)
        if not self.is_normal:
            return found
        layers = [self.mlp.depth]
        if 1 < N <= MOST_INPUTS:
            whole = ntk_vertex.first_order(self.mlp, self.rates, self.x, layers)
            for name in found:
                found[name] = getattr(whole, name)[0].copy()
        alone = ntk_chain.first_order(self.mlp, self.rates, self.x, layers)
        own = np.arange(N)
        for name in names:
            found[name][own, own, own, own] = getattr(alone, name)[0]
        found["H1"][own, own] = alone.H1[0]
        return found

    @property
    def is_first_order(self) -> bool:
        """Whether the first order is all there is: the layer before the last is Gaussian."""
        return self.is_normal and self.mlp.depth <= 2

    @cached_property
    def exact(self) -> ntk_exact.SecondMoments | None:
        """Second moments of each input alone, two slopes and normal weights only."""
        if self.mlp.activation.slopes is None or not self.is_normal:
            return None
        return ntk_exact.second_moments(self.mlp, self.rates, self.x, [self.mlp.depth])

    def on_diagonal(self, values: np.ndarray, dims: int) -> np.ndarray:
        """``values`` (N,) at (a, a, ...) of an array of ``dims`` dimensions, NaN elsewhere."""
        result = np.full((self.inputs,) * dims, np.nan)
        result[(np.arange(self.inputs),) * dims] = values
        return result


def ntk(case: TangentCase) -> dict[str, Orders]:
    """Mean, variance and second moment."""
    N, own = case.inputs, np.arange(case.inputs)
    theta, zero = case.theta, np.zeros((case.inputs,) * 4)
    A, B, H1 = (case.first[name] for name in ("A", "B", "H1"))
    variance = A + B + B.swapaxes(2, 3)
    known = np.full((N, N), np.nan)
    if case.is_first_order:
        known = theta
    diagonal = theta[own, own]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 1 + variance[own, own, own, own] / diagonal**2
    second = {"infinite_width": np.ones(N), "1/n": ratio}
    spread: Orders = {"infinite_width": zero, "1/n": variance}
    if case.is_first_order:
        spread["exact"], second["exact"] = variance.copy(), ratio.copy()
    if case.exact is not None:
        of = case.exact
        known = np.where(np.isnan(known), case.on_diagonal(of.H[0], 2), known)
        alone = case.on_diagonal(of.aa[0] + 2 * of.bb[0] - of.H[0] ** 2, 4)
        spread["exact"] = _filled(alone, spread.get("exact"))
        second["exact"] = of.ratio[0]
        if not any(case.mlp.C_b) and not any(case.rates.lambda_b):
            limit = scaling_limits.ratio_of(case.mlp, case.rates, [case.mlp.depth])
            second["double_scaling"] = np.full(N, limit[0])
    return {
        "ntk": {"infinite_width": theta, "1/n": theta + H1, "exact": known},
        "ntk_variance": {order: _by_pairs(values) for order, values in spread.items()},
        "ntk_second_moment": second,
    }


def ntk_tensors(case: TangentCase) -> dict[str, Orders]:
    """A, B, D and F."""
    exact = {}
    if (of := case.exact) is not None:
        exact = {
            "A": of.aa[0] - of.H[0] ** 2,
            "B": of.bb[0],
            "D": of.dd[0] - of.G[0] * of.H[0],
            "F": of.ff[0],
        }
    shaped = {"A": _by_pairs, "B": _by_couples, "D": _by_pairs, "F": _by_couples}
    return {
        f"ntk_{name}": _tensor(case, name, shape, exact.get(name)) for name, shape in shaped.items()
    }


def dntk(case: TangentCase) -> dict[str, Orders]:
    """P and Q."""
    return {f"dntk_{name}": _tensor(case, name, _by_couples, None) for name in ("P", "Q")}


def ntk_spectrum(case: TangentCase) -> dict[str, Orders]:
    """Eigenvalues over the inputs, by perturbation theory to second order in the fluctuations."""
    N = case.inputs
    unknown = np.full(N, np.nan)
    if np.isnan(case.theta).any():
        return {
            "ntk_eigenvalue": {"infinite_width": unknown},
            "ntk_log_condition": {"infinite_width": np.array(np.nan)},
        }
    value, v = np.linalg.eigh(case.theta)
    value, v = _eigenvalues(case, value[::-1]), v[:, ::-1]
    A, B, H1 = (case.first[name] for name in ("A", "B", "H1"))
    covariance = A + B + B.swapaxes(2, 3)
    # Cov of v_k . Theta v_m with itself, and the mean shift of each eigenvalue.
    spread = np.einsum("ak,bm,ck,dm,abcd->km", v, v, v, v, covariance)
    shift = np.einsum("ak,bk,ab->k", v, v, H1)
    gap = np.nan_to_num(value)[:, None] - np.nan_to_num(value)
    near = np.abs(gap) < _DEGENERATE * np.nanmax(np.abs(value))
    apart = np.where(near, np.inf, gap)
    shift = shift + (spread / apart).sum(1)
    shift = np.where((near & ~np.eye(N, dtype=bool)).any(1), np.nan, shift)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of entries of order 1 little is left along an eigenvector of a small eigenvalue.
        known = _KNOWN
        if case.mlp.activation.derivatives is None:
            # At a kink terms of order 1/t^2 cancel, t the angle, and eigenvalues go like t.
            known += _AT_KINKS / (value.min() / value.max()) ** 2
        most = known * np.array([np.abs(H1).max(), np.abs(covariance).max()])
        lost = most[0] + most[1] / np.abs(apart).min(1)
        shift = np.where(lost <= _WANTED * value, shift, np.nan)
        log = np.log(value)
        # E[log(lambda + d)] = log lambda + E[d]/lambda - E[d^2]/(2 lambda^2).
        log_first = log + shift / value - np.diagonal(spread) / (2 * value**2)
        log_first = np.where(most[1] <= _WANTED * value**2, log_first, np.nan)
    return {
        "ntk_eigenvalue": {"infinite_width": value, "1/n": value + shift},
        "ntk_log_condition": {
            "infinite_width": np.array(log[0] - log[-1]),
            "1/n": np.array(log_first[0] - log_first[-1]),
        },
    }


def _eigenvalues(case: TangentCase, value: np.ndarray) -> np.ndarray:
    """Eigenvalues at infinite width, (N,), from those of the matrix, the largest first.

    Of two inputs they are right however close these are to each other or to being opposite
    (:mod:`finitewidth.theory.mlp_ntk.near_singular`); of more, those that are rounding are NaN, or
    0 where inputs are equal.
    """
    if case.inputs == 2:
        found = near_singular.two_inputs(replace(case.mlp, weights="normal"), case.rates, case.x)
        if found is not None:
            return found.eigenvalues()
    equal = case.inputs - len(np.unique(case.x, axis=0))
    lost = (value <= case.inputs * _LOST * value[0]) & (value != 0)
    value = np.where(lost, np.nan, value)
    value[case.inputs - equal :] = 0.0
    return value


def _tensor(
    case: TangentCase,
    name: str,
    shape: Callable[[np.ndarray], np.ndarray],
    exact: np.ndarray | None,
) -> Orders:
    first = case.first[name]
    orders = {"infinite_width": shape(np.zeros((case.inputs,) * 4)), "1/n": shape(first)}
    known = first.copy() if case.is_first_order else None
    if exact is not None:
        known = _filled(case.on_diagonal(exact, 4), known)
    if known is not None:
        orders["exact"] = shape(known)
    return orders


def _filled(values: np.ndarray, otherwise: np.ndarray | None) -> np.ndarray:
    """``values``, and where they are NaN what is known otherwise."""
    return values if otherwise is None else np.where(np.isnan(values), otherwise, values)


def _by_pairs(tensor: np.ndarray) -> np.ndarray:
    """(N, N, N, N) to unordered pairs, (P, P)."""
    a, b = pairs(len(tensor)).T
    return tensor[a[:, None], b[:, None], a, b]


def _by_couples(tensor: np.ndarray) -> np.ndarray:
    """(N, N, N, N) to ordered pairs, (N^2, N^2)."""
    return tensor.reshape(len(tensor) ** 2, -1)
