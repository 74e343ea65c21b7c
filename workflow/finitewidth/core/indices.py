"""Unordered pairs and quadruples of inputs: the index sets that every stage shares."""

from __future__ import annotations

import functools
from itertools import combinations_with_replacement

import numpy as np


def pairs(inputs: int) -> np.ndarray:
    """All pairs (a, b) with a <= b of ``inputs`` inputs, shape (P, 2), P = N(N+1)/2."""
    return np.array(list(combinations_with_replacement(range(inputs), 2)))


def pair_places(inputs: int) -> np.ndarray:
    """Where the pair of a and b, in either order, stands in :func:`pairs`, shape (N, N)."""
    place = np.zeros((inputs, inputs), int)
    a, b = pairs(inputs).T
    place[a, b] = place[b, a] = np.arange(len(a))
    return place


def quads(inputs: int) -> np.ndarray:
    """All quadruples (a, b, c, d) with a <= b <= c <= d, shape (C(N+3, 4), 4)."""
    return np.array(list(combinations_with_replacement(range(inputs), 4)))


def quad_positions(inputs: int) -> np.ndarray:
    """Position in :func:`quads` of the quadruple that two pairs make, shape (P, P)."""
    lookup = {tuple(q): k for k, q in enumerate(quads(inputs))}
    p = pairs(inputs)
    return np.array([[lookup[tuple(sorted((*i, *j)))] for j in p] for i in p])


@functools.lru_cache
def kernel_products(inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """The products of conditional kernels that islands of a population hold means of.

    Returns
    -------
    factors : array of int, shape (product, 3)
        Places in :func:`pairs` of the kernels that are multiplied; -1 where there are fewer.
    order : array of int, shape (product,)
        How many there are: all of one kernel, then all of two, the cube of each input, and, at
        order -1, the inverse of each input.
    """
    count = len(pairs(inputs))
    alone = np.flatnonzero(np.equal(*pairs(inputs).T))
    one = [(p, -1, -1) for p in range(count)]
    two = [(p, q, -1) for p in range(count) for q in range(p, count)]
    three, inverse = [(p, p, p) for p in alone], [(p, -1, -1) for p in alone]
    order = np.repeat([1, 2, 3, -1], [len(one), len(two), len(three), len(inverse)])
    return np.array(one + two + three + inverse), order
