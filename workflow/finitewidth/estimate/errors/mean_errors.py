"""The error of a kernel's mean over few networks, and whether it is believed.

A kernel is a sum, or a product, of positive numbers, and skew: a mean that is too small comes with
an error that is too small. How skew the mean is follows from the law of the kernel
(:class:`finitewidth.estimate.errors.cumulant_errors.KernelLaw`), read off L-moments of all widths.
With few networks that tells more than symptoms do. Whether a few large networks show themselves is
chance there, and to trust the ensembles in which none does picks those whose mean is too small.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import EVEN, KernelLaw, without_symptoms
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: What is added to the square of the error, relative to it and in units of the mean's skewness
#: squared. Gayen's expansion says 2 where the skewness is small; with what it leaves out, z of
#: means as skew as are believed has a mean square of 1 with 5 (a fit to ReLU, SiLU and softplus).
_OF_SKEWNESS = 5.0
#: Largest believable skewness of the mean.
_LIMIT = 0.4


def by_law(networks: int) -> bool:
    """Whether so few networks make a mean that its law says whether it is believed, and not them.

    More networks show the tails that are longer than those of a log-normal variable, too.
    """
    return networks < EVEN


def widened_mean(
    estimate: Estimate, rungs: Array, law: KernelLaw, networks: int, plain: Array
) -> tuple[Estimate, Array]:
    """The estimate of a mean with an error such that z has mean square 1.

    For the mean of N numbers of skewness s, E[t^2] = 1 + (3 + 2 s^2)/N + ... (Gayen 1949,
    Biometrika 36, 353). Many networks keep the jackknife's error.

    Parameters
    ----------
    estimate : Estimate, shape (rung, ...)
    rungs : array, shape (rung, rung, ...)
        Covariances of the estimates.
    law : KernelLaw, of the estimate's shape
    networks : int
    plain : array of bool, shape (rung, ...)
        Where no controls were taken; the others keep their error, and their trust.

    Returns
    -------
    Estimate and array
        With networks of which :func:`by_law` is true, not trusted where the mean is too skew, and
        no symptom is asked.
    """
    few = EVEN / (networks + EVEN)
    more = few * (3 / networks + _OF_SKEWNESS * np.minimum(law.skewness, 1) ** 2)
    factor = np.where(plain, np.sqrt(1 + more), 1.0)
    rungs = rungs * factor * factor[:, None]
    if not by_law(networks):
        return replace(estimate, stderr=estimate.stderr * factor), rungs
    found = without_symptoms(estimate, estimate.stderr * factor, plain)
    unseen = found.trusted & plain & ~(law.skewness < _LIMIT)
    return found.doubted(unseen, Reason.UNSEEN_TAIL, law.skewness), rungs
