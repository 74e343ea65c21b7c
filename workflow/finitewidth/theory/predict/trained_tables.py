"""Tables of predictions of trained networks, each number placed by the labels of its dimensions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from finitewidth.core.labelled import Labels, nothing

ORDERS = ("chance", "spectrum", "marchenko_pastur", "tracy_widom", "simulation", "published")
STATES = ("start", "trained")
SPLITS = ("train", "validation")
CENTRINGS = ("uncentred", "centred")
#: Draws of each simulation: its error is then a tenth of the spread of one measurement or less.
DRAWS = 100


def table(
    labels: Labels,
    dims: Sequence[str],
    orders: Mapping[str, ArrayLike],
    about: Mapping[str, str],
    **place: Hashable | Sequence | np.ndarray,
) -> xr.Variable:
    """A quantity with the dimension ``order`` before ``dims``, NaN where nothing is said.

    Parameters
    ----------
    labels : mapping
        Of every dimension, ``order`` among them.
    dims : sequence of str
    orders : mapping
        Order of theory -> its values: a number, or an array along the dimensions that ``place``
        leaves or gives several labels of.
    about : mapping
        Attributes, as :func:`described` makes them.
    place
        Where these values stand: a label, or several, of a dimension; everywhere along the others.
    """
    result = nothing({dim: labels[dim] for dim in ("order", *dims)})
    for order, values in orders.items():
        result.loc[{"order": order, **place}] = values
    return xr.Variable(result.dims, result.values, dict(about))


def described(what: str, equation: str) -> dict[str, str]:
    """Attributes of a quantity, with the section of ``docs/theory.md`` that has its formula."""
    return {"long_name": what, "units": "1", "equation": f"docs/theory.md {equation}"}


def left_out(what: str, equation: str) -> dict[str, str]:
    """Attributes of what an order leaves out of a quantity."""
    return described(f"what an order leaves out of the {what}", equation)
