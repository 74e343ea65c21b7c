"""A test of normality that sees finite width: the dispersion of the layer's squared radius.

Gaussian preactivations of a layer of n neurons have a squared radius r^2 = sum_i z_i^2 that is a
constant times a chi-squared variable with n degrees of freedom. At finite width the constant varies
from network to network, and r^2 varies more: for a linear network, relative variance 2/n in the
first layer and about 2l/n in layer l, so that from layer to layer the signal grows at any width.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

#: Samples under the null hypothesis; one more is a multiple of 20, which makes the level 5 % exact.
NULL_SAMPLES = 3999


def dispersion(radii: Array) -> Array:
    """Variance over squared mean along the last axis; scale-free.

    Parameters
    ----------
    radii : array, shape (..., network)
        Squared radii in any unit; zeros (dead layers) are allowed, if not all are zero.

    Returns
    -------
    array, shape (...)
    """
    with np.errstate(all="ignore"):
        return np.var(radii, axis=-1) / np.mean(radii, axis=-1) ** 2


def null_dispersions(
    width: int, networks: int, rng: np.random.Generator, number: int = NULL_SAMPLES
) -> Array:
    """Sorted dispersions of ``number`` groups of Gaussian networks, shape (number,).

    They depend on the width and the size of a group alone, so one sample serves all groups.
    """
    rows = max(1, 2**20 // networks)
    parts = [
        dispersion(rng.chisquare(width, (min(rows, number - start), networks)))
        for start in range(0, number, rows)
    ]
    return np.sort(np.concatenate(parts))


def p_value(observed: Array | float, null: Array) -> float:
    """One-sided Monte Carlo p-value (1 + #{null >= observed})/(1 + M); NaN if unknown.

    Valid at any M (Davison and Hinkley 1997, Bootstrap Methods and their Application, sec. 4.2).

    Parameters
    ----------
    observed : float
    null : array, shape (M,)
        Sorted.
    """
    if not np.isfinite(observed):
        return float("nan")
    at_least = null.size - np.searchsorted(null, observed)
    return float((1 + at_least) / (1 + null.size))
