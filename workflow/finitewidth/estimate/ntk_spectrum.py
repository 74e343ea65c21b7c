"""Eigenvalues of neural tangent kernels over the inputs, and their condition."""

from __future__ import annotations

import numpy as np

from finitewidth.estimate.errors import Estimate, block_sums, jackknife
from finitewidth.estimate.tangents import largest
from finitewidth.reasons import Reason

Array = np.ndarray


def spectrum(theta: Array, bounds: Array) -> dict[str, Estimate]:
    """Mean ordered eigenvalues and mean log condition number, pooled over outputs.

    Parameters
    ----------
    theta : array, shape (network, output, output, input, input)
        Of the matrices Theta_{ia,ib} over inputs, one a network and output i.
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    dict of Estimate
        ``ntk_eigenvalue``, shape (rank,), the largest first, and ``ntk_log_condition``, shape (),
        the mean of log(lambda_max/lambda_min). NaN and untrusted where a single matrix is not
        finite; the latter also where one is singular, as it is when its smallest eigenvalue is no
        more than its rounding, N times 2^-52 of the largest: the logarithm is then infinite.
    """
    inputs = theta.shape[3]
    unit = largest(theta, 5)
    rounding = inputs * np.finfo(float).eps

    def features(at: slice) -> dict[str, Array]:
        values = _eigenvalues(np.einsum("niiab->niab", theta[at]) / unit)
        least, most = values[..., -1], values[..., 0]
        condition = np.where(least > rounding * most, np.log(most / least), np.nan)
        return {
            "values": values.mean(axis=1),
            "condition": condition.mean(axis=1, keepdims=True),
            "singular": np.any(least <= rounding * most, axis=1, keepdims=True),
        }

    sums = block_sums(features, bounds)
    condition = jackknife(sums, bounds, lambda s, n: s["condition"] / n).take(0)
    singular = np.sum(sums["singular"])
    return {
        "ntk_eigenvalue": jackknife(sums, bounds, lambda s, n: s["values"] / n).times(unit),
        "ntk_log_condition": condition.doubted(singular > 0, Reason.SINGULAR, singular),
    }


def _eigenvalues(matrices: Array) -> Array:
    """Of symmetric matrices (..., input, input), the largest first; NaN of those not finite."""
    finite = np.isfinite(matrices).all(axis=(-2, -1), keepdims=True)
    values = np.linalg.eigvalsh(np.where(finite, matrices, 0.0))[..., ::-1]
    return np.where(finite[..., 0], values, np.nan)
