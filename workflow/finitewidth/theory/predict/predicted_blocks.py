"""What theory says of members made of blocks, family by family.

A function here takes a :class:`~finitewidth.theory.predict.block_case.BlockCase` and returns
{quantity: {order: array}}, as those of perceptrons do: infinite width, and the first order in 1/n
of covariances and four-point functions. Where nothing is known nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.core.bins import EDGES, QUANTILE_U
from finitewidth.core.indices import pairs, quads
from finitewidth.quantities.vocabulary import LEVEL, SAMPLES, TESTS
from finitewidth.theory.distributions import scale_invariant
from finitewidth.theory.mlp.linear import pairings
from finitewidth.theory.predict import predicted_collapse, predicted_jacobians, predicted_signals
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.case import Orders
from finitewidth.theory.predict.predicted_moments import cosines, first_order_cosines

Told = dict[str, Orders]


def _covariance(case: BlockCase) -> Told:
    orders = {"infinite_width": case.kernel}
    if case.first_order is not None:
        orders["1/n"] = case.kernel + case.first_order[0]
    orders["exact"] = np.where(case.is_linear[:, None, None], case.kernel, np.nan)
    same = np.eye(case.neurons, dtype=bool)[:, :, None, None]
    zero = np.zeros_like(case.kernel) * case.gaussian[:, None, None]
    independent = case.is_independent[:, None, None]
    # Channels that a norm has bound to each other are so to order 1/n.
    apart = {order: np.where(case.is_normed[:, None, None] & (order == "1/n"), np.nan, zero)
             for order in orders}  # fmt: skip
    apart["exact"] = np.where(independent, 0 * orders["exact"], np.nan)
    return {
        "covariance": orders,
        "neuron_covariance": {
            order: np.where(same, G[:, None, None], apart[order][:, None, None])
            for order, G in orders.items()
        },
        "cross_covariance": {
            "infinite_width": zero,
            "exact": np.where(independent, 0 * case.kernel, np.nan),
        },
    }


def _correlation(case: BlockCase) -> Told:
    orders = {"infinite_width": cosines(case.kernel)}
    if case.first_order is not None:
        orders["1/n"] = first_order_cosines(case.kernel, case.first_order[0])
    return {"correlation": orders}


def _four_point(case: BlockCase) -> Told:
    N = case.shape[1]
    (a, b), q, own = pairs(N).T, quads(N), np.arange(N)
    # At infinite width channels are Gaussian, and independent.
    known = case.gaussian[:, None, None, None, None]
    tensors = {"infinite_width": known * np.zeros((len(case.layers), N, N, N, N))}
    if case.first_order is not None:
        tensors["1/n"] = case.first_order[1]
    return {
        "four_point": {o: V[:, a[:, None], b[:, None], a, b] for o, V in tensors.items()},
        "four_point_same": {o: pairings(V)[(slice(None), *q.T)] for o, V in tensors.items()},
        "intralayer": {o: V[:, own, own, own, own] for o, V in tensors.items()},
    }


def _alive(case: BlockCase) -> np.ndarray:
    """1 where channels are Gaussian and not 0 at infinite width, else NaN: (T, N)."""
    return np.where(case.K > 0, 1.0, np.nan) * case.gaussian[:, None]


def _six_point(case: BlockCase) -> Told:
    return {"six_point": {"infinite_width": np.zeros(case.shape) * case.gaussian[:, None]}}


def _kurtosis(case: BlockCase) -> Told:
    own = np.arange(case.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = {"infinite_width": 0 * _alive(case)}
        if case.first_order is not None:
            orders["1/n"] = 3 * case.first_order[1][:, own, own, own, own] / case.K**2
    return {"excess_kurtosis": orders}


def _distribution(case: BlockCase) -> Told:
    alive = _alive(case)[:, :, None]
    bins = np.diff(scale_invariant.normal_plus_uniform_cdf(EDGES, 0.0))
    return {
        "histogram": {"infinite_width": bins * alive},
        "quantile": {"infinite_width": QUANTILE_U * alive},
    }


def _log_norm(case: BlockCase) -> Told:
    names = ("log_norm_mean", "log_norm_variance", "log_norm_histogram")
    bins = (*case.shape, len(EDGES) - 1)
    found = {name: np.full(case.shape, np.nan) for name in names[:2]}
    found[names[2]] = np.full(bins, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_K = np.log(case.K) * _alive(case)
    for place, width in enumerate(case.widths):
        if case.is_normed[place]:
            # The norm of a row is what its own norm makes of it.
            continue
        law = scale_invariant.gaussian_log_norm(width)
        found["log_norm_mean"][place] = law.mean + log_K[place] / 2
        found["log_norm_variance"][place] = law.variance + 0 * log_K[place]
        found["log_norm_histogram"][place] = scale_invariant.standard_bins(law, EDGES)
        found["log_norm_histogram"][place][np.isnan(log_K[place])] = np.nan
    orders = {name: {"infinite_width": values} for name, values in found.items()}
    if case.first_order is not None:
        own = np.arange(case.shape[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = case.first_order[0][:, own, own] / case.K
            spread = case.first_order[1][:, own, own, own, own] / case.K**2
        # log(1 + d) = d - d^2/2 of what the covariance of the channels is off by; halved.
        mean, variance = shift / 2 - spread / 4, spread / 4
        orders[names[0]]["1/n"] = found[names[0]] + mean
        orders[names[1]]["1/n"] = found[names[1]] + variance
        if case.is_scale_invariant:
            # Logarithms add up, and the sum is normal: what is of order 1/n at a given depth is the
            # limit of depth and width together. The channels of one layer count for nothing there.
            orders[names[0]]["double_scaling"] = log_K / 2 + mean
            orders[names[1]]["double_scaling"] = variance + 0 * log_K
            shape = np.diff(scale_invariant.normal_plus_uniform_cdf(EDGES, 0.0))
            wide = np.where(variance > 0, 1.0, np.nan)[:, :, None]
            orders[names[2]]["double_scaling"] = shape * wide
    dead = np.where(np.isnan(case.K), np.nan, (case.K == 0).astype(float))
    return {"dead_fraction": {"infinite_width": dead}, **orders}


def _quadruple(case: BlockCase) -> Told:
    floor = np.full(case.shape, np.sqrt(2 / (np.pi * (case.networks or np.nan))))
    floor = floor * _alive(case)
    exact = {"ensemble": np.full(case.shape, np.nan), "gaussian": floor}
    return {"quadruple": {"infinite_width": np.stack([floor for _ in SAMPLES]),
                          "exact": np.stack([exact[name] for name in SAMPLES])}}  # fmt: skip


def _normality(case: BlockCase) -> Told:
    """As of perceptrons (`predicted_tests.py`); no layer of results is exactly Gaussian."""
    shape = (len(TESTS), len(SAMPLES), *case.shape)
    infinite, exact = np.full(shape, LEVEL), np.full(shape, np.nan)
    of = {name: place for place, name in enumerate(TESTS)}
    ensemble, gaussian = SAMPLES.index("ensemble"), SAMPLES.index("gaussian")
    infinite[of["radial"], ensemble] = np.nan
    for test in ("hotelling_mean", "radial"):
        exact[of[test], gaussian] = LEVEL
    alive = _alive(case)
    return {"rejection_rate": {"infinite_width": infinite * alive, "exact": exact * alive}}


#: Family of layers -> what is said of it.
OF_LAYERS: dict[str, Callable[[BlockCase], Told]] = {
    "covariance": _covariance,
    "correlation": _correlation,
    "four_point": _four_point,
    "six_point": _six_point,
    "kurtosis": _kurtosis,
    "distribution": _distribution,
    "log_norm": _log_norm,
    "quadruple": _quadruple,
    "normality": _normality,
    "gradient_norm": predicted_signals.of_blocks,
    "jacobian": predicted_jacobians.of_blocks,
    "active_share": predicted_signals.shares_of_blocks,
    "attention_entropy": predicted_signals.entropies_of_blocks,
    "rank_collapse": predicted_collapse.of_blocks,
}


def _ntk(case: BlockCase) -> Told:
    N, P = len(case.x), len(pairs(len(case.x)))
    return {
        "ntk": {"infinite_width": case.theta},
        "ntk_variance": {"infinite_width": np.zeros((P, P))},
        "ntk_second_moment": {"infinite_width": np.ones(N)},
    }


def _ntk_tensors(case: BlockCase) -> Told:
    P, C = len(pairs(len(case.x))), len(case.x) ** 2
    size = {"A": P, "B": C, "D": P, "F": C}
    return {f"ntk_{name}": {"infinite_width": np.zeros((k, k))} for name, k in size.items()}


def _ntk_spectrum(case: BlockCase) -> Told:
    value = np.full(len(case.x), np.nan)
    if np.isfinite(case.theta).all():
        value = np.linalg.eigvalsh(case.theta)[::-1]
        # What is rounding of the largest tells nothing.
        value = np.where(value > 1e-10 * value[0], value, np.nan)
    log = np.log(value)
    return {"ntk_eigenvalue": {"infinite_width": value},
            "ntk_log_condition": {"infinite_width": np.array(log[0] - log[-1])}}  # fmt: skip


#: Family of the last layer -> what is said of it, without the dimension of layers.
OF_LAST_LAYER: dict[str, Callable[[BlockCase], Told]] = {
    "ntk": _ntk,
    "ntk_tensors": _ntk_tensors,
    "ntk_spectrum": _ntk_spectrum,
}
