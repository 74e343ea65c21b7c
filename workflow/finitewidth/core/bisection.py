"""The inverse of an increasing function, for arrays of values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def invert(
    increasing: Callable[[np.ndarray], np.ndarray],
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    steps: int = 64,
) -> np.ndarray:
    """Where ``increasing`` takes each of ``values``: bisection, all of them at once.

    Never leaves the interval: of a value that the function does not reach there, the nearer end.

    Parameters
    ----------
    increasing : function
        Of an array, shape (...), elementwise.
    values : array_like, shape (...)
    low, high : array_like, shape (...) or ()
        Ends of the interval.
    steps : int
        Halvings; 64 is more than a double has digits, as the ends may be of different signs.

    Returns
    -------
    ndarray, shape (...)
    """
    values = np.asarray(values, dtype=float)
    low = np.broadcast_to(np.asarray(low, dtype=float), values.shape)
    high = np.broadcast_to(np.asarray(high, dtype=float), values.shape)
    for _ in range(steps):
        middle = (low + high) / 2
        below = increasing(middle) < values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
