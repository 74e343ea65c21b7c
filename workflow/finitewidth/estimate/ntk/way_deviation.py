"""How far ways of computing a tangent kernel are from each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife
from finitewidth.estimate.ntk.last_layer import LastLayer
from finitewidth.estimate.samples import Samples

#: The way that the others are held against.
REFERENCE = "jacobian"


def way_deviation(samples: Samples, bounds: np.ndarray) -> Estimate:
    """Mean over networks of max |Theta - Theta_ref|/max |Theta_ref|, shape (way,).

    NaN for the reference itself, the contracted Jacobian.
    """
    kernels = samples.values("ntk_by_way")
    ways = [str(way) for way in samples.coordinate("way")]
    own = ways.index(REFERENCE)
    gap = np.abs(kernels - kernels[:, own : own + 1]).max(axis=(2, 3, 4, 5))
    size = np.abs(kernels[:, own]).max(axis=(1, 2, 3, 4))
    share = gap / size[:, None]
    sums = block_sums(lambda at: {"x": share[at]}, bounds)
    found = jackknife(sums, bounds, lambda s, count: s["x"] / count)
    dead = np.sum(size == 0)
    found = found.doubted(np.full(len(ways), dead > 0), Reason.DEAD, dead)
    itself = np.arange(len(ways)) == own
    found = found.doubted(itself, Reason.NOT_MEASURED)
    return replace(found, value=np.where(itself, np.nan, found.value))


def way_deviations(last: LastLayer) -> dict[str, Estimate]:
    """The family ``ntk_methods``."""
    return {"way_deviation": way_deviation(last.samples, last.bounds)}
