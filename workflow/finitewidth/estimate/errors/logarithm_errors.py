"""The error of the variance of a logarithm, such as that of a layer's norm.

The logarithm of a product of many factors is nearly normal, with a longer tail to the left: that of
one narrow layer falls off like an exponential. So few networks carry much of the variance, and the
jackknife's error is small just where the variance is. To trust only ensembles that show no symptom
picks those that lack their tail. The law is known well enough to do better: a gamma variable has
such a tail, and the one parameter that fixes its shape is read off L-moments, which depend little
on the networks that were met.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import (
    EVEN,
    GAYEN,
    added,
    gamma_moments,
    l_skewness,
    without_symptoms,
)
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: Fewest networks that a variance of logarithms is believed of: with 50, z of the logarithm of one
#: squared Gaussian has a standard deviation of 1.6 even so.
LEAST = 100
#: Largest believable skewness of the estimate.
_LIMIT = 1.2
#: What is added to the square of the error beside Gayen's term, relative to it and in units of
#: 1/networks as far as the law counts (a fit).
_OF_FEW = 10.0
#: L-skewness is a sixth of the skewness of a variable that is nearly normal.
_TO_SKEWNESS, _MOST = 6.0, 6.0


def widened_variance(estimate: Estimate, values: Array) -> Estimate:
    """The variance of logarithms with an error that z is 1 in the mean square of.

    Where the law's error is the larger one it counts by a geometric mean with the jackknife's,
    whose weight is N/(N + 1000). For the mean of N numbers of skewness s, E[t^2] =
    1 + (3 + 2 s^2)/N + ... (Gayen 1949, Biometrika 36, 353).

    Parameters
    ----------
    estimate : Estimate, shape ()
        The variance, with the jackknife's error.
    values : array, shape (network,)
        The logarithms, all finite.

    Returns
    -------
    Estimate
        Not trusted where networks are fewer than 100, or the estimate's own skewness is more than
        this expansion bears.
    """
    networks = len(values)
    jackknife = networks / (networks + EVEN)
    skewness = min(_TO_SKEWNESS * abs(float(l_skewness(values))), _MOST)
    variance, of_square = added(gamma_moments(np.array(skewness)), 2)
    with np.errstate(all="ignore"):
        ratio = estimate.value * np.sqrt(variance / networks) / estimate.stderr
    ratio = np.maximum(np.where(np.isfinite(ratio), ratio, 1.0), 1.0)
    own = of_square / np.sqrt(networks)
    more = GAYEN * (np.minimum(own, _LIMIT) * ratio**-jackknife) ** 2
    more = more + (1 - jackknife) * _OF_FEW / networks
    stderr = estimate.stderr * ratio ** (1 - jackknife) * np.sqrt(1 + more)
    found = without_symptoms(estimate, stderr)
    few = found.trusted & (networks < LEAST)
    found = found.doubted(few, Reason.TOO_FEW_NETWORKS, networks)
    return found.doubted(found.trusted & ~(own < _LIMIT), Reason.UNSEEN_TAIL, own)
