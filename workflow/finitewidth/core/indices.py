"""Unordered pairs and quadruples of inputs: the index sets that every stage shares."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np


def pairs(inputs: int) -> np.ndarray:
    """All pairs (a, b) with a <= b of ``inputs`` inputs, shape (P, 2), P = N(N+1)/2."""
    return np.array(list(combinations_with_replacement(range(inputs), 2)))


def quads(inputs: int) -> np.ndarray:
    """All quadruples (a, b, c, d) with a <= b <= c <= d, shape (C(N+3, 4), 4)."""
    return np.array(list(combinations_with_replacement(range(inputs), 4)))


def quad_positions(inputs: int) -> np.ndarray:
    """Position in :func:`quads` of the quadruple that two pairs make, shape (P, P)."""
    lookup = {tuple(q): k for k, q in enumerate(quads(inputs))}
    p = pairs(inputs)
    return np.array([[lookup[tuple(sorted((*i, *j)))] for j in p] for i in p])
