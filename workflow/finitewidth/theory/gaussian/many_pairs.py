"""<f(z_a) f(z_b)> for all pairs of many Gaussian variables: what a data set asks of an activation.

A rule in the plane takes 50 000 values of f for one pair, and thousands of inputs have millions of
pairs. With Hermite polynomials h_j, orthonormal under the standard normal law, and
f(sqrt(K) u) = sum_j c_j(K) h_j(u), Mehler's formula gives every pair at once:

    <f(z_a) f(z_b)> = sum_j c_j(K_aa) c_j(K_bb) rho_ab^j,   rho_ab = K_ab/sqrt(K_aa K_bb).

The rest of the sum beyond j = J is at most |rho_ab|^J times the root of the product of what the
squares of c_a and of c_b sum to there. Where that is not small, as for a kink and nearly equal
inputs, the pair is left to the rule in the plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from finitewidth.theory.gaussian.expectations import line_rule, pair_expectation

#: From so many variables on the sum is faster than the rule in the plane.
MANY = 12

#: How many degrees are summed, the more where the fewer leave something out; and nodes of a panel
#: on the line: the waves of h_2047 are 0.07 long.
_DEGREES, _NODES = (512, 2048), 40
#: What is left out, as a part of the root of <f^2><f^2>: rounding of so many terms.
_LEFT_OUT = 1e-13
#: A coefficient that is smaller, as a part of the root of <f^2>, is rounding of the quadrature.
_NOISE = 1e-15
# Pairs that are summed together lie in cache.
_TILE = 128


@dataclass(frozen=True)
class Series:
    """f(deviation u) as a sum of Hermite polynomials, for many deviations at once.

    Attributes
    ----------
    f : callable
        Elementwise; it may have a kink or a step at 0, and nowhere else.
    deviation : ndarray, shape (...)
        Roots of variances.
    c : ndarray, shape (degrees, ...)
    left, size : ndarray, shape (...)
        What the squares of c lack of <f^2>, and the root of <f^2>.
    tail : ndarray, shape (degrees,)
        What the squares from a degree on sum to, as a part of <f^2>, of the worst deviation.
    summed : int
        How many terms were looked at: ``left`` lies beyond them.
    """

    f: Callable[[np.ndarray], np.ndarray]
    deviation: np.ndarray
    c: np.ndarray
    left: np.ndarray
    size: np.ndarray
    tail: np.ndarray
    summed: int

    @classmethod
    def of(
        cls, f: Callable[[np.ndarray], np.ndarray], deviation: np.ndarray, least: int = 0
    ) -> Series:
        """As many terms as leave nothing out, and at least so many, or as there are."""
        flat = deviation.ravel()
        for summed in (degrees for degrees in _DEGREES if degrees >= least):
            c, left = _coefficients(f, flat, summed)
            square = np.sum(c**2, axis=0) + left
            if np.all(left <= _LEFT_OUT * square):
                break
        size = np.sqrt(square)
        part = np.divide(np.abs(c), size, out=np.zeros_like(c), where=size > 0)
        largest = part.max(axis=1, initial=0.0)
        degrees = int(np.flatnonzero(np.append(True, largest > _NOISE))[-1]) or 1
        tail = np.cumsum(largest[:degrees][::-1] ** 2)[::-1]
        shape = deviation.shape
        c = c[:degrees].reshape(degrees, *shape)
        return cls(f, deviation, c, left.reshape(shape), size.reshape(shape), tail, summed)

    @property
    def bytes(self) -> int:
        """The memory that it holds."""
        return self.c.nbytes + self.deviation.nbytes + self.left.nbytes + self.size.nbytes

    def part(self, at: Any) -> Series:
        """That of some deviations, by an index or several."""
        more = at if isinstance(at, tuple) else (at,)
        c = self.c[(slice(None), *more)]
        return Series(
            self.f, self.deviation[at], c, self.left[at], self.size[at], self.tail, self.summed
        )

    def flat(self) -> Series:
        """The same with one axis of deviations."""
        one = (self.deviation.ravel(), self.c.reshape(len(self.c), -1))
        return Series(self.f, *one, self.left.ravel(), self.size.ravel(), self.tail, self.summed)


def product_means(f: Callable[[np.ndarray], np.ndarray], K: np.ndarray) -> np.ndarray:
    """<f(z_a) f(z_b)> for z ~ N(0, K).

    Parameters
    ----------
    f : callable
        Elementwise; it may have a kink or a step at 0, and nowhere else.
    K : ndarray, shape (m, m)
        Its diagonal is not negative, and it may be singular.

    Returns
    -------
    ndarray, shape (m, m)
        Symmetric. The diagonal is good to rounding for smooth f only: of one variable
        :func:`~finitewidth.theory.gaussian.expectations.expectation` knows better.
    """
    series = Series.of(f, np.sqrt(np.diagonal(K)))
    found = np.empty_like(K)
    for a in _pieces(len(K)):
        for b in _pieces(len(K)):
            if b.start >= a.start:
                found[a, b] = _tile(series.part(a), series.part(b), K[a, b], once=a == b)
                found[b, a] = found[a, b].T
    return found


def pair_means(one: Series, two: Series, K: np.ndarray) -> np.ndarray:
    """<f(y_a) f(z_b)> for centred Gaussian y and z of the deviations of two series of one f.

    Parameters
    ----------
    one, two : Series
        Of (rows,) and of (columns,) deviations.
    K : ndarray, shape (rows, columns)
        Covariances of y_a and z_b.

    Returns
    -------
    ndarray, shape (rows, columns)
    """
    if one.summed != two.summed:
        # What the shorter one leaves out is small beside its own, not beside terms of the other.
        most = max(one.summed, two.summed)
        one, two = (
            s if s.summed == most else Series.of(s.f, s.deviation, most) for s in (one, two)
        )
    found = np.empty(K.shape)
    for a in _pieces(K.shape[0]):
        for b in _pieces(K.shape[1]):
            found[a, b] = _tile(one.part(a), two.part(b), K[a, b])
    return found


def _tile(one: Series, two: Series, K: np.ndarray, once: bool = False) -> np.ndarray:
    """Mehler's sum for few rows and columns; ``once`` where these are the same."""
    scale = one.deviation[:, None] * two.deviation
    rho = np.clip(np.divide(K, scale, out=np.zeros_like(scale), where=scale > 0), -1, 1)
    total = np.zeros_like(rho)
    degrees = _degree(one, two)
    for c_a, c_b in zip(one.c[:degrees][::-1], two.c[:degrees][::-1], strict=True):
        total *= rho
        total += np.multiply.outer(c_a, c_b)
    beyond = np.sqrt(np.multiply.outer(one.left, two.left)) * np.abs(rho) ** degrees
    apart = beyond > _LEFT_OUT * np.multiply.outer(one.size, two.size)
    i, j = np.nonzero(np.triu(apart) if once else apart)
    if len(i):
        of = one.deviation[i] ** 2, two.deviation[j] ** 2, K[i, j]
        total[i, j] = pair_expectation(lambda y, z: one.f(y) * one.f(z), *of)
        if once:
            total[j, i] = total[i, j]
    return total


def _coefficients(
    f: Callable[[np.ndarray], np.ndarray], deviation: np.ndarray, degrees: int
) -> tuple[np.ndarray, np.ndarray]:
    """c, (degrees, m), and what its squares lack of <f^2>, (m,)."""
    u, w = line_rule(_NODES)
    c, left = np.empty((degrees, len(deviation))), np.empty(len(deviation))
    for first in range(0, len(deviation), _TILE):
        some = slice(first, first + _TILE)
        values = f(deviation[some, None] * u)
        c[:, some] = _polynomials(degrees) @ (w * values).T
        left[some] = values**2 @ w - np.sum(c[:, some] ** 2, axis=0)
    return c, np.maximum(left, 0.0)


def hermite(u: np.ndarray, degree: int) -> np.ndarray:
    """h_m at points u of shape (points,), for m up to ``degree``: shape (degree + 1, points)."""
    found = np.empty((degree + 1, len(u)))
    found[0], found[1] = 1.0, u
    for m in range(1, degree):
        found[m + 1] = (u * found[m] - np.sqrt(m) * found[m - 1]) / np.sqrt(m + 1)
    return found


@lru_cache(maxsize=2)
def _polynomials(degrees: int) -> np.ndarray:
    """h_j at the nodes, (degrees, nodes)."""
    return hermite(line_rule(_NODES)[0], degrees - 1)


def _degree(one: Series, two: Series) -> int:
    """How many terms any pair needs: what the others add up to is below a rounding."""
    both = min(len(one.tail), len(two.tail))
    rest = np.sqrt(one.tail[:both] * two.tail[:both])
    return int(np.count_nonzero(rest > np.finfo(float).eps / 16)) or 1


def _pieces(m: int) -> Iterator[slice]:
    """Pieces of rows or columns."""
    return (slice(first, first + _TILE) for first in range(0, m, _TILE))
