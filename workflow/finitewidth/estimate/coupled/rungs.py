"""Estimates from a ladder of widths: statistics of the conditional kernel, rung by rung.

The conditional kernel is what is left of a layer when the noise of its own neurons is averaged out
by hand (Rao and Blackwell): E[z_a z_b] is the expectation of Ghat_ab, and the connected four-point
correlator of two neurons is the covariance of Ghat_ab and Ghat_cd.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.core.reasons import Reason
from finitewidth.estimate.coupled.kernel_moments import Moments, kernel_moments
from finitewidth.estimate.coupled.ntk_mean import ntk_mean
from finitewidth.estimate.dataset import QUANTITIES, dataset
from finitewidth.estimate.errors.jackknife import (
    BLOCKS,
    Estimate,
    block_bounds,
    block_sums,
    jackknife,
    stack,
)
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead
from finitewidth.estimate.errors.not_finite import lost_networks
from finitewidth.estimate.preactivations import lognorm
from finitewidth.estimate.samples import Samples

Array = np.ndarray


def _log_kernel(diagonal: Array, bounds: Array, rounding: float) -> dict[str, Estimate]:
    """Mean, variance and histogram of log Ghat_aa, over networks that are not dead."""
    logs = np.log(diagonal)
    parts = ("mean", "variance", "histogram")

    def of_one(values: Array) -> dict[str, Estimate]:
        found = lognorm.log_norm(values, bounds, rounding)
        return {f"log_kernel_{part}": found[f"log_norm_{part}"] for part in parts}

    return _everywhere(of_one, logs)


def _inverse_kernel(diagonal: Array, bounds: Array, rounding: float) -> dict[str, Estimate]:
    """E[1/Ghat_aa]; unknown where a network is dead, for it is infinite."""

    def of_one(values: Array) -> dict[str, Estimate]:
        dead = np.sum(values == 0)
        if dead:
            return {"inverse_kernel_mean": Estimate.unknown((), Reason.DEAD, dead)}
        sums = block_sums(lambda at: {"1/g": 1 / values[at, None]}, bounds)
        own = rounding * np.mean(1 / values)
        mean = jackknife(sums, bounds, lambda s, count: s["1/g"] / count, rounding=own)
        ahead = skewness_ahead(values, -1)
        return {"inverse_kernel_mean": doubt_unseen(mean.take(0), ahead)}

    return _everywhere(of_one, diagonal)


#: Family -> its quantities from the kernels (network, rung, layer, input) of single inputs, or None
#: for those that take those of pairs.
FAMILIES: dict[str, Callable | None] = {
    "kernel_moments": None,
    "ntk_mean": None,
    "log_kernel": _log_kernel,
    "inverse_kernel": _inverse_kernel,
}


def estimate_ladder(
    samples: Sequence[xr.Dataset],
    families: Collection[str],
    *,
    seed: int,
    ensemble: str,
    member: str,
    blocks: int = BLOCKS,
) -> xr.Dataset:
    """Estimate families of quantities from a ladder's samples.

    Parameters
    ----------
    samples : sequence of xarray.Dataset
        The shards; together they hold the networks 0 to N-1, each once. The result does not depend
        on how the networks are divided among them.
    families : collection of str
        Of ``FAMILIES``.
    seed, ensemble, member
        As for any other ensemble; nothing here is random.
    blocks : int
        Blocks of networks of the jackknife, at most.

    Returns
    -------
    xarray.Dataset
        As :func:`finitewidth.estimate.dataset.dataset` makes it; moments of the kernel also
        have ``<name>_rungs``, the covariance of the estimates of any two rungs, and an attribute
        ``estimator`` that says how the variance was reduced.

    Raises
    ------
    ValueError
        In one sentence: for an unknown family, samples that are not a ladder's, missing or
        repeated networks, or fewer than 50 networks.
    """
    whole = Samples(samples)
    for family in families:
        if family not in FAMILIES:
            raise ValueError(f"unknown family {family!r}; allowed are {', '.join(FAMILIES)}")
    kernel, bounds = whole.values("conditional_kernel"), block_bounds(whole.networks, blocks)
    inputs = whole.size("input")
    diagonal = kernel[..., [a == b for a, b in pairs(inputs)]]
    found: dict[str, Estimate] = {}
    moments: dict[str, Moments] = {}
    with np.errstate(all="ignore"):
        if "kernel_moments" in families:
            moments = kernel_moments(whole, kernel, bounds)
        if "ntk_mean" in families:
            moments["ntk_mean"] = ntk_mean(whole, bounds)
        found |= {name: m.estimate for name, m in moments.items()}
        for family, function in FAMILIES.items():
            if family in families and function:
                found |= function(diagonal, bounds, whole.rounding)
    result = dataset(found, whole.layers, whole.widths, inputs, width_along="rung")
    for name, m in moments.items():
        dims, long_name = QUANTITIES[name]
        about = {"long_name": f"covariance over rungs of {long_name}", "units": "1"}
        result[f"{name}_rungs"] = (("rung", "rung_", *dims[1:]), m.rungs, about)
        result[name].attrs["estimator"] = m.estimator
    return result.assign(lost_networks(whole, found))


def _everywhere(function: Callable[[Array], dict], values: Array) -> dict[str, Estimate]:
    """Apply a function of networks to each rung, layer and input of (network, ...) ``values``."""
    if values.ndim == 1:
        return function(values)
    each = [_everywhere(function, values[:, k]) for k in range(values.shape[1])]
    return {name: stack([one[name] for one in each]) for name in each[0]}
