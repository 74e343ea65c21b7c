"""Mean tangent kernel over the networks of each rung of a ladder.

The samples are already averaged over the backward pass. What is left, E[Theta | forward pass], is a
function of the normals of the layers before, so the controls of
:mod:`finitewidth.estimate.coupled.controls` apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.estimate.coupled.driven_layers import chains, units
from finitewidth.estimate.coupled.kernel_moments import (
    Moments,
    bearable,
    choices,
    is_flat,
    joined,
    moments_of,
)
from finitewidth.estimate.coupled.ladder import Ladder
from finitewidth.estimate.errors.cumulant_errors import KernelLaw
from finitewidth.estimate.errors.jackknife import Sums, block_sums
from finitewidth.estimate.errors.mean_errors import widened_mean
from finitewidth.estimate.samples import Samples

Array = np.ndarray


def ntk_mean(samples: Samples, bounds: Array) -> Moments:
    """E[Theta_ab] of each rung and layer, ``estimate`` of shape (rung, layer, pair).

    Parameters
    ----------
    samples : Samples
        With ``conditional_ntk``; controls are taken from here, if there are any.
    bounds : array of int, shape (block + 1,)

    Raises
    ------
    ValueError
        Where the samples hold no tangent kernels.
    """
    ntk, pair_list = samples.values("conditional_ntk"), pairs(samples.size("input"))
    unit = units(ntk, pair_list)
    least = ntk.min(axis=0)
    # Exactly 0 where nothing varies, as in the first layer.
    center = np.where(ntk.max(axis=0) == least, least, ntk.mean(axis=0)) / unit
    parts, orders = [], []
    for rung, chain in enumerate(chains(samples, pair_list, tangent=True)):

        def targets(at: slice, rung: int = rung) -> Array:
            return ntk[at, rung] / unit[rung] - center[rung]

        chain = chain if np.isfinite(ntk[:, rung]).all() else None
        own, most = choices(chain, samples.layers, targets)
        orders.append(most)

        def features(at: slice, own: Callable[[slice], Array] = own) -> dict[str, Array]:
            return {"x": own(at)}

        parts.append(block_sums(features, bounds))

    def mean(s: Sums, count: Array) -> Array:
        return s["x"] / count + center

    found = moments_of(joined(parts), bounds, mean, unit, bearable(samples, orders), 1)
    found = found.doubted(is_flat(samples, ntk, unit))
    single = ntk[..., pair_list[:, 0] == pair_list[:, 1]]
    law = KernelLaw.of(single, samples.widths, samples.layers, 1).over(pair_list)
    plain = found.order == 0
    estimate, rungs = widened_mean(found.estimate, found.rungs, law, samples.networks, plain)
    return replace(found, estimate=estimate, rungs=rungs)


def of_ladder(ladder: Ladder) -> dict[str, Moments]:
    """The family ``ntk_mean``."""
    return {"ntk_mean": ntk_mean(ladder.samples, ladder.bounds)}
