"""The last layer of an ensemble as estimators of tangent kernels see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finitewidth.estimate.ntk.scaled_kernels import Tangents
from finitewidth.estimate.samples import Samples, lacking

Array = np.ndarray


class Variables(dict[str, Array]):
    """Variables of the samples; what is not among them is told in a sentence."""

    def __missing__(self, name: str) -> Array:
        raise ValueError(lacking(name))


@dataclass(frozen=True)
class LastLayer:
    """The last layer of an ensemble.

    Attributes
    ----------
    samples : Samples
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    tangents : Tangents
        Tangent kernels, outputs and conditional kernels of the families that are estimated.
    read : mapping
        Variables of the samples that these families need, (network, ...) each.
    """

    samples: Samples
    bounds: Array
    tangents: Tangents
    read: Mapping[str, Array]
