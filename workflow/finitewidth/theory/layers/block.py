"""A block at infinite width: the skip and the branch are uncorrelated, and their kernels add."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.block import Block
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _block(layer: Block, before: Kernels, rates: RatesLeft) -> Kernels:
    """gamma^2 times the one plus beta^2 times the other, of both kernels.

    A matrix in the branch is fresh, so that either factor of a product of both may have its mean
    taken first; one of them must have mean 0. Else nothing is known: NaN.
    """
    after = before
    for inner in layer.branch:
        after = step(inner, after, rates)
    branch = layer.beta**2
    nngp, ntk = branch * after.nngp, None if after.tangents is None else branch * after.ntk
    gaussian = after.gaussian
    if layer.gamma:
        mixed = any(layer.maps) and (before.gaussian or after.gaussian)
        skip = layer.gamma**2 if mixed else np.nan
        nngp = skip * before.nngp + nngp
        ntk = None if ntk is None else skip * before.ntk + ntk
        gaussian = before.gaussian and after.gaussian
    return Kernels(after.shape, nngp, ntk, gaussian=gaussian)
