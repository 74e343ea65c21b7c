"""What theory says of moments, order by order.

A function here returns {quantity: {order: array}}; an order that says nothing is left out, a number
about which it says nothing is NaN. ``exact`` stands only where nothing is neglected.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.indices import pairs, quads
from finitewidth.quantities.vocabulary import SAMPLES
from finitewidth.theory.mlp import linear, mean_squares
from finitewidth.theory.predict.case import Case, Orders


def covariance(case: Case) -> dict[str, Orders]:
    """Kernels; different neurons are uncorrelated by symmetry, whatever the law of the weights."""
    orders = kernels(case)
    # Not a product with the unit matrix: where nothing is known, off-diagonals still are.
    same = np.eye(case.neurons, dtype=bool)[:, :, None, None]
    zero = np.zeros_like(case.kernel)
    return {
        "covariance": orders,
        "neuron_covariance": {
            order: np.where(same, G[:, None, None], 0.0) for order, G in orders.items()
        },
        "cross_covariance": {"infinite_width": zero, "exact": zero},
    }


def kernels(case: Case) -> Orders:
    """G = E[Ghat], (T, N, N)."""
    K, N = case.kernel, len(case.x)
    known = np.full(K.shape, np.nan)
    if case.mlp.activation.is_linear:
        known = K
    else:
        if case.has_slopes:
            known[:, range(N), range(N)] = case.K
        for k, layer in enumerate(case.layers):
            # The layers before are exactly Gaussian, or there are none.
            if layer == 1 or (layer == 2 and case.is_normal):
                known[k] = K[k]
    orders = {"infinite_width": K, "exact": known}
    if case.mean_1 is not None:
        orders["1/n"] = K + case.mean_1
        orders["1/n^2"] = np.full(K.shape, np.nan)
        second = orders["1/n"][:, range(N), range(N)] + case.second_order.mean_2
        orders["1/n^2"][:, range(N), range(N)] = second
    return orders


def correlation(case: Case) -> dict[str, Orders]:
    """G_ab/sqrt(G_aa G_bb), a ratio of means; NaN where an input leaves no trace."""
    orders = kernels(case)
    result = {order: cosines(orders[order]) for order in ("infinite_width", "exact")}
    if case.mean_1 is not None:
        result["1/n"] = first_order_cosines(case.kernel, case.mean_1)
    return {"correlation": result}


def first_order_cosines(K: np.ndarray, mean_1: np.ndarray) -> np.ndarray:
    """G_ab/sqrt(G_aa G_bb) to first order in G - K = ``mean_1``; both (T, N, N)."""
    size = np.sqrt(np.diagonal(K, axis1=1, axis2=2))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = mean_1 / size[:, :, None] / size[:, None, :]
    own, cosine = np.diagonal(relative, axis1=1, axis2=2), cosines(K)
    return cosine + relative - cosine * (own[:, :, None] + own[:, None, :]) / 2


def cosines(G: np.ndarray) -> np.ndarray:
    """G_ab/sqrt(G_aa G_bb), (T, N, N)."""
    size = np.sqrt(np.diagonal(G, axis1=1, axis2=2))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return G / size[:, :, None] / size[:, None, :]


def four_point(case: Case) -> dict[str, Orders]:
    """Connected four-point functions of two neurons and of one."""
    N = len(case.x)
    p, q = pairs(N), quads(N)
    infinite = linear.infinite_same(case.mlp, case.x, case.layers)
    orders = {"infinite_width": (np.zeros_like(infinite), infinite)}
    if case.mlp.activation.is_linear:
        orders["1/n"] = linear.first_order(case.mlp, case.x, case.layers)
        orders["exact"] = linear.four_point(case.mlp, case.x, case.layers)
        if case.log_growth is not None:
            V = linear.double_scaling(case.mlp, case.x, case.layers)
            orders["double_scaling"] = V, linear.pairings(V)
    else:
        cross, same = (case.only_in(1, values, N, N, N, N) for values in orders["infinite_width"])
        orders["exact"] = cross, same
        if case.first_order is not None:
            V = case.first_order.V
            orders["1/n"] = V.copy(), linear.pairings(V)
    for order, on_diagonal in _diagonal_four_point(case).items():
        if case.mlp.activation.is_linear and order != "1/n^2":
            continue
        orders.setdefault(order, (np.full_like(infinite, np.nan), np.full_like(infinite, np.nan)))
        for tensor, values in zip(orders[order], on_diagonal, strict=True):
            tensor[:, range(N), range(N), range(N), range(N)] = values
    if case.is_normal and "1/n" in orders:
        # Layer 1 is exactly Gaussian, so that layer 2 has nothing beyond the first order.
        for tensor, first in zip(orders["exact"], orders["1/n"], strict=True):
            second = (np.array(case.layers) == 2)[:, None, None, None, None]
            np.copyto(tensor, first, where=second & np.isnan(tensor))
    result: dict[str, Orders] = {"four_point": {}, "four_point_same": {}, "intralayer": {}}
    for order, (V, S) in orders.items():
        a, b = p.T
        result["four_point"][order] = V[:, a[:, None], b[:, None], a, b]
        result["four_point_same"][order] = S[(slice(None), *q.T)]
        result["intralayer"][order] = V[:, range(N), range(N), range(N), range(N)]
    return result


def _diagonal_four_point(case: Case) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each input alone: Var(Ghat) and the fourth cumulant of one neuron."""
    orders = {}
    if case.is_normal:
        _, _, _, first, second, _ = case.second_order
        orders["1/n"] = first, 3 * first
        orders["1/n^2"] = first + second, 3 * (first + second)
    if case.has_slopes:
        pair, same = case.pair_ratios
        ratios = case.leading_order
        with np.errstate(invalid="ignore", over="ignore"):
            square = case.K**2
            orders["exact"] = (pair - 1) * square, (same - 3) * square
            orders["1/n"] = ratios.four_point * square, ratios.kurtosis * square
            if case.log_growth is not None:
                V = np.expm1(case.log_growth) * square
                orders["double_scaling"] = V, 3 * V
    return orders


def six_point(case: Case) -> dict[str, Orders]:
    """Third cumulant of the conditional variance, each input alone."""
    orders = {"infinite_width": np.zeros(case.shape), "exact": case.only_in(1, 0.0, len(case.x))}
    if case.is_normal:
        orders["1/n^2"] = case.second_order.third_2
        # Nothing before layer 2 fluctuates.
        second = case.only_in(2, orders["1/n^2"], len(case.x))
        orders["exact"] = np.where(np.isnan(second), orders["exact"], second)
    if case.has_slopes and case.is_normal:
        _, two, three, _ = case.moment_ratios
        with np.errstate(invalid="ignore", over="ignore"):
            cube = case.K**3
            orders["exact"] = np.where(np.isinf(three), three, three - 3 * two + 2) * cube
            if case.log_growth is not None:
                e = np.exp(case.log_growth)
                # exp(3 s) - 3 exp(s) + 2 in factors, which do not cancel for small s.
                orders["double_scaling"] = np.expm1(case.log_growth) ** 2 * (e + 2) * cube
    return {"six_point": orders}


def kurtosis(case: Case) -> dict[str, Orders]:
    """Excess kurtosis; NaN where the preactivation is identically zero."""
    alive = np.where(np.isneginf(case.log_K), np.nan, 1.0)
    bias = case.mlp.excess_kurtosis * np.array([case.mlp.C_b[k - 1] for k in case.layers]) ** 2
    first = mean_squares.first_layer_cumulant(case.mlp, case.x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        infinite = np.where(bias[:, None] == 0, 0.0, bias[:, None] / case.K**2)
        infinite[np.array(case.layers) == 1] = first
        orders = {"infinite_width": infinite, "exact": case.only_in(1, first, len(case.x))}
        if case.is_normal:
            # 3 Var(Ghat)/E[Ghat]^2.
            _, mean, _, variance, second, _ = case.relative_orders
            orders["1/n"] = 3 * variance
            orders["1/n^2"] = 3 * (variance + second - 2 * variance * mean)
            in_two = case.only_in(2, orders["1/n"], len(case.x))
            orders["exact"] = np.where(np.isnan(in_two), orders["exact"], in_two)
        if case.has_slopes:
            orders["exact"] = case.pair_ratios[1] - 3
            orders["1/n"] = case.leading_order.kurtosis
            if case.log_growth is not None:
                orders["double_scaling"] = 3 * np.expm1(case.log_growth)
    return {"excess_kurtosis": {order: values * alive for order, values in orders.items()}}


def quadruple(case: Case) -> dict[str, Orders]:
    """The mean size of a connected correlator of four different neurons: its sampling noise.

    Raises
    ------
    ValueError
        If the number of networks is not known.
    """
    if not case.networks or case.networks < 1:
        raise ValueError("the statistic of quadruples depends on the number of networks: give it")
    alive = np.where(np.isneginf(case.log_K), np.nan, 1.0)
    floor = alive * np.sqrt(2 / (np.pi * case.networks))
    ensemble = floor * case.only_in(1, 1.0, len(case.x))
    if case.has_slopes and case.is_normal:
        # Var(z_i z_j z_k z_l) = E[Ghat^4], four different neurons being conditionally independent.
        ensemble = floor * np.sqrt(case.moment_ratios[3])
    known = {"ensemble": ensemble, "gaussian": floor}
    exact = np.stack([known[sample] for sample in SAMPLES])
    return {"quadruple": {"infinite_width": np.stack([floor for _ in SAMPLES]), "exact": exact}}
