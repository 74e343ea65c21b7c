"""Trapezoidal sums of products of s, s' and s'' at up to four inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import trigonometric
from finitewidth.theory.gaussian.expectations import pair_expectation
from finitewidth.theory.gaussian.trapezoidal import axis, pivoted_cholesky

# -log of the error that a grid in 0 to 4 dimensions is laid out for.
_DIGITS = (44.0, 44.0, 44.0, 40.0, 32.0)
# Most points of a grid: of two inputs, beyond which panels are cheaper; of two inputs, beyond which
# nothing is summed; of three and of four inputs, beyond which the grid is made coarser.
_PLANE, _MOST, _BUDGET = 400_000, 10**7, {3: 10_000_000, 4: 40_000_000}
# In 3 and 4 dimensions, steps that are this many times too wide still give five digits.
_COARSEST = {3: 1.5, 4: 1.25}
# Points of one temporary array; bounds the memory, not the result.
_CHUNK = 2**14

Axis = tuple[np.ndarray, np.ndarray]


def products(activation: Activation, s: np.ndarray) -> np.ndarray:
    """s_a s_b and s'_a s'_b of all pairs, less their values at 0, then s''_a s_d of all a, d.

    From derivatives 0 to 2, (3, inputs, ...): so shifted, covariances do not cancel where K is
    small.
    """
    a, b = pairs(s.shape[1]).T
    s0, d0 = activation.jet(np.zeros(()))[:2] ** 2
    bend = (s[2][:, None] * s[0]).reshape(-1, *s.shape[2:])
    return np.concatenate([s[0][a] * s[0][b] - s0, s[1][a] * s[1][b] - d0, bend])


def gram(activation: Activation, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of :func:`products`, (m,), and of products of two of them, (m, m), for z ~ N(0, K).

    Up to three inputs; NaN where they would take more points than are summed.
    """
    L, order = pivoted_cholesky(K)
    lines = axes(activation, L)
    if lines is None:
        return _unknown(K)
    plane = len(lines[0][0]) * len(lines[1][0]) if len(K) == 2 else 0
    # Panels do not resolve functions that oscillate; a grid does, as far as it reaches.
    if plane > _PLANE and activation.name not in trigonometric.NAMES:
        return _on_panels(activation, K)
    if plane > _MOST:
        return _unknown(K)
    mean: np.ndarray | float = 0.0
    square: np.ndarray | float = 0.0
    back = np.argsort(order)
    for u, weight in points(lines):
        values = products(activation, activation.jet((L @ u)[back])[:3])
        mean = mean + values @ weight
        square = square + (values * weight) @ values.T
    return np.asarray(mean), np.asarray(square)


def _unknown(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = len(K) * (2 * len(K) + 1)
    return np.full(size, np.nan), np.full((size, size), np.nan)


def _on_panels(activation: Activation, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def everything(z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
        s = np.stack([activation.jet(z)[:3] for z in (z1, z2)], axis=1)
        values = products(activation, s)
        return np.concatenate([values, (values[:, None] * values).reshape(-1, *z1.shape)])

    found = pair_expectation(everything, K[:1, :1].ravel(), K[1:, 1:].ravel(), K[:1, 1:].ravel())
    m = round(np.sqrt(len(found) + 0.25) - 0.5)
    return found[:m, 0], found[m:, 0].reshape(m, m)


def axes(activation: Activation, L: np.ndarray) -> list[Axis] | None:
    """Nodes and weights of each variable u of z = L u; one point where nothing depends on it.

    Coarser by one factor for all where there would be too many; None where that would be wrong.
    """
    size = len(L)
    scales = np.abs(L).max(axis=0)
    point = np.zeros(1), np.ones(1)
    lines = [axis(activation.strip_width / s, _DIGITS[size]) if s > 0 else point for s in scales]
    count = np.prod([float(len(u)) for u, _ in lines])
    if any(np.isnan(weight[0]) for _, weight in lines):
        return None
    if size < 3 or count <= _BUDGET[size]:
        return lines
    factor = float((count / _BUDGET[size]) ** (1 / size))
    if factor > _COARSEST[size]:
        return None
    return [_coarser(u, factor) if len(u) > 1 else (u, w) for u, w in lines]


def _coarser(u: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    h = (u[1] - u[0]) * factor
    count = int(np.ceil(u[-1] / h))
    u = h * np.arange(-count, count + 1)
    return u, h / np.sqrt(2 * np.pi) * np.exp(-u * u / 2)


def points(lines: list[Axis]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks of the grid spanned by d ``lines``, within a ball: u (d, m) and weights (m,)."""
    nodes, weights = zip(*lines, strict=True)
    outer, weight = np.zeros((0, 1)), np.ones(1)
    for u, w in zip(nodes[:-1], weights[:-1], strict=True):
        old = np.repeat(outer, len(u), axis=1)
        outer = np.concatenate([old, np.tile(u, outer.shape[1])[None]])
        weight = np.outer(weight, w).ravel()
    keep = (outer**2).sum(axis=0) <= max(u[-1] for u in nodes) ** 2
    outer, weight, last = outer[:, keep], weight[keep], nodes[-1]
    step = max(1, _CHUNK // len(last))
    for k in range(0, len(weight), step):
        some = outer[:, k : k + step]
        u = np.concatenate([np.repeat(some, len(last), axis=1), np.tile(last, some.shape[1])[None]])
        yield u, np.outer(weight[k : k + step], weights[-1]).ravel()
