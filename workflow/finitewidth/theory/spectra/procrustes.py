"""How well the best rotation aligns representations that have nothing in common.

For X (n by N) and Y (m by N), columns the samples, r^2 = |Y X^T|_*^2/(|X|_F^2 |Y|_F^2) is the share
of variance that the best rotation and scale explain, of Y by X if n <= m and of X by Y otherwise.
N samples are few beside the n m entries of a rotation: for independent X and Y it is not 0
(docs/theory.md 11.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from finitewidth.core.bisection import invert

#: Eigenvalues smaller than this beside the largest are taken to be 0.
_NEGLIGIBLE = 1e-14
#: Spectra over nine powers of ten converge to 1e-9 with these, flat ones to rounding.
_NODES = 256


class Chance(NamedTuple):
    """r^2 of independent data, by simulation."""

    mean: float
    standard_error: float  #: of the mean
    deviation: float  #: the standard deviation of one r^2


def chance_r2(n: int, m: int, N: int, *, centred: bool = True) -> float:
    """r^2 of independent white normal X (n by N) and Y (m by N), at large n, m and N.

    With d = N - 1 if the mean over samples is taken off, else N, and k = min(n, m, d), the nuclear
    norm of Y X^T is (2/pi) times the integral from 0 to k of sqrt((n-v)(m-v)(d-v)/v) dv. For n = m
    far below N, r^2 = 64/(9 pi^2) n/N.

    Neglected is what is smaller by a power of 1/k: about half of r^2/k, by which this is high.
    Where d is the smallest, r^2 tends to 1 as n and m grow: any few samples can be rotated onto any
    other.

    Parameters
    ----------
    n, m : int
        Dimensions (neurons) of the two.
    N : int
        Samples.
    centred : bool
        Whether the mean over samples is taken off each row.

    Raises
    ------
    ValueError
        If a dimension is not positive, or too few samples are left.
    """
    if min(n, m) < 1:
        raise ValueError(f"dimensions are positive, not {n} and {m}")
    d = _degrees(N, centred)
    norm = _nuclear_norm(lambda v: v / (n - v), lambda v: v / (m - v), min(n, m, d), d)
    return norm**2 / (n * m * float(d) ** 2)


def expected_r2_of_spectra(a: ArrayLike, b: ArrayLike, N: int, *, centred: bool = True) -> float:
    """As :func:`chance_r2` for any covariances: their eigenvalues a (n,), b (m,) are all it needs.

    The nuclear norm is (2/pi) times the integral from 0 to k of sqrt(v (d-v)/(s_a s_b)) dv with
    s_a(v) the solution of sum_i a_i s/(1 + a_i s) = v. Exact is the limit in which there are many
    eigenvalues of each size; :func:`chance_r2_of_spectra` is exact without.

    Parameters
    ----------
    a, b : array_like, shapes (n,), (m,)
        Eigenvalues of the covariances that X and Y are drawn from (not of N samples), any unit.
    N : int
        Samples.
    centred : bool
        Whether the mean over samples is taken off each row.

    Raises
    ------
    ValueError
        If eigenvalues are negative or all 0, or too few samples are left.
    """
    a, b, d = _spectrum(a), _spectrum(b), _degrees(N, centred)
    norm = _nuclear_norm(lambda v: _level(a, v), lambda v: _level(b, v), min(len(a), len(b), d), d)
    return norm**2 / (a.sum() * b.sum() * float(d) ** 2)


def chance_r2_of_spectra(
    a: ArrayLike,
    b: ArrayLike,
    N: int,
    stream: np.random.Generator,
    draws: int,
    *,
    centred: bool = True,
) -> Chance:
    """Mean and spread of r^2 for independent normal data of given covariances, at any n, m, N.

    No samples are drawn one by one. X^T = Q R with Q of orthonormal columns; R is triangular, of
    normal and chi variables (Bartlett 1933), and Y Q is as normal as Y. So the cost does not depend
    on N.

    Parameters
    ----------
    a, b, N, centred
        As in :func:`expected_r2_of_spectra`.
    stream : numpy.random.Generator
    draws : int
        At least 2.

    Raises
    ------
    ValueError
        As :func:`expected_r2_of_spectra`, or if there are fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"an error takes 2 draws, not {draws}")
    a, b, d = _spectrum(a), _spectrum(b), _degrees(N, centred)
    r2 = np.array([_draw(a, b, d, stream) for _ in range(draws)])
    deviation = float(r2.std(ddof=1))
    return Chance(float(r2.mean()), deviation / draws**0.5, deviation)


def _draw(a: np.ndarray, b: np.ndarray, d: int, stream: np.random.Generator) -> float:
    n, m, k = len(a), len(b), min(len(a), d)
    R = stream.standard_normal((k, n))
    if n <= d:
        R = np.triu(R, 1)
        R[np.diag_indices(n)] = np.sqrt(stream.chisquare(d - np.arange(n)))
    R *= np.sqrt(a)
    G = stream.standard_normal((m, k))
    # What of Y lies off the span of X has no part in the product, only in the norm of Y.
    off = stream.chisquare(d - k, size=m) if d > k else 0.0
    norm_y = b @ ((G**2).sum(axis=1) + off)
    cross = np.linalg.svd(np.sqrt(b)[:, None] * (G @ R), compute_uv=False).sum()
    return cross**2 / ((R**2).sum() * norm_y)


def _nuclear_norm(
    level_a: Callable[[np.ndarray], np.ndarray],
    level_b: Callable[[np.ndarray], np.ndarray],
    k: int,
    d: int,
) -> float:
    """(2/pi) times the integral of sqrt(v (d-v)/(s_a s_b)) from 0 to k, by v = k sin^2."""
    t, weight = np.polynomial.legendre.leggauss(_NODES)
    angle = (t + 1) * np.pi / 4
    v = k * np.sin(angle) ** 2
    slope = 2 * k * np.sin(angle) * np.cos(angle) * np.pi / 4
    integrand = np.sqrt(v * (d - v) / (level_a(v) * level_b(v)))
    return float(2 / np.pi * (weight * slope * integrand).sum())


def _level(a: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The s at which sum_i a_i s/(1 + a_i s) is v, (nodes,), for 0 < v < n."""
    logs = np.log(a)
    # Each term is at most a_i s, and at least that of the smallest a.
    low = np.log(v / a.sum())
    high = np.log(v / (len(a) - v)) - logs.min()
    return np.exp(invert(lambda u: special.expit(u[:, None] + logs).sum(axis=1), v, low, high))


def _degrees(N: int, centred: bool) -> int:
    d = N - 1 if centred else N
    if d < 1:
        raise ValueError(f"{N} samples are too few")
    return d


def _spectrum(a: ArrayLike) -> np.ndarray:
    """The eigenvalues that are not 0; negative ones are let pass as far as rounding makes them."""
    a = np.asarray(a, dtype=float).ravel()
    largest = a.max(initial=0.0)
    if not 0 < largest < np.inf or a.min() < -1e-9 * largest:
        raise ValueError("eigenvalues of a covariance are not negative, and not all 0")
    return a[a > _NEGLIGIBLE * largest]
