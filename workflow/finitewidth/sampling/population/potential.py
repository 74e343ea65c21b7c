"""The potential of a population: one number a network that says how large it is."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron

Array = np.ndarray

_NODE, _WEIGHT = hermegauss(100)


#: How much the other inputs count beside the one that is grown. A potential that is 0 of a network
#: that is alive on any input would leave this one out of the means of that input.
_BESIDE = 1e-3


class Potential:
    """The mean over inputs of Ghat_aa/K_aa, or that of one input and a little of the others; the
    harmonic mean where small networks are grown.

    K is the kernel at infinite width, by a quadrature that need not be exact: whatever the
    potential is, estimates are unbiased.

    Parameters
    ----------
    mlp : Perceptron
    x : array, shape (inputs, n_0)
    of : int or None
        An input; the mean over all where None.
    """

    def __init__(self, mlp: Perceptron, x: Array, of: int | None):
        with np.errstate(divide="ignore"):
            self._log_share, self._log_K = np.log(_shares(len(x), of)), np.log(_kernels(mlp, x)[0])

    def to_power(self, layer: int, log_kernel: Array, power: float) -> Array:
        """log phi^power, shape (member,), of log Ghat_aa, shape (member, input); -inf of the dead.

        The mean is the harmonic one for powers below 0: 1/Ghat_aa is large where Ghat_aa alone is
        small, whatever the other inputs are.
        """
        if log_kernel.shape[1] == 1:
            return power * log_kernel[:, 0]
        sign = -1.0 if power < 0 else 1.0
        share = self._log_share - sign * self._log_K[layer - 1]
        return abs(power) * _log_mean(sign * log_kernel.T, share)


class TangentPotential:
    """The same of tangent kernels: the mean over inputs of (Theta_aa/H_aa)^m, or nearly of one.

    H is that of infinite width.
    """

    def __init__(self, mlp: Perceptron, rates: LearningRates, x: Array, of: int | None):
        kernels, slopes = _kernels(mlp, x)
        found = [rates.lambda_b[0] + rates.lambda_W[0] / mlp.widths[0] * np.sum(x**2, axis=1)]
        for layer in range(1, mlp.depth):
            squares = (kernels[layer] - mlp.C_b[layer]) / (mlp.C_W[layer] or 1.0)
            term = rates.lambda_b[layer] + rates.lambda_W[layer] * squares
            found.append(term + mlp.C_W[layer] * slopes[layer - 1] * found[-1])
        with np.errstate(divide="ignore"):
            self._log_share, self._log_H = np.log(_shares(len(x), of)), np.log(found)

    def of(self, layer: int, log_moments: Array, order: int) -> Array:
        """log phi^m, shape (member,), of the logarithms of moments 1 and 2, (2, input, member)."""
        logs = log_moments[order - 1]
        if len(logs) == 1:
            return logs[0]
        return _log_mean(logs, self._log_share - order * self._log_H[layer - 1])


def mean_of_inputs(logs: Array, log_usual: Array, of: int | None) -> Array:
    """The logarithm of a mean over inputs, or nearly of one, shape (member,): of sizes whose
    logarithms are (input, member), each over what is usual, (input,)."""
    if len(logs) == 1:
        return logs[0]
    return _log_mean(logs, np.log(_shares(len(logs), of)) - log_usual)


def _shares(inputs: int, of: int | None) -> Array:
    share = np.ones(inputs) if of is None else np.full(inputs, _BESIDE)
    if of is not None:
        share[of] = 1.0
    return share / share.sum()


def _log_mean(logs: Array, log_share: Array) -> Array:
    """The logarithm of a mean over inputs, shape (member,), of logarithms (input, member)."""
    # An input that is 0 at infinite width is 0 in every network.
    able = np.isfinite(log_share)
    parts = logs[able] + log_share[able, None]
    return np.logaddexp.reduce(parts, axis=0) if len(parts) else np.zeros(logs.shape[1])


def _kernels(mlp: Perceptron, x: Array) -> tuple[Array, Array]:
    """K_aa of each layer, and the mean square of sigma' there, shape (depth, inputs) each."""
    kernel = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * np.sum(x**2, axis=1)
    found, slopes = [], []
    for layer in range(mlp.depth):
        z = np.sqrt(kernel)[:, None] * _NODE
        found.append(kernel)
        slopes.append((mlp.activation.derivative(z) ** 2 @ _WEIGHT) / _WEIGHT.sum())
        if layer + 1 < mlp.depth:
            mean = (mlp.activation.function(z) ** 2 @ _WEIGHT) / _WEIGHT.sum()
            kernel = mlp.C_b[layer + 1] + mlp.C_W[layer + 1] * mean
    return np.stack(found), np.stack(slopes)
