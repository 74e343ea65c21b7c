"""Interpolation in a table of many columns."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

#: Nodes of the tables that interpolate between them: of degree 7, exact to 1e-9 and better.
_TOGETHER = 8


def interpolated(at: Array, nodes: Array, table: Array) -> Array:
    """Polynomials through the eight nodes about each point, shape (*at.shape, column).

    Parameters
    ----------
    at : array
    nodes : array, shape (node,)
        Equally spaced.
    table : array, shape (node, column)

    Returns
    -------
    array
        NaN for points beyond the nodes, or where the table has one nearby.
    """
    step = nodes[1] - nodes[0]
    x = (at - nodes[0]) / step
    inside = (x >= 0) & (x <= len(nodes) - 1)
    x = np.where(inside, x, 0.0)
    first = np.clip(np.floor(x).astype(int) - _TOGETHER // 2 + 1, 0, len(nodes) - _TOGETHER)
    t, steps = x - first, np.arange(_TOGETHER)
    total = np.zeros((*x.shape, table.shape[1]))
    for k in range(_TOGETHER):
        others = steps[steps != k]
        weight = np.prod([(t - j) / (k - j) for j in others], axis=0)
        total += weight[..., None] * table[first + k]
    return np.where(inside[..., None], total, np.nan)
