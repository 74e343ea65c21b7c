"""By how much more orders beyond the first count at late times, and after long steps."""

from __future__ import annotations

import numpy as np

from finitewidth.theory.training.moments import Moment

#: Rates that are tried, an odd number so that the mean is among them; and the logarithm of what no
#: row is multiplied beyond.
_GRID, _MOST = 201, 600.0


def lateness(moment: Moment, rate: np.ndarray, variance: np.ndarray, power: int = 1) -> np.ndarray:
    """What is left where a rate happens to be low, over what is left of the mean rate.

    Of a mode of rate x + h, h normal, the mean of a ``power`` of what is left is about that at the
    likeliest h, which at late times is far from 0. So the largest of left(x + h)^power
    e^(-h^2/(2 s)) is held against left(x)^power.

    Parameters
    ----------
    moment : Moment
    rate, variance : arrays of one shape
        x and s; where either is 0 nothing grows.
    power : int

    Returns
    -------
    array
        Of at least 1.
    """
    h = np.linspace(-1, 1, _GRID) * rate[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = power * np.log(np.abs(moment.left(rate[..., None] + h)))
        grown = left - np.where(h == 0, 0.0, h**2 / (2 * variance[..., None]))
        grown = np.max(grown, axis=-1) - power * np.log(np.abs(moment.left(rate)))
    return np.exp(np.clip(np.where((rate > 0) & (variance > 0), grown, 0.0), 0.0, _MOST))
