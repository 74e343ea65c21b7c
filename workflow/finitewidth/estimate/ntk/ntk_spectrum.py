"""Eigenvalues of neural tangent kernels over the inputs, and their condition."""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.errors.jackknife import Estimate, block_sums, jackknife
from finitewidth.estimate.ntk.last_layer import LastLayer
from finitewidth.estimate.ntk.scaled_kernels import largest

Array = np.ndarray

#: Samplers take inputs for dependent whose own part is under 1e-13 of their kernel: eigenvalues
#: near that share of the largest are no better known, in double precision either.
_DEPENDENT = 1e-12
#: Eigenvalues within so many roundings of 0 make a matrix singular.
_SINGULAR = 100


def spectrum(
    theta: Array, bounds: Array, rounding: float = ROUNDING["float64"]
) -> dict[str, Estimate]:
    """Mean ordered eigenvalues and mean log condition number, pooled over outputs.

    Parameters
    ----------
    theta : array, shape (network, output, output, input, input)
        Of the matrices Theta_{ia,ib} over inputs, one a network and output i.
    bounds : array of int, shape (block + 1,)
    rounding : float
        What ``theta`` is known to (:mod:`finitewidth.core.rounding`).

    Returns
    -------
    dict of Estimate
        ``ntk_eigenvalue``, shape (rank,), the largest first, and ``ntk_log_condition``, shape (),
        the mean of log(lambda_max/lambda_min). NaN and untrusted where a single matrix is not
        finite. The rounding of an N x N matrix moves each eigenvalue by up to N ``rounding`` of
        the largest. Where that is all that an eigenvalue, or its standard error, amounts to, it has
        no error bar; and the condition has none where that is the smallest eigenvalue of a single
        matrix, whose logarithm may be infinite.
    """
    inputs = theta.shape[3]
    unit = largest(theta, 5)
    share = max(inputs * rounding, _DEPENDENT)

    def features(at: slice) -> dict[str, Array]:
        values = _eigenvalues(np.einsum("niiab->niab", theta[at]) / unit)
        least, most = values[..., -1], values[..., 0]
        zero = values <= share * most[..., None]
        ratio = most / np.where(zero[..., -1], np.nan, least)
        return {
            "values": values.mean(axis=1),
            "condition": np.log(ratio).mean(axis=1, keepdims=True),
            "ratio": ratio.mean(axis=1, keepdims=True),
            "zero": np.any(zero, axis=1),
        }

    sums = block_sums(features, bounds)
    zeros, networks = np.sum(sums["zero"], axis=0), bounds[-1]
    most = np.sum(sums["values"][:, 0]) / networks
    value = jackknife(sums, bounds, lambda s, n: s["values"] / n, rounding=share * most)
    small = (value.reason == Reason.NO_SPREAD) & (value.value <= _SINGULAR * share * most)
    value = value.doubted(small, Reason.SINGULAR, zeros)
    # log(lambda_max/lambda_min) moves by the ratio times the rounding.
    moved = share * np.sum(sums["ratio"]) / networks
    condition = jackknife(sums, bounds, lambda s, n: s["condition"] / n, rounding=moved).take(0)
    condition = condition.doubted(condition.reason == Reason.NO_SPREAD, Reason.SINGULAR, 0)
    return {
        "ntk_eigenvalue": value.times(unit),
        "ntk_log_condition": condition.doubted(zeros[-1] > 0, Reason.SINGULAR, zeros[-1]),
    }


def _eigenvalues(matrices: Array) -> Array:
    """Of symmetric matrices (..., input, input), the largest first; NaN of those not finite."""
    finite = np.isfinite(matrices).all(axis=(-2, -1), keepdims=True)
    values = np.linalg.eigvalsh(np.where(finite, matrices, 0.0))[..., ::-1]
    return np.where(finite[..., 0], values, np.nan)


def eigenvalues(last: LastLayer) -> dict[str, Estimate]:
    """The family ``ntk_spectrum``."""
    return spectrum(last.read["ntk"], last.bounds, last.samples.rounding)
