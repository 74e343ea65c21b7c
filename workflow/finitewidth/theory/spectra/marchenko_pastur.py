"""The spectrum of a weight matrix of independent entries: what training has not touched.

The law of the eigenvalues of W^T W/n_out as widths grow together (Marchenko and Pastur 1967), and
that of the largest of them (Johnstone 2001), which in narrow layers is better drawn than computed
(docs/theory.md 11.1 and 11.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.sparse.linalg import eigsh

from finitewidth.core.bisection import invert
from finitewidth.theory.spectra import tracy_widom

#: From this size on Lanczos steps are faster than a full tridiagonal reduction.
_LANCZOS = 150


@dataclass(frozen=True)
class MarchenkoPastur:
    """Eigenvalues of C = W^T W/n_out, n_in by n_in, at large widths, for entries of any one law.

    Attributes
    ----------
    variance : float
        Of one entry of W. Eigenvalues are in its units.
    n_out, n_in : int
        Rows and columns of W.

    Raises
    ------
    ValueError
        If the variance or a width is not positive.
    """

    variance: float
    n_out: int
    n_in: int

    def __post_init__(self) -> None:
        if not 0 < self.variance < np.inf:
            raise ValueError(f"a variance is positive, not {self.variance}")
        if min(self.n_out, self.n_in) < 1:
            raise ValueError(f"a matrix has rows and columns, not {self.n_out} and {self.n_in}")

    @property
    def ratio(self) -> float:
        """gamma = n_in/n_out."""
        return self.n_in / self.n_out

    @property
    def edges(self) -> tuple[float, float]:
        """Ends of the continuous part: variance (1 -+ sqrt(gamma))^2."""
        # (1 - root)^2 without the cancellation of a matrix that is nearly square.
        apart = (self.n_out - self.n_in) / (self.n_out * (1 + sqrt(self.ratio)))
        return self.variance * apart**2, self.variance * (1 + sqrt(self.ratio)) ** 2

    @property
    def atom(self) -> float:
        """Share of eigenvalues that are 0: 1 - 1/gamma if there are more columns than rows."""
        return 1 - self._continuous

    @property
    def _continuous(self) -> float:
        return min(1.0, self.n_out / self.n_in)

    def density(self, x: ArrayLike) -> np.ndarray:
        """Of the continuous part, sqrt((x+ - x)(x - x-))/(2 pi gamma variance x); shape as ``x``.

        Its integral is 1 - ``atom``. It is 0 at the edges and beyond; of a square matrix it
        diverges at 0 as x^(-1/2).
        """
        x = np.asarray(x, dtype=float)
        lower, upper = self.edges
        inside = (x > lower) & (x < upper)
        within = np.where(inside, x, upper)
        root = np.sqrt((upper - within) * np.maximum(within - lower, 0.0))
        return np.where(inside, root / (2 * np.pi * self.ratio * self.variance * within), 0.0)

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Share of eigenvalues that are at most ``x``, the atom included; shape as ``x``.

        In closed form, with an absolute error of 1e-16 max(sqrt(gamma), 1/sqrt(gamma)).
        """
        x = np.asarray(x, dtype=float)
        lower, upper = self.edges
        within = np.clip(x, lower, upper)
        angle = 2 * np.arctan2(np.sqrt(upper - within), np.sqrt(within - lower))
        share = self._continuous * (1 - self._above(angle))
        return np.where(x < 0, 0.0, np.clip(self.atom + share, 0.0, 1.0))

    def quantile(self, p: ArrayLike) -> np.ndarray:
        """The least x with cdf(x) >= ``p``, shape as ``p``; 0 on the atom.

        Raises
        ------
        ValueError
            If a probability is not between 0 and 1.
        """
        p = np.asarray(p, dtype=float)
        if not np.all((p >= 0) & (p <= 1)):
            raise ValueError(f"a probability is between 0 and 1, not {p}")
        return np.where(p > self.atom, self._exceeded(1 - p), 0.0 if self.atom else self.edges[0])

    def eigenvalues(self) -> np.ndarray:
        """The n_in eigenvalues to expect, largest first: quantiles at (rank - 1/2)/n_in from above.

        Zeros where the atom is. Of a single largest eigenvalue :attr:`largest_mean` says more.
        """
        above = (np.arange(self.n_in) + 0.5) / self.n_in
        return np.where(np.arange(self.n_in) < self.n_out, self._exceeded(above), 0.0)

    def moment(self, k: int) -> float:
        """E[x^k], the atom included: Narayana's polynomial in gamma, times variance^k.

        The sum over j < k of gamma^j binom(k, j) binom(k-1, j)/(j + 1).

        Raises
        ------
        ValueError
            If k is not positive.
        """
        if k < 1:
            raise ValueError(f"moments are of order 1 or more, not {k}")
        terms = (self.ratio**j * comb(k, j) * comb(k - 1, j) / (j + 1) for j in range(k))
        return self.variance**k * sum(terms)

    def participation_ratio(self) -> float:
        """(tr C)^2/tr C^2 at large widths, n_in n_out/(n_in + n_out): half of n if square."""
        return self.n_in * self.n_out / (self.n_in + self.n_out)

    def participation_ratio_of_means(self, excess_kurtosis: float) -> float:
        """E[tr C]^2/E[tr C^2], exact at any widths, n_in n_out/(n_in + n_out + 1 + kurtosis).

        The ratio of two means, not the mean of a ratio, from which it differs by two more powers of
        1/n. E[tr C^2] counts pairs of rows and of columns.

        Parameters
        ----------
        excess_kurtosis : float
            Of one entry: 0 if normal, -6/5 if uniform.
        """
        return self.n_in * self.n_out / (self.n_in + self.n_out + 1 + excess_kurtosis)

    @property
    def centre(self) -> float:
        """Johnstone's mu in units of the eigenvalue: (sqrt(a - 1) + sqrt(b))^2 variance/n_out.

        a is the larger of the widths and b the smaller, as W W^T has the same eigenvalues but 0.
        """
        return self.variance / self.n_out * self._roots[0] ** 2

    @property
    def scale(self) -> float:
        """Johnstone's sigma in units of the eigenvalue, from r = sqrt(a - 1) + sqrt(b) and a, b.

        r (1/sqrt(a - 1) + 1/sqrt(b))^(1/3) variance/n_out.

        Raises
        ------
        ValueError
            If W is a single number.
        """
        total, a, b = self._roots
        if a == 0:
            raise ValueError("a matrix of one entry has no edge")
        return self.variance / self.n_out * total * (1 / a + 1 / b) ** (1 / 3)

    @property
    def _roots(self) -> tuple[float, float, float]:
        a, b = sqrt(max(self.n_out, self.n_in) - 1), sqrt(min(self.n_out, self.n_in))
        return a + b, a, b

    @property
    def largest_mean(self) -> float:
        """Mean of the largest eigenvalue in the Tracy-Widom limit."""
        return self.centre + self.scale * tracy_widom.MEAN

    @property
    def largest_deviation(self) -> float:
        """Standard deviation of the largest eigenvalue in the Tracy-Widom limit."""
        return self.scale * tracy_widom.DEVIATION

    def upper_quantile(self, p: ArrayLike) -> np.ndarray:
        """What the largest eigenvalue exceeds with probability ``p``, shape as ``p``.

        By the Tracy-Widom limit: :func:`largest_by_simulation` says whether it is reached.

        Raises
        ------
        ValueError
            If a probability is not strictly between 0 and 1.
        """
        return self.centre + self.scale * tracy_widom.quantile(1 - np.asarray(p, dtype=float))

    def _above(self, angle: np.ndarray) -> np.ndarray:
        """Share of the continuous part above x = middle + half-width cos(angle); from 0 to 1.

        With r = min(sqrt(gamma), 1/sqrt(gamma)) the integral of (2/pi) sin^2/|1 + r e^(i angle)|^2,
        which is elementary in the argument of 1 + r e^(i angle).
        """
        r = sqrt(min(self.ratio, 1 / self.ratio))
        phase = np.arctan2(r * np.sin(angle), 1 + r * np.cos(angle))
        return (angle - phase + (phase - r * np.sin(angle)) / r**2) / np.pi

    def _exceeded(self, share: np.ndarray) -> np.ndarray:
        """The x above which this share of all eigenvalues is, in the continuous part."""
        angle = invert(self._above, share / self._continuous, 0.0, np.pi)
        lower, upper = self.edges
        return lower + (upper - lower) * np.cos(angle / 2) ** 2


def largest_by_simulation(
    n_out: int, n_in: int, variance: float, law: str, draws: int, stream: np.random.Generator
) -> np.ndarray:
    """The largest eigenvalue of W^T W/n_out for freshly drawn W: (draws,), in units of variance.

    Normal entries are not drawn one by one: Householder's reflections turn W into a bidiagonal
    matrix of independent chi variables (Silverstein 1985), of which the same is the law.

    Parameters
    ----------
    n_out, n_in : int
        Rows and columns of W.
    variance : float
        Of one entry.
    law : str
        Of one entry, ``normal`` or ``uniform``.
    draws : int
    stream : numpy.random.Generator

    Raises
    ------
    ValueError
        If the law is another, or the variance or a width is not positive.
    """
    unit = MarchenkoPastur(variance, n_out, n_in).variance / n_out
    small, large = sorted((n_out, n_in))
    if law == "normal":
        found = [_largest_normal(small, large, stream) for _ in range(draws)]
    elif law == "uniform":
        found = [_largest_uniform(small, large, stream) for _ in range(draws)]
    else:
        raise ValueError(f"entries are normal or uniform, not {law!r}")
    return unit * np.array(found)


def _largest_normal(small: int, large: int, stream: np.random.Generator) -> float:
    diagonal = stream.chisquare(large - np.arange(small))
    if small == 1:
        return float(diagonal[0])
    beside = stream.chisquare(np.arange(small - 1, 0, -1))
    product = np.sqrt(diagonal[:-1] * beside)
    diagonal[1:] += beside
    last = (small - 1, small - 1)
    return float(linalg.eigvalsh_tridiagonal(diagonal, product, select="i", select_range=last)[0])


def _largest_uniform(small: int, large: int, stream: np.random.Generator) -> float:
    W = stream.uniform(-sqrt(3), sqrt(3), size=(small, large))
    gram = W @ W.T
    if small < _LANCZOS:
        return float(linalg.eigvalsh(gram, check_finite=False)[-1])
    # The error of a Ritz value is the square of the tolerance, which is on its vector.
    start = np.ones(small)
    return float(eigsh(gram, k=1, v0=start, tol=1e-7, return_eigenvectors=False)[0])
