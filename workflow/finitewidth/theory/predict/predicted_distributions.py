"""What theory says of distributions, order by order; returns as in ``predicted_moments``."""

from __future__ import annotations

import numpy as np

from finitewidth.core.bins import EDGES, PROBABILITIES, QUANTILE_U
from finitewidth.theory.distributions import scale_invariant
from finitewidth.theory.mlp import exact
from finitewidth.theory.predict.case import Case, Orders


def distribution(case: Case) -> dict[str, Orders]:
    """Law of z/sqrt(G): bins and quantiles."""
    shapes = {"histogram": (*case.shape, len(EDGES) - 1), "quantile": (*case.shape, 25)}
    result = {
        name: {order: np.full(shape, np.nan) for order in ("infinite_width", "exact")}
        for name, shape in shapes.items()
    }
    if case.log_growth is not None:
        for name, shape in shapes.items():
            result[name]["double_scaling"] = np.full(shape, np.nan)

    def fill(
        order: str, k: int, where: np.ndarray | np.intp, cdf: np.ndarray, quantile: np.ndarray
    ) -> None:
        result["histogram"][order][k, where] = np.maximum(np.diff(cdf), 0.0)
        result["quantile"][order][k, where] = quantile

    gaussian = scale_invariant.normal_plus_uniform_cdf(EDGES, 0.0), QUANTILE_U
    dead = exact.dead_fraction(case.mlp, case.x, case.layers) if case.has_slopes else None
    for k, layer in enumerate(case.layers):
        alive = ~np.isneginf(case.log_K[k])
        if case.is_normal:
            fill("infinite_width", k, alive, *gaussian)
            if layer == 1:
                fill("exact", k, alive, *gaussian)
        elif layer > 1:
            # A uniform bias stays uniform at any width; in layer 1 so do the weights.
            for a in np.flatnonzero(alive & np.isfinite(case.log_K[k])):
                share = case.mlp.C_b[layer - 1] / case.K[k, a] if case.mlp.C_b[layer - 1] else 0.0
                cdf = scale_invariant.normal_plus_uniform_cdf(EDGES, share)
                quantile = scale_invariant.normal_plus_uniform_quantile(PROBABILITIES, share)
                fill("infinite_width", k, a, cdf, quantile)
        if case.log_growth is not None and dead is not None and alive.any():
            atom = dead[k][alive][0]
            for order, law, zero in (
                ("exact", scale_invariant.log_square(case.mlp, layer), atom),
                ("double_scaling", scale_invariant.log_normal_square(case.log_growth[k, 0]), 0.0),
            ):
                cdf = scale_invariant.symmetric_cdf(law, EDGES, zero)
                quantile = scale_invariant.symmetric_quantile(law, PROBABILITIES, zero)
                fill(order, k, alive, cdf, quantile)
    return result


def log_norm(case: Case) -> dict[str, Orders]:
    """Law of the log-norm, given that the layer is not dead, and how often it is."""
    zero = np.isneginf(case.log_K)
    dead = {"infinite_width": zero.astype(float)}
    if case.has_slopes:
        dead["exact"] = exact.dead_fraction(case.mlp, case.x, case.layers)
    names = ("infinite_width", "exact", "double_scaling")
    mean, variance = ({o: np.full(case.shape, np.nan) for o in names} for _ in range(2))
    bins = {o: np.full((*case.shape, len(EDGES) - 1), np.nan) for o in names}

    def fill(order: str, k: int, law: scale_invariant.LogLaw) -> None:
        # Every input has the same law up to a shift by half of its log G.
        mean[order][k] = np.where(zero[k], np.nan, law.mean + case.log_K[k] / 2)
        variance[order][k] = np.where(zero[k], np.nan, law.variance)
        if law.variance > 0:
            bins[order][k, ~zero[k]] = scale_invariant.standard_bins(law, EDGES)

    for k, layer in enumerate(case.layers):
        gaussian = scale_invariant.gaussian_log_norm(case.mlp.widths[layer])
        if case.is_normal or (layer > 1 and not case.mlp.C_b[layer - 1]):
            fill("infinite_width", k, gaussian)
        if case.is_normal and layer == 1:
            fill("exact", k, gaussian)
        if case.log_growth is not None:
            fill("exact", k, scale_invariant.log_norm(case.mlp, layer))
            fill("double_scaling", k, scale_invariant.log_normal(case.log_growth[k, 0]).scaled(0.5))
    return {
        "dead_fraction": dead,
        "log_norm_mean": mean,
        "log_norm_variance": variance,
        "log_norm_histogram": bins,
    }
