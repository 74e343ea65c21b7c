"""Norms over channels at infinite width."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _rms_norm(layer: RmsNorm, before: Kernels, rates: RatesLeft) -> Kernels:
    """Both kernels over sqrt((K_rr + eps)(K_ss + eps)): what else its Jacobian has is O(1/n)."""
    return _scaled(before, layer.eps)


@step.register
def _layer_norm(layer: LayerNorm, before: Kernels, rates: RatesLeft) -> Kernels:
    """The same of Gaussian channels, whose mean over channels is 0; NaN of any other."""
    return _scaled(before, layer.eps if before.gaussian else np.nan)


def _scaled(before: Kernels, eps: float) -> Kernels:
    square = np.diagonal(before.nngp) + eps
    # A dead row stays one.
    scale = 1 / np.sqrt(np.where(square <= 0, np.inf, square))
    both = np.outer(scale, scale)
    ntk = None if before.tangents is None else before.ntk * both
    return Kernels(before.shape, before.nngp * both, ntk, gaussian=before.gaussian)
