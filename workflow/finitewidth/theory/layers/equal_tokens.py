"""Means over the softmax of any number of tokens that are all alike.

Keys are alike where Kk_ss' = a + kappa 1[s = s']. What logits share drops out of the softmax, so
those of a token t are as good as independent normal numbers A_s of variance V = Kq_tt kappa, and
those of two tokens have the correlation r = Kq_tt'/Kq_tt, key by key. With Z the sum of e^A over T
tokens, 1/Z^j is an integral over e^(-lambda Z), in which tokens factorise. With x = log lambda and
g_j(x) = E[e^(j(x + A)) exp(-e^(x + A))],

    E[P_s^j] = 1/(j - 1)! * integral of g_j g_0^(T-1) dx,
    E[log Z] = integral of (exp(-e^x) - g_0^T) dx,

and products over two tokens are such integrals over x and y. All are trapezoidal sums, whose error
falls exponentially; each checks that scores sum to 1. So it takes the same time for 1000 tokens,
and for logits of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from finitewidth.theory.layers.attention import Parts

#: Relative differences that are rounding; the error of sums of scores that will do; the largest
#: standard deviation of logits; standard deviations that count; steps in x, and in normal numbers.
_ROUNDING, _WANTED, _STEEPEST, _REACH, _STEP, _NORMAL_STEP = 1e-9, 1e-8, 40.0, 8.5, 0.3, 0.5
#: e^x below which nothing is left of exp(-e^x) - 1; the e^x beyond which nothing is left of it.
_LOWEST, _HIGHEST = -36.0, 4.0
#: Points of a table for each step, which splines of this degree read.
_FINER, _DEGREE = 8, 7


class Alike(NamedTuple):
    """A symmetric matrix whose diagonal is all ``own``, and all else ``other``."""

    own: float
    other: float

    @classmethod
    def of(cls, K: np.ndarray) -> Alike | None:
        """That of a matrix of two tokens or more, or None where it is no such matrix."""
        own, other = np.diagonal(K), K[~np.eye(len(K), dtype=bool)]
        size = _ROUNDING * np.abs(own).max()
        if not np.isfinite(K).all() or max(np.ptp(own), np.ptp(other)) > size:
            return None
        return cls(float(own.mean()), float(other.mean()))


class Moments(NamedTuple):
    """Of the scores P of a token and P' of the same or another one.

    ``products`` is E[sum_s P_s P'_s], and ``slopes`` E[tr J J'^T], J = dP/dA = diag(P) - P P^T.
    """

    products: float
    slopes: float


_NOTHING = Moments(float("nan"), float("nan"))


def entropy(V: float, tokens: int) -> float:
    """E[-sum P log P] of a token whose logits vary by ``V``; NaN where they are too steep.

    By parts E[sum A_s P_s] = V (1 - E[sum P_s^2]).
    """
    if not _is_known(V):
        return float("nan")
    x, weights = _logarithms(sqrt(V)), _STEP
    g = _Table(sqrt(V), x)
    log_Z = weights * float((np.exp(-np.exp(x)) - g(0) ** tokens).sum())
    return log_Z - V * (1 - same(V, tokens).products)


@lru_cache(maxsize=1024)
def same(V: float, tokens: int) -> Moments:
    """Both means of one token with itself."""
    if not _is_known(V):
        return _NOTHING
    T, g = tokens, _Table(sqrt(V), _logarithms(sqrt(V)))
    rest = g(0) ** (T - 2)
    one, two, three, four = (T * _STEP * float((g(j) * g(0) * rest).sum()) for j in range(1, 5))
    if abs(one - 1) > _WANTED:
        return _NOTHING
    pairs = T * (T - 1) * _STEP * float((g(2) ** 2 * rest).sum())
    return Moments(two, two - three + (four + pairs) / 6)


@lru_cache(maxsize=1024)
def other(V: float, r: float, tokens: int) -> Moments:
    """Both means of two tokens; NaN where r is negative, or logits are too steep.

    What both share of a logit is integrated last: given it they are independent.
    """
    if r < -_ROUNDING or not _is_known(V):
        return _NOTHING
    T, shared, own = tokens, sqrt(V * max(r, 0.0)), sqrt(V * max(1 - r, 0.0))
    x = _logarithms(sqrt(V))
    u, weights = _normals(shared)
    at = np.add.outer(x, shared * u)
    fine = np.arange(at.min(), at.max() + _STEP, _STEP / _FINER)
    table = _Table(own, fine)
    g = [table.read(j, at) if shared else np.repeat(table.read(j, x)[:, None], len(u), 1)
         for j in range(3)]  # fmt: skip

    def both(j: int, k: int) -> np.ndarray:
        """The mean of g_j(x) g_k(y) over what is shared, (x, y)."""
        return (g[j] * weights) @ g[k].T

    none, each = both(0, 0), both(1, 1)
    rest = _STEP**2 * T * none ** (T - 2)
    of_two = (T - 1) * rest
    first = both(1, 0)
    products = float((each * none * rest).sum())
    if abs(products + float((first * first.T * of_two).sum()) - 1) > _WANTED:
        return _NOTHING
    cubes = float((both(2, 1) * none * rest).sum())
    squares = float((both(2, 2) * none * rest).sum() + (each**2 * of_two).sum())
    return Moments(products, products - 2 * cubes + squares)


def of_alike(parts: Parts) -> tuple[np.ndarray, np.ndarray | None] | None:
    """As :func:`~finitewidth.theory.layers.attention.means`, where tokens of an input are alike.

    None where they are not, or are not known to be. Of two inputs, each key of one has to be as
    near to all keys of the other: their scores are then independent. Tangent kernels may be any.
    """
    T, rows, of = parts.tokens, len(parts.q), parts.tangents
    if parts.causal:
        return None
    mixed = np.empty((rows, rows))
    passed = None if of is None else np.empty(of.v.shape)
    starts = range(0, rows, T)
    for a in starts:
        for b in starts:
            at = slice(a, a + T), slice(b, b + T)
            told = _of_one(parts, at) if a == b else _of_two(parts, at)
            if told is None:
                return None
            mixed[at] = told.through(parts.v[at])
            if of is not None and passed is not None:
                q, k, v = (one[..., at[0], at[1]] for one in of)
                passed[..., at[0], at[1]] = told.through(v) + told.slopes * (
                    told.keys * q + parts.q[at] * _differences(k)
                )
    return mixed, passed


@dataclass(frozen=True)
class _Told:
    """Products, and slopes times the variance of differences of values, (T, T) of two tokens."""

    products: np.ndarray
    slopes: np.ndarray
    keys: float

    def through(self, X: np.ndarray) -> np.ndarray:
        """M[X] of one X (T, T), or several (..., T, T)."""
        T = X.shape[-1]
        own = np.trace(X, axis1=-2, axis2=-1)[..., None, None]
        apart = (X.sum((-2, -1))[..., None, None] - own) / (T * (T - 1))
        return self.products * own / T + (1 - self.products) * apart


def _of_one(parts: Parts, at: tuple[slice, slice]) -> _Told | None:
    kernels = [Alike.of(one[at]) for one in (parts.q, parts.k, parts.v)]
    q, k, v = kernels
    if q is None or k is None or v is None or q.own <= 0 or q.other < -_ROUNDING * q.own:
        return None
    keys, values = max(k.own - k.other, 0.0), max(v.own - v.other, 0.0)
    V, r = q.own * keys, min(max(q.other / q.own, 0.0), 1.0)
    one, two = same(V, parts.tokens), other(V, r, parts.tokens)
    eye = np.eye(parts.tokens)

    def placed(a: float, b: float) -> np.ndarray:
        return a * eye + b * (1 - eye)

    slopes = values * placed(one.slopes, two.slopes)
    return _Told(placed(one.products, two.products), slopes, keys)


def _of_two(parts: Parts, at: tuple[slice, slice]) -> _Told | None:
    for K, own in ((parts.k, parts.k[at[0], at[0]]), (parts.v, parts.v[at[0], at[0]])):
        if np.ptp(K[at]) > _ROUNDING * np.abs(own).max():
            return None
    nothing = np.zeros((parts.tokens, parts.tokens))
    return _Told(nothing + 1 / parts.tokens, nothing, 0.0)


def _differences(k: np.ndarray) -> np.ndarray:
    """What keys' tangent kernels add to slopes of one unit, (..., 1, 1).

    Rows and columns of E[J^T J'] sum to 0, so that it is its trace times (1 - 1/T)/(T - 1).
    """
    T = k.shape[-1]
    own = np.trace(k, axis1=-2, axis2=-1)[..., None, None]
    return np.asarray((own - k.sum((-2, -1))[..., None, None] / T) / (T - 1))


def _is_known(V: float) -> bool:
    return isfinite(V) and 0 <= V <= _STEEPEST**2


def _logarithms(deviation: float) -> np.ndarray:
    """Values of x, beyond which integrands vanish."""
    return np.arange(_LOWEST - _REACH * deviation, _HIGHEST + _REACH * deviation, _STEP)


def _normals(deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal numbers and their weights, dense enough where they are multiplied by ``deviation``."""
    if deviation == 0:
        return np.zeros(1), np.ones(1)
    step = min(_NORMAL_STEP, _STEP / deviation)
    u = step * np.arange(-ceil(_REACH / step), ceil(_REACH / step) + 1)
    weights = np.exp(-u * u / 2)
    return u, weights / weights.sum()


class _Table:
    """g_j at the points x, of logits of a given standard deviation."""

    def __init__(self, deviation: float, x: np.ndarray) -> None:
        self.x, self._deviation = x, deviation
        self._found: dict[int, np.ndarray] = {}

    def __call__(self, j: int) -> np.ndarray:
        """g_j, of the shape of x."""
        if j not in self._found:
            u, weights = _normals(self._deviation)
            # Beyond this e^(-e^x) is 0 in any case.
            A = np.minimum(np.add.outer(self.x, self._deviation * u), 7.0)
            self._found[j] = np.exp(j * A - np.exp(A)) @ weights
        return self._found[j]

    def read(self, j: int, at: np.ndarray) -> np.ndarray:
        """g_j between the points."""
        from scipy.interpolate import make_interp_spline

        return np.asarray(make_interp_spline(self.x, self(j), k=_DEGREE)(at))
