"""How far ways of computing a tangent kernel are from each other."""

from __future__ import annotations

import numpy as np

from finitewidth.estimate.errors import Estimate, block_sums, jackknife
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
    share = gap / np.abs(kernels[:, own]).max(axis=(1, 2, 3, 4))[:, None]
    sums = block_sums(lambda at: {"x": share[at]}, bounds)
    found = jackknife(sums, bounds, lambda s, count: s["x"] / count)
    value = np.where(np.arange(len(ways)) == own, np.nan, found.value)
    trusted = found.trusted & np.isfinite(value)
    return Estimate(value, found.stderr, trusted)
