"""Reading a variable of a netCDF file that somebody else wrote."""

from __future__ import annotations

import numpy as np


def values(variable) -> np.ma.MaskedArray:
    """All values of a variable of ``netCDF4``, in their own type, the missing ones masked."""
    said = {"_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"}
    if np.dtype(variable.dtype).itemsize == 1 and said.isdisjoint(variable.ncattrs()):
        # netCDF4 takes 255 for a missing value where nothing says so; in an image it is white.
        variable.set_auto_mask(False)
    return np.ma.asarray(variable[...])
