"""How alike the inputs (or tokens) of one network are: the mean of their cosines, and the stable
rank of their kernel.

Both are taken of each network by itself, and then averaged: they are curved functions of a kernel
that fluctuates, and so not those of the mean kernel.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.empirical import LEAST_COUNT
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife
from finitewidth.estimate.preactivations.layer import Layer

Array = np.ndarray
#: Numbers of kernels that are worked on at once.
_AT_ONCE = 2**22


def collapses(layer: Layer) -> dict[str, Estimate]:
    """The family ``rank_collapse``; shape () each."""
    kernels = layer.read("kernel")
    own = np.diagonal(kernels, axis1=1, axis2=2)
    at_once = max(1, _AT_ONCE // kernels[0].size)
    pieces = [kernels[at : at + at_once] for at in range(0, len(kernels), at_once)]
    found = {}
    for name, of, alive in (
        ("mean_cosine", mean_cosines, (own != 0).all(1)),
        ("stable_rank", stable_ranks, (own != 0).any(1)),
    ):
        values = np.concatenate([of(one) for one in pieces])
        alone = name == "mean_cosine" and own.shape[1] == 1
        why = Reason.NOT_MEASURED if alone else None
        found[name] = _mean(values, alive & (not alone), why, layer)
    return found


def _mean(values: Array, counted: Array, why: Reason | None, layer: Layer) -> Estimate:
    """Over the networks that are counted; others have no value."""
    if counted.sum() < LEAST_COUNT:
        few = Reason.TOO_FEW_NETWORKS if counted.any() else Reason.DEAD
        return Estimate.unknown((), why or few, counted.sum())
    kept = np.where(counted, values, 0.0)[:, None]
    sums = block_sums(lambda at: {"1": counted[at, None], "x": kept[at]}, layer.bounds)
    rounding = layer.samples.rounding
    mean = jackknife(sums, layer.bounds, lambda s, _: s["x"] / s["1"], rounding=rounding)
    return mean.take(np.array(0))


def mean_cosines(kernels: Array) -> Array:
    """The mean over pairs of different inputs of K_ab/sqrt(K_aa K_bb).

    Parameters
    ----------
    kernels : ndarray, shape (networks, N, N)

    Returns
    -------
    ndarray, shape (networks,)
        NaN of one input, and where one is zero.
    """
    N = kernels.shape[-1]
    if N == 1:
        return np.full(len(kernels), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 1 / np.sqrt(np.diagonal(kernels, axis1=1, axis2=2))
        # The cosine of an input with itself is 1.
        return (np.einsum("na,nab,nb->n", size, kernels, size) - N) / (N * (N - 1))


def stable_ranks(kernels: Array) -> Array:
    """The sum of the squares of the eigenvalues of K over the square of the largest.

    Parameters
    ----------
    kernels : ndarray, shape (networks, N, N)

    Returns
    -------
    ndarray, shape (networks,)
        Between 1 and N; NaN of a network that is zero on all inputs.
    """
    largest = np.linalg.eigvalsh(kernels)[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.square(kernels).sum((1, 2)) / np.square(largest)
