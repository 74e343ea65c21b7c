"""How skew a log-normal variable is: what a moment of deep networks is like."""

from __future__ import annotations

import numpy as np

#: Variances of a logarithm beyond this are alike: no ensemble would do.
MOST = 20.0


def skewness(variance: np.ndarray | float) -> np.ndarray:
    """(e^v + 2) sqrt(e^v - 1), v being the variance of the logarithm, taken as ``MOST`` at most
    (Aitchison and Brown 1957, The Lognormal Distribution, section 2.3)."""
    v = np.minimum(variance, MOST)
    return (np.exp(v) + 2) * np.sqrt(np.expm1(v))


#: Skewness that the mean of plain networks may have before a population takes its place, less than
#: what such a mean is trusted with. Sooner where the law itself is drawn from, or a layer is a few
#: numbers: that costs little, and has the smaller errors from there on.
_ENOUGH = {False: 0.1, True: 0.05}


def asks_for_population(
    spread: np.ndarray | float, networks: int, *, exact: bool = False
) -> np.ndarray:
    """Whether so many plain networks are too few for a mean.

    Parameters
    ----------
    spread : array or float
        The variance of the logarithm, by a pilot: the choice must not look at what is estimated.
    networks : int
    exact : bool
        Whether the population costs little: it is drawn from the law itself, or layers are short.
    """
    return skewness(spread) > _ENOUGH[exact] * np.sqrt(networks)
