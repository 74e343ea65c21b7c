"""Estimates from a ladder of widths: statistics of the conditional kernel, rung by rung.

The conditional kernel is what is left of a layer when the noise of its own neurons is averaged out
by hand (Rao and Blackwell): E[z_a z_b] is the expectation of Ghat_ab, and the connected four-point
correlator of two neurons is the covariance of Ghat_ab and Ghat_cd.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from finitewidth.estimate.coupled.kernel_moments import Moments
from finitewidth.estimate.coupled.ladder import Ladder
from finitewidth.estimate.dataset import dataset
from finitewidth.estimate.errors.jackknife import BLOCKS, Estimate, block_bounds
from finitewidth.estimate.errors.not_finite import lost_networks
from finitewidth.estimate.population.beside import Beside
from finitewidth.estimate.samples import Samples
from finitewidth.quantities.held import Sizes, apart, estimated, try_out
from finitewidth.quantities.vocabulary import DESCRIBED, FROM_LADDER, OF_LADDERS


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
        Of ``vocabulary.FROM_LADDER``.
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
        if family not in FROM_LADDER:
            raise ValueError(f"unknown family {family!r}; allowed are {', '.join(FROM_LADDER)}")
    ladder = Ladder(whole, block_bounds(whole.networks, blocks))
    more = apart(ladder.sizes, rung=len(whole.widths), layer=len(whole.layers))
    found: dict[str, Estimate | Moments] = {}
    with np.errstate(all="ignore"):
        for described in OF_LADDERS:
            if described.name in families:
                found |= estimated(described, ladder, ladder.sizes)
                if more:
                    try_out(described, partial(_other_axes, whole, more, ladder.bounds))
    beside = _beside(ladder)
    if beside is not None:
        found = {name: _with_populations(name, m, beside) for name, m in found.items()}
    estimates = {n: m.estimate if isinstance(m, Moments) else m for n, m in found.items()}
    result = dataset(estimates, whole.layers, whole.widths, whole.size("input"), width_along="rung")
    for name, m in found.items():
        if isinstance(m, Moments):
            about = DESCRIBED[name]
            attributes = {"long_name": f"covariance over rungs of {about.meaning}", "units": "1"}
            dims = ("rung", "rung_", *about.dims[1:])
            result[f"{name}_rungs"] = (dims, m.rungs, attributes)
            result[name].attrs["estimator"] = m.estimator
    if beside is not None:
        result = result.assign(beside.variables(("rung", "layer")))
    return result.assign(lost_networks(whole, estimates))


def _other_axes(
    whole: Samples, more: Mapping[str, int], bounds: np.ndarray
) -> tuple[Ladder, Sizes]:
    other = Ladder(whole.again(**more), bounds)
    return other, other.sizes


def _beside(ladder: Ladder) -> Beside | None:
    populations = ladder.samples.populations
    if populations is None:
        return None
    kernel, inputs = ladder.kernel, ladder.samples.size("input")
    return Beside(populations, lambda r, k: kernel[:, r, k], ladder.bounds, inputs)


def _with_populations(name: str, m: Estimate | Moments, beside: Beside) -> Estimate | Moments:
    """The same with estimates of populations; those of one rung share nothing with another's."""
    if not isinstance(m, Moments):
        return beside.put(name, m, "")
    whole = beside.put(name, m.estimate, m.estimator)
    if name not in beside.taken:
        return m
    rungs, taken = m.rungs.copy(), beside.taken[name][1] > 0
    rungs[taken[:, None] | taken[None, :]] = 0.0
    for rung, layer in np.argwhere(taken):
        rungs[rung, rung, layer] = whole.stderr[rung, layer] ** 2
    return replace(m, estimate=whole, rungs=rungs)
