"""A dense map at infinite width."""

from __future__ import annotations

from finitewidth.models.layers.dense import Dense
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _dense(layer: Dense, before: Kernels, rates: RatesLeft) -> Kernels:
    """K' = C_b + C_W K and Theta' = lambda_b + lambda_W K + C_W Theta, K of what the map sees."""
    nngp, ntk = layer.C_b + layer.C_W * before.nngp, None
    if before.tangents is not None:
        lambda_b, lambda_W = next(rates)
        ntk = lambda_b + lambda_W * before.nngp + layer.C_W * before.passed * before.tangents
    return Kernels((layer.neurons, *before.shape[1:]), nngp, ntk, gaussian=True)
