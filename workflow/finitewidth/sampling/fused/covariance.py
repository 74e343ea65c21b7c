"""Small matrices of one network: its covariance, brought to a scale and factored."""

from __future__ import annotations

import math

import numpy as np

from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import load, store
from finitewidth.sampling.fused.lanes import LANES, fma, inlined

#: A pivot below this share of its diagonal is the rounding of a dependent input, and exactly 0.
DEPENDENT = 1e-13


@cached
def covariance_of_inputs(version):
    def covariance_of_inputs(x, C_b, C_W):
        """C_b + C_W/n_0 x_a . x_b for inputs x (input, n_0): a matrix (input, input)."""
        _ = version
        inputs, dimension = x.shape
        found = np.empty((inputs, inputs))
        for a in range(inputs):
            for b in range(a, inputs):
                product = 0.0
                for i in range(dimension):
                    product += x[a, i] * x[b, i]
                found[a, b] = found[b, a] = C_b + C_W / dimension * product
        return found

    return covariance_of_inputs


@inlined
def to_unit_diagonal(gram, diagonals, at):
    """Move the scale of each input out of ``gram``: sigma(c z) = c sigma(z) carries it along.

    The diagonal is written to ``diagonals``, from ``at`` on. A dead layer (diagonal 0) keeps its
    zeros.
    """
    inputs = len(gram)
    for a in range(inputs):
        size = gram[a, a]
        diagonals[at + a] = size
        if size > 0:
            if inputs == 1:  # a root and quotients that deep and narrow networks would wait for
                gram[0, 0] = 1.0
                return
            root = math.sqrt(size)
            for b in range(inputs):
                gram[a, b] /= root
                gram[b, a] /= root
            gram[a, a] = 1.0


@inlined
def semidefinite_factor(gram, factor):
    """Lower triangular R with R R^T = ``gram``, of any rank; overwrites ``gram``.

    As :func:`finitewidth.sampling.mlp.marginal.semidefinite_factor`, for one network.
    """
    inputs = len(gram)
    if inputs == 1 and gram[0, 0] == 1.0:
        factor[0, 0] = 1.0
        return
    for a in range(inputs):
        factor[a, a] = gram[a, a]
    for a in range(inputs):
        # Up to here the diagonal of the factor holds that of the matrix as it was.
        # Asked so that what is not finite, after an overflow, stays so.
        if not (gram[a, a] <= DEPENDENT * factor[a, a] and factor[a, a] < math.inf):
            root = math.sqrt(gram[a, a])
            factor[a, a] = root
            for c in range(a + 1, inputs):
                factor[c, a] = gram[c, a] / root
        else:
            factor[a, a] = 0.0
            for c in range(a + 1, inputs):
                factor[c, a] = 0.0
        for b in range(a + 1, inputs):
            for c in range(b, inputs):
                gram[c, b] -= factor[c, a] * factor[b, a]


@inlined
def correlate(factor, neurons, row, stop):
    """Turn rows of independent normals into rows of covariance R R^T, in place."""
    inputs = len(factor)
    for a in range(inputs - 1, -1, -1):
        own = factor[a, a]
        if a == 0 and own == 1.0:
            return
        for i in range(0, stop, LANES):
            z = load(neurons, a * row + i) * own
            for b in range(a):
                z = fma(load(neurons, b * row + i), factor[a, b], z)
            store(neurons, a * row + i, z)
