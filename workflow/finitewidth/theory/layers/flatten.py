"""Flattening at infinite width: a mean over places."""

from __future__ import annotations

from math import prod

import numpy as np

from finitewidth.models.layers.flatten import Flatten
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step


@step.register
def _flatten(layer: Flatten, before: Kernels, rates: RatesLeft) -> Kernels:
    """Means over places, each of one input with the same place of the other."""
    places = prod(before.shape[1:])
    nngp = _over_places(before.nngp, places)
    ntk = None if before.tangents is None else _over_places(before.ntk, places)
    return Kernels(layer.shape_after(before.shape), nngp, ntk, gaussian=before.gaussian)


def _over_places(kernel: np.ndarray, places: int) -> np.ndarray:
    *several, rows, _ = kernel.shape
    each = kernel.reshape(*several, rows // places, places, rows // places, places)
    return np.einsum("...apbp->...ab", each) / places
