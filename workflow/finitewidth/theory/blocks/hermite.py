"""Functions of one or two Gaussian variables as coefficients of Hermite polynomials.

A function of z = L u, u standard normal, is sum_alpha c_alpha He_alpha(u)/sqrt(alpha!), kept up to
a total degree. Means, covariances, derivatives and products with z are sums over coefficients, also
of functions with a kink, whose derivatives have no values. From one layer to the next coefficients
of a degree mix among themselves: the polynomials are those of Mehler's formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaln

from finitewidth.theory.gaussian.expectations import line_rule
from finitewidth.theory.gaussian.many_pairs import hermite
from finitewidth.theory.gaussian.trapezoidal import axis

#: Highest total degrees that are kept, of one and of two variables: the first, and that for
#: functions whose sums it ends too early. Derivatives and products with z reach four degrees
#: further at most, which are computed beside.
DEGREES = {1: (512, 2048), 2: (60, 120)}
_BESIDE = 8
#: Nodes of a panel of the rule on the line, and the widest step of a grid in the plane: polynomials
#: of those degrees have waves of length 0.14 and 0.6 at least.
_NODES, _STEP = 40, 0.15
# -log of the error that grids are laid out for, and the points of the largest: that of a tanh whose
# variance is some hundreds.
_DIGITS, _MOST_POINTS = 44.0, 10**6


@dataclass(frozen=True)
class Basis:
    """The variables z = L u of a layer.

    Attributes
    ----------
    L : ndarray, shape (d, d)
        Lower triangular, of full rank; d is 1 or 2.
    degree : int
        The highest total degree that sums go to.
    """

    L: np.ndarray
    degree: int

    @property
    def size(self) -> int:
        """d."""
        return len(self.L)

    def kept(self, c: np.ndarray) -> np.ndarray:
        """Coefficients up to the degree, and 0 beyond."""
        return np.where(_total(c.shape) <= self.degree, c, 0.0)

    def resolves(self, strip: float | None) -> bool:
        """Whether functions analytic in such a strip can be summed: on the line any can."""
        if self.size == 1:
            return True
        points = [len(u) for u, _ in self._grid(strip)] if strip is not None else [_MOST_POINTS, 2]
        return bool(np.prod(points, dtype=float) <= _MOST_POINTS)

    def _grid(self, strip: float) -> list[tuple[np.ndarray, np.ndarray]]:
        return [_line(strip / np.abs(column).max()) for column in self.L.T]

    def coefficients(self, f: Callable[..., np.ndarray], strip: float | None) -> np.ndarray:
        """Those of f(z_1, ..., z_d), shape (degree + a few,) * d.

        Parameters
        ----------
        f : callable
            Elementwise.
        strip : float or None
            Half-width of the strip in which it is analytic in each z; None of a function with a
            kink at 0, which only one variable may have.
        """
        if self.size == 1:
            u, w = line_rule(_NODES)
            return _polynomials(self.degree + _BESIDE) @ (w * f(self.L[0, 0] * u))
        if strip is None:
            raise ValueError("two variables want functions without a kink")
        (u, w), (v, y) = self._grid(strip)
        values = f(self.L[0, 0] * u[:, None] + 0 * v, self.L[1, 0] * u[:, None] + self.L[1, 1] * v)
        left, right = (hermite(x, self.degree + _BESIDE) for x in (u, v))
        return (left * w) @ values @ (right * y).T

    def slope(self, c: np.ndarray, a: int) -> np.ndarray:
        """Coefficients of the derivative by z_a."""
        inverse = np.linalg.inv(self.L)
        return sum((inverse[i, a] * _lowered(c, i) for i in range(self.size)), np.zeros_like(c))

    def times(self, c: np.ndarray, a: int) -> np.ndarray:
        """Coefficients of the product with z_a."""
        each = (self.L[a, i] * (_raised(c, i) + _lowered(c, i)) for i in range(self.size))
        return sum(each, np.zeros_like(c))

    def one(self) -> np.ndarray:
        """Coefficients of the function that is 1."""
        c = np.zeros((self.degree + _BESIDE + 1,) * self.size)
        c[(0,) * self.size] = 1.0
        return c

    def covariance(self, c: np.ndarray, d: np.ndarray) -> float:
        """Of two functions."""
        return float((self.kept(c) * d).sum() - c.flat[0] * d.flat[0])


def passed_on(c: np.ndarray, before: Basis, after: Basis, gamma: float) -> np.ndarray:
    """E[g(z) | z'], as a function of z' = gamma z + fresh, of a function g of mean 0.

    ``before`` and ``after`` are the bases of z and z'. With z = L u and z' = L' v it is
    E[u|v] = rho v, rho = gamma L^T L'^-T, which is upper triangular.
    """
    rho = np.linalg.solve(after.L, gamma * before.L).T
    c = before.kept(c)
    if before.size == 1:
        return c * rho[0, 0] ** np.arange(len(c))
    found = np.zeros_like(c)
    for m in range(before.degree + 1):
        i = np.arange(m + 1)
        found[i, m - i] = _mixing(m, *rho[[0, 0, 1], [0, 1, 1]]) @ c[i, m - i]
    return found


def _mixing(m: int, first: float, mixed: float, second: float) -> np.ndarray:
    """What becomes of He_i(u1) He_{m-i}(u2), (t, i): the share of He_t(v1) He_{m-t}(v2).

    u1 = first v1 + mixed v2 and u2 = second v2 in the mean.
    """
    t, i = np.arange(m + 1)[:, None], np.arange(m + 1)
    half = gammaln(i + 1) / 2 - gammaln(m - i + 1) / 2 - gammaln(t + 1) / 2
    size = half + gammaln(m - t + 1) / 2 - gammaln(np.maximum(i - t, 0) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.abs([first, mixed, second]))
        powers = [
            np.where(k == 0, 0.0, k * x) for k, x in zip((t, i - t, m - i), logs, strict=True)
        ]
    sign = np.sign(first) ** t * np.sign(mixed) ** np.maximum(i - t, 0) * np.sign(second) ** (m - i)
    return np.where(i >= t, sign * np.exp(size + sum(powers)), 0.0)


def _line(strip: float) -> tuple[np.ndarray, np.ndarray]:
    u, w = axis(strip, _DIGITS)
    step = u[1] - u[0]
    if step <= _STEP or np.isnan(w[0]):
        return u, w
    fold = int(np.ceil(step / _STEP))
    h, count = step / fold, fold * (len(u) // 2)
    u = h * np.arange(-count, count + 1)
    return u, h / np.sqrt(2 * np.pi) * np.exp(-u * u / 2)


@lru_cache(maxsize=4)
def _polynomials(degree: int) -> np.ndarray:
    return hermite(line_rule(_NODES)[0], degree)


@lru_cache(maxsize=8)
def _total(shape: tuple[int, ...]) -> np.ndarray:
    return np.indices(shape).sum(0)


def _roots(c: np.ndarray, i: int) -> np.ndarray:
    """sqrt of 1, 2, ... along an axis, but for its last place."""
    shape = [1] * c.ndim
    shape[i] = c.shape[i] - 1
    return np.sqrt(np.arange(1, c.shape[i])).reshape(shape)


def _lowered(c: np.ndarray, i: int) -> np.ndarray:
    """Of the derivative by u_i."""
    found = np.zeros_like(c)
    ahead, behind = (np.moveaxis(v, i, 0) for v in (found, c))
    ahead[:-1] = behind[1:] * np.moveaxis(_roots(c, i), i, 0)
    return found


def _raised(c: np.ndarray, i: int) -> np.ndarray:
    """Of the product with u_i, less the derivative."""
    found = np.zeros_like(c)
    ahead, behind = (np.moveaxis(v, i, 0) for v in (found, c))
    ahead[1:] = behind[:-1] * np.moveaxis(_roots(c, i), i, 0)
    return found
