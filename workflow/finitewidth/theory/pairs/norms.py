"""Norms over channels, for pairs of inputs."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step


@step.register
def _norm(layer: RmsNorm | LayerNorm, before: Pairs, rates: RatesLeft) -> Pairs:
    """Both kernels over sqrt((K_aa + eps)(K_bb + eps)); a dead row stays one."""
    one, two = before.sides.next(before)
    if before.layout == "diagonal":
        return before.with_kernels((one.variance * _scale(one.variance, layer.eps) ** 2).T, None)
    scales = (_scale(side.variance, layer.eps) for side in (one, two))
    both = before.rows(next(scales)) * before.columns(next(scales))
    both = both.reshape(before.nngp.shape)
    ntk = None if before.ntk is None else before.ntk * both
    return before.with_kernels(before.nngp * both, ntk)


def _scale(variance: np.ndarray, eps: float) -> np.ndarray:
    square = variance + eps
    return 1 / np.sqrt(np.where(square <= 0, np.inf, square))
