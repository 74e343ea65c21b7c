"""What rounding leaves of a number: a spread or a value below it is no measurement."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

#: Relative error of a sum over neurons, by the precision in which networks were computed. In double
#: precision, sums over networks lose as much by rounding as the networks do. A jackknife multiplies
#: that loss by up to the root of its blocks, hence more than 2^-53.
ROUNDING = {"float32": 2.0**-24, "float64": 2.0**-42}

#: Of the rounding of one network: what all of them may have in common (0.06 was measured of the
#: smallest eigenvalues of explicit tangent kernels), and what they may have by chance.
_COMMON, _CHANCE = 0.25, 4.0


def least_error(rounding: Array | float, networks: int) -> Array | float:
    """The standard error up to which a mean over ``networks`` networks may be rounding alone.

    Parameters
    ----------
    rounding : array or float
        How far rounding may move the number of one network.
    networks : int
    """
    return rounding * (_COMMON + _CHANCE / np.sqrt(networks))


def of_products(rounding: float, first: Array, second: Array) -> Array:
    """How far ``rounding`` of two numbers of order 1 moves the product of their deviations.

    Parameters
    ----------
    rounding : float
    first, second : array
        Root mean squares of the deviations, of shapes that broadcast against each other.
    """
    return rounding * (first + second) + rounding**2
