"""How many orders of controls an estimate can bear, so that its error is a promise.

Controls of order k leave a remainder of order k + 1 in the fluctuations, whose tails are longer the
higher the order: of a normal variable u, He_2, He_3 and He_4 have kurtosis 15, 93 and 639. An error
is known where networks are many beside that kurtosis. This is settled beforehand, by the number of
networks and neurons: to pick among orders the one whose error looks smallest would pick the
ensembles that lack their tails. What a look at the networks may still do is to reject an order.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import ROUNDING
from finitewidth.estimate.errors.trust import doubts

Array = np.ndarray

#: Networks, and networks times neurons of a layer, from which on order k is used: fifteen to thirty
#: times the kurtosis of what it leaves, and more where layers are narrow and fluctuate far.
_NETWORKS = (0, 250, 3000, 10_000)
_NEURONS = (0, 0, 48_000, 320_000)
#: Share of the plain variance that controls have to come below.
_WORTH = 0.9


def safe_order(width: int, networks: int, order: int) -> int:
    """The highest order, up to ``order``, that so many networks of a width can bear."""
    enough = [
        networks >= least and networks * width >= neurons
        for least, neurons in zip(_NETWORKS, _NEURONS, strict=True)
    ]
    return max(k for k in range(order + 1) if enough[k])


def choose(residuals: Array, safe: Array, power: int) -> Array:
    """Which order of controls to report.

    Parameters
    ----------
    residuals : array, shape (block, order + 1, rung, ...)
        The jackknife's residuals, of the plain estimate and with controls up to each order.
    safe : array of int, shape (rung,)
        As :func:`safe_order`.
    power : int
        Power of the kernel that the estimate is about: controls of a lower order take little from
        it, and leave its tails.

    Returns
    -------
    array of int, shape (rung, ...)
        0 for the plain estimate. Higher ones where they are safe and undoubted and pay, or where
        only rounding is left.
    """
    variance = np.mean(residuals**2, axis=0)
    with np.errstate(all="ignore"):
        unknown = np.sqrt(np.sum(residuals**4, axis=0)) / np.sum(residuals**2, axis=0)
    undoubted = doubts(residuals)[0] == Reason.NONE
    best, least = np.zeros(variance.shape[1:], int), variance[0]
    for k in range(1, len(variance)):
        allowed = ((safe >= k) & (k >= power)).reshape(-1, *(1,) * (variance.ndim - 2))
        # Between orders the better one; controls at all where they surely pay.
        margin = np.where(best == 0, (1 + unknown[k]) / _WORTH, 1)
        rounding = variance[k] < ROUNDING**2 * variance[0]
        better = rounding | (allowed & undoubted[k] & (variance[k] * margin < least))
        better &= variance[k] < least
        best, least = np.where(better, k, best), np.where(better, variance[k], least)
    return best
