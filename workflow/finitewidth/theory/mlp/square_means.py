"""The law of a mean of independent squares, as a Gauss rule: a layer's gain for any activation.

Of n neurons with z_j ~ N(0, g) the next layer sees Y = (1/n) sum_j sigma(z_j)^2 alone. Its law is
held as m positive weights on nodes, the Gauss rule for polynomials in Y^(1/8) of degree below 2m.
The rule of two independent means is the product of theirs, brought back to m nodes by the Lanczos
process (Golub and Welsch 1969; Gragg and Harrod 1984), so that n neurons take about log2 n such
steps and widths of a ladder share them. Powers of a sum are made of products of powers that are no
higher, so that E[Y] to E[Y^4] stay exact; the root brings nodes near Y = 0, as 1/Y and log Y need.
Atoms and singular densities are as good as any, and nothing oscillates.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import trigonometric
from finitewidth.theory.gaussian.expectations import panels

# Polynomials are taken in this root of Y, which brings clusters near Y = 0, and the power-law tail
# towards it, within the reach of few nodes.
_ROOT = 8
# Rows that one Lanczos process takes together; bounds the memory, not the result.
_ROWS = 48
# Standard deviation, and root of a weight, below which there is nothing left but rounding.
_NOTHING = 1e-15


class Resolution(NamedTuple):
    """How finely a law is held."""

    rule: int  #: nodes of a Gauss rule
    line: int  #: nodes of a panel of the integral over one z
    panel: int  #: nodes of a panel of log g (:mod:`finitewidth.theory.mlp.transport`)


class MeanRules:
    """Rules of the mean Y of ``sigma(z_j)^2`` over n neurons, z_j ~ N(0, g), for any g and n.

    What was computed is kept, the rules of the partial sums included: asking for several n at the
    same g is cheap.
    """

    def __init__(self, activation: Activation, resolution: Resolution):
        self.resolution = resolution
        self._activation = activation
        self._known: dict[int, dict[float, tuple[np.ndarray, np.ndarray]]] = {}

    def rules(self, g: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights, (B, m) each, at variances g >= 0 of shape (B,)."""
        known = self._known.setdefault(n, {})
        missing = np.array([v for v in dict.fromkeys(g.tolist()) if v not in known])
        if len(missing):
            for v, *rule in zip(missing.tolist(), *self._compute(missing, n), strict=True):
                known[v] = tuple(rule)
        nodes, weights = zip(*(known[v] for v in g.tolist()), strict=True)
        return np.array(nodes), np.array(weights)

    def _compute(self, g: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        m = self.resolution.rule
        if n == 1:
            u, weight = self._line(float(np.sqrt(g.max())))
            square = self._activation.function(np.sqrt(g)[:, None] * u) ** 2
            return _compress(square, np.broadcast_to(weight, square.shape), m)
        few = n // 2
        y, p = self.rules(g, few)
        if few == n - few:
            i, j = np.triu_indices(m)
            twice = np.where(i == j, 1.0, 2.0)
            return _compress((y[:, i] + y[:, j]) / 2, twice * p[:, i] * p[:, j], m)
        other, q = self.rules(g, n - few)
        both = (few * y[:, :, None] + (n - few) * other[:, None, :]) / n
        product = p[:, :, None] * q[:, None, :]
        return _compress(both.reshape(len(g), -1), product.reshape(len(g), -1), m)

    def _line(self, steepest: float) -> tuple[np.ndarray, np.ndarray]:
        nodes = self.resolution.line
        if self._activation.name in trigonometric.NAMES:
            nodes += int(nodes * min(steepest, 100.0) / 6)
        return _line(nodes)


@lru_cache
def _line(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rule of the standard normal law; its panels shrink towards 0, where activations bend."""
    positive = np.concatenate([[0.0], 2.0 ** np.arange(-9, 1), np.arange(2.0, 14.0)])
    u, weight = panels(positive, nodes)
    weight = weight * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-u[::-1], u]), np.concatenate([weight[::-1], weight])


def _compress(y: np.ndarray, weight: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss rules of m nodes, (B, m), of discrete laws on y >= 0 with weights, (B, M) each."""
    parts = [
        _lanczos(y[k : k + _ROWS] ** (1 / _ROOT), weight[k : k + _ROWS], m)
        for k in range(0, len(y), _ROWS)
    ]
    nodes, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    # An atom at the end of the support has its node there, up to rounding.
    return np.maximum(nodes, 0.0) ** _ROOT, weights


def _lanczos(t: np.ndarray, weight: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss rules by the Lanczos process with full reorthogonalisation, in units of the spread."""
    mean = (weight * t).sum(axis=1, keepdims=True)
    spread = np.sqrt((weight * (t - mean) ** 2).sum(axis=1, keepdims=True))
    u = np.divide(t - mean, spread, out=np.zeros_like(t), where=spread > 100 * _NOTHING * mean)
    basis = np.zeros((len(t), m, t.shape[1]))
    jacobi = np.zeros((len(t), m, m))
    v = np.sqrt(weight)
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    for k in range(m):
        basis[:, k] = v
        r = u * v
        jacobi[:, k, k] = np.einsum("bm,bm->b", r, v)
        if k == m - 1:
            break
        done = basis[:, : k + 1]
        r -= np.matmul(np.matmul(r[:, None], done.swapaxes(1, 2)), done)[:, 0]
        size = np.linalg.norm(r, axis=1, keepdims=True)
        size[size < 100 * _NOTHING] = 0.0
        jacobi[:, k, k + 1] = jacobi[:, k + 1, k] = size[:, 0]
        v = np.divide(r, size, out=np.zeros_like(r), where=size > 0)
    x, vectors = np.linalg.eigh(jacobi)
    found = vectors[:, 0] ** 2
    # What is left of smaller ones is rounding, and would be seen in 1/Y.
    found[found < _NOTHING**2] = 0.0
    return mean + spread * x, found
