"""How evenly attention looks at tokens: the entropy of its scores, layer by layer."""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife
from finitewidth.estimate.preactivations.layer import Layer


def attention_entropies(layer: Layer) -> dict[str, Estimate]:
    """The family ``attention_entropy``; not measured in layers without attention."""
    values = layer.read("entropy")
    sums = block_sums(lambda at: {"x": values[at]}, layer.bounds)
    rounding = layer.samples.rounding
    mean = jackknife(sums, layer.bounds, lambda s, count: s["x"] / count, rounding=rounding)
    without = np.isnan(values).all(axis=0)
    return {"attention_entropy": mean.doubted(without, Reason.NOT_MEASURED)}
