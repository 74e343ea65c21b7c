"""Whether an ensemble is large enough to contain the rare networks that decide a moment.

The symptoms of :mod:`finitewidth.estimate.errors.trust` are looked for among the networks that were
drawn. A mean of powers x of a network's size may be decided by networks rarer than one in an
ensemble, and an ensemble that has met none of them looks sound: the kurtosis of 50 networks cannot
exceed some 50 whatever the truth is. But the spread of log x is known from few networks, and it
tells how far the tail reaches beyond them. From it follows the skewness that the mean should have,
and from that how often mean and error are too small together. docs/estimates.md says how often that
errs.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.log_normal import skewness
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: Networks count as x to this power when the spread of log x is taken. Those that decide the mean
#: count as x, and are few; each of them counting the same, the spread is that of the dead, too.
_TILT = 0.75
#: Largest believable skewness of the mean.
_LIMIT = 0.35
#: From this width on a layer's size has the tail of a log-normal variable. That of a narrower one
#: is shorter (at width 1 it is that of a square of a Gaussian), and its skewness less by the root
#: of the ratio of widths: a fit to ensembles with exact theory (benchmarks/calibrate/trust.py).
_WIDE = 16
#: The same for the square of a nearly Gaussian number, a single neuron.
THIN_SQUARES = 0.5


def thinness(width: int) -> float:
    """By what factor the tail of a layer of ``width`` neurons is thinner than a wide one's."""
    return np.sqrt(min(width, _WIDE) / _WIDE)


def skewness_ahead(sizes: Array, order: float, thin: float | Array = 1.0) -> Array:
    """The skewness that the mean over networks of sizes^order is to be expected to have.

    With the variance v of log(sizes^order) over networks that count as sizes^(order 3/4), a
    log-normal variable has a skewness (:mod:`finitewidth.core.log_normal`); the mean of N has
    1/sqrt(N) of it. With these weights w,
    only about m = (sum w)^2/sum w^2 networks count; the skewness is at least 1/sqrt(m), that of a
    number of rare events.

    Parameters
    ----------
    sizes : array, shape (network, ...)
        A positive number of each network, 0 where it is dead.
    order : float
        The power of it that the moment is a mean of.
    thin : float or array, shape (...)
        What the skewness is multiplied by, of :func:`thinness` or ``THIN_SQUARES``.

    Returns
    -------
    array, shape (...)
        0 where every network is dead, NaN where a size is not finite.
    """
    sizes = np.asarray(sizes, float)
    alive = sizes > 0
    with np.errstate(all="ignore"):
        logs = order * np.log(sizes)
    lost = np.any(~np.isfinite(sizes), axis=0)
    logs = np.where(alive & ~lost, logs, -np.inf)
    with np.errstate(all="ignore"):
        weights = np.where(alive, np.exp(_TILT * (logs - np.max(logs, axis=0))), 0.0)
        logs = np.where(alive, logs, 0.0)
        total = np.sum(weights, axis=0)
        mean = np.sum(weights * logs, axis=0) / total
        variance = np.sum(weights * (logs - mean) ** 2, axis=0) / total
        one = skewness(variance)
        # Where few networks count, their spread is not that of the tail.
        few = np.where(np.asarray(thin) > 0, np.sqrt(np.sum(weights**2, axis=0)) / total, 0.0)
    ahead = np.maximum(thin * one / np.sqrt(len(alive)), few)
    ahead = np.where(alive.any(axis=0) & (variance > 0), ahead, 0.0)
    return np.where(lost, np.nan, ahead)


def doubt_unseen(estimate: Estimate, ahead: Array) -> Estimate:
    """The same, distrusted where nothing else speaks against it and the tail was not met.

    Parameters
    ----------
    estimate : Estimate, shape (...)
    ahead : array, shape (...) or broadcast to it
        Of :func:`skewness_ahead`.
    """
    ahead = np.broadcast_to(ahead, np.shape(estimate.value))
    return estimate.doubted(estimate.trusted & (ahead >= _LIMIT), Reason.UNSEEN_TAIL, ahead)
