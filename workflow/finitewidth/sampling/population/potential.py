"""The potential of a population: one number a network that says how large it is."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from finitewidth.models.perceptron import Perceptron

Array = np.ndarray

_NODE, _WEIGHT = hermegauss(100)


#: How much the other inputs count beside the one that is grown. A potential that is 0 of a network
#: that is alive on any input would leave this one out of the means of that input.
_BESIDE = 1e-3


class Potential:
    """The mean over inputs of Ghat_aa/K_aa, or that of one input and a little of the others.

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
        share = np.ones(len(x)) if of is None else np.full(len(x), _BESIDE)
        if of is not None:
            share[of] = 1.0
        with np.errstate(divide="ignore"):
            self._log_share = np.log(share / share.sum()) - np.log(_kernels(mlp, x))

    def of(self, layer: int, log_kernel: Array) -> Array:
        """log phi, shape (member,), of log Ghat_aa, shape (member, input); -inf of the dead."""
        if log_kernel.shape[1] == 1:
            return log_kernel[:, 0]
        share = self._log_share[layer - 1]
        # An input that is 0 at infinite width is 0 in every network.
        parts = log_kernel[:, np.isfinite(share)] + share[np.isfinite(share)]
        if not parts.shape[1]:
            return np.zeros(len(log_kernel))
        return np.logaddexp.reduce(parts, axis=1)


def _kernels(mlp: Perceptron, x: Array) -> Array:
    """K_aa of each layer, shape (depth, inputs)."""
    kernel = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * np.sum(x**2, axis=1)
    found = [kernel]
    for layer in range(1, mlp.depth):
        s = mlp.activation.function(np.sqrt(kernel)[:, None] * _NODE)
        mean = (s**2 @ _WEIGHT) / _WEIGHT.sum()
        kernel = mlp.C_b[layer] + mlp.C_W[layer] * mean
        found.append(kernel)
    return np.stack(found)
