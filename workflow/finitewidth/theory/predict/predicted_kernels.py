"""What theory says of the conditional kernels Ghat of a rung, order by order.

Returns as in ``predicted_moments``; the reference of a ladder gives its coefficients as well. The
weights are normal.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.bins import EDGES
from finitewidth.core.indices import pairs
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions import scale_invariant
from finitewidth.theory.mlp.criticality import AT_ZERO, critical_point
from finitewidth.theory.predict.case import Case, Orders, Rung
from finitewidth.theory.predict.predicted_moments import four_point, kernels, six_point

# C_W of a config that was typed in agrees with the critical one to so many digits.
_CRITICAL = 1e-6


def kernel_moments(rung: Rung) -> dict[str, Orders]:
    """Mean, covariance and third cumulant of Ghat: G, the four-point and the six-point function."""
    a, b = pairs(len(rung.x)).T
    return {
        "kernel_mean": {order: G[:, a, b] for order, G in kernels(rung).items()},
        "kernel_covariance": four_point(rung)["four_point"],
        "kernel_third": six_point(rung)["six_point"],
    }


def coefficients(reference: Case) -> dict[str, Orders]:
    """Coefficients of 1/n and 1/n^2 in the kernel moments of equally wide hidden layers.

    That of n^-k stands under the order that ends with it.
    """
    n, orders = reference.mlp.widths[1], reference.second_order
    a, b = pairs(len(reference.x)).T
    alone = np.flatnonzero(a == b)
    mean_1, mean_2 = np.full((2, len(reference.layers), len(a)), np.nan)
    covariance_2 = np.full((len(reference.layers), len(a), len(a)), np.nan)
    if reference.mean_1 is not None:
        mean_1 = n * reference.mean_1[:, a, b]
    mean_1[:, alone] = n * orders.mean_1
    mean_2[:, alone] = n**2 * orders.mean_2
    covariance_2[:, alone, alone] = n**2 * orders.variance_2
    return {
        "kernel_mean_1": {"1/n": mean_1},
        "kernel_mean_2": {"1/n^2": mean_2},
        "kernel_covariance_1": {"1/n": n * four_point(reference)["four_point"]["1/n"]},
        "kernel_covariance_2": {"1/n^2": covariance_2},
        "kernel_third_2": {"1/n^2": n**2 * orders.third_2},
    }


def log_kernel(rung: Rung) -> dict[str, Orders]:
    """Law of log Ghat, given that the network is not dead (which no expansion in 1/n sees)."""
    zero = np.isneginf(rung.log_K)
    log_K = np.where(zero, np.nan, rung.log_K)
    _, m, m2, v, v2, u = rung.relative_orders
    nothing = np.where(zero, np.nan, 0.0)
    # log(1 + d) = d - d^2/2 + d^3/3 - d^4/4 in the moments of d = Ghat/K - 1.
    mean = {"infinite_width": log_K, "1/n": log_K + m - v / 2}
    mean["1/n^2"] = mean["1/n"] + m2 - (v2 + m**2) / 2 + (u + 3 * v * m) / 3 - 3 * v**2 / 4
    variance = {
        "infinite_width": nothing,
        "1/n": nothing + v,
        "1/n^2": nothing + v + v2 - u - 2 * m * v + 5 * v**2 / 2,
    }
    bins = {}
    for order in ("exact", "double_scaling"):
        mean[order], variance[order] = np.full((2, *rung.shape), np.nan)
        bins[order] = np.full((*rung.shape, len(EDGES) - 1), np.nan)

    def fill(order: str, k: int, law: scale_invariant.LogLaw) -> None:
        mean[order][k] = law.mean + log_K[k]
        variance[order][k] = law.variance + nothing[k]
        bins[order][k, ~zero[k]] = scale_invariant.standard_bins(law, EDGES)

    for k, layer in enumerate(rung.layers):
        if layer == 1:
            # Nothing is random yet; there is no histogram.
            known = ("exact",) if rung.log_growth is None else ("exact", "double_scaling")
            for order in known:
                mean[order][k], variance[order][k] = log_K[k], nothing[k]
        elif rung.log_growth is not None:
            fill("exact", k, scale_invariant.log_kernel(rung.mlp, layer))
            fill("double_scaling", k, scale_invariant.log_normal(rung.log_growth[k, 0]))
    return {
        "log_kernel_mean": mean,
        "log_kernel_variance": variance,
        "log_kernel_histogram": bins,
    }


def inverse_kernel(rung: Rung) -> dict[str, Orders]:
    """E[1/Ghat]; inf where dead networks, or ones nearly dead, make it so."""
    with np.errstate(divide="ignore", over="ignore"):
        y = np.where(np.isneginf(rung.log_K), np.nan, np.exp(-rung.log_K))
    _, m, m2, v, v2, u = rung.relative_orders
    first = 1 - m + v
    # 1/(1 + d) = 1 - d + d^2 - d^3 + d^4.
    second = -m2 + v2 + m**2 - (u + 3 * v * m) + 3 * v**2
    known = np.full(rung.shape, np.nan)
    limit = np.full(rung.shape, np.nan)
    for k, layer in enumerate(rung.layers):
        if layer == 1:
            known[k] = y[k]
        elif rung.log_growth is not None:
            known[k] = _inverse_moment(rung, layer) * y[k]
    if rung.log_growth is not None:
        with np.errstate(over="ignore"):
            limit = np.exp(rung.log_growth) * y
    elif _is_critical_at_zero(rung.mlp):
        limit = _double_scaling(rung)
    orders = {"infinite_width": y, "1/n": y * first, "1/n^2": y * (first + second)}
    orders |= {"double_scaling": limit, "exact": known}
    return {"inverse_kernel_mean": orders}


def _inverse_moment(rung: Rung, layer: int) -> float:
    """E[G/Ghat] of a network whose exact law is known."""
    if 0 in rung.mlp.activation.slope_pair:
        # Any network may be dead.
        return np.inf
    law = scale_invariant.log_kernel(rung.mlp, layer)
    if law.lowest <= 1:
        return np.inf
    return float(np.exp(-law.mean + np.real(law.log_mgf(np.array(-1 + 0j)))))


def _is_critical_at_zero(mlp: Perceptron) -> bool:
    """Whether the network stands at a critical point of the class K* = 0."""
    if any(mlp.C_b):
        return False
    try:
        point = critical_point(mlp.activation)
    except ValueError:
        return False
    at_zero = point.universality_class == AT_ZERO
    return at_zero and np.allclose(mlp.C_W[1:], point.C_W, rtol=_CRITICAL, atol=0)


def _double_scaling(rung: Rung) -> np.ndarray:
    """E[1/Ghat] of the class K* = 0 as width and depth grow together, (T, N).

    There y = 1/Ghat obeys dy = (|a1| + 2y/n) dl - y sqrt(2/n) dB, whose mean is
    n |a1| (e^(2 tau) - 1)/2 + y_0 e^(2 tau), tau = (l - 1)/n. In place of |a1| stands what it is
    the limit of, the step of 1/K from layer to layer: in the limit that is the same, and at finite
    depth it makes 1/K of n to infinity, which approaches |a1| l with corrections of order log l.
    """
    y = rung.inverse_flow
    n, depth = rung.width, len(y)
    # The mean over one layer of exp(2 (time left)/n) that drift there is multiplied by.
    step = n * np.expm1(2 / n) / 2
    mean = np.empty_like(y)
    mean[0] = y[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, depth):
            mean[k] = np.exp(2 / n) * mean[k - 1] + step * (y[k] - y[k - 1])
    return mean[np.array(rung.layers) - 1]
