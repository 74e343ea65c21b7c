"""Arrays whose numbers are placed by labels, so that no index has to be kept in step with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

#: Dimension -> its labels, in the order of the dimensions.
Labels = Mapping[str, Sequence | np.ndarray]


def filled(value: float, labels: Labels) -> xr.DataArray:
    """An array of one number along the dimensions of ``labels``, to write into by ``.loc``."""
    shape = tuple(len(each) for each in labels.values())
    coords = {dim: list(each) for dim, each in labels.items()}
    return xr.DataArray(np.full(shape, value), coords, tuple(labels))


def nothing(labels: Labels) -> xr.DataArray:
    """The same of NaN."""
    return filled(np.nan, labels)
