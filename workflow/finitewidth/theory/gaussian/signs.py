"""Moments of Gaussian variables and of signs of Gaussian variables, in up to four dimensions.

ReLU and its family, gelu and erf are linear combinations of 1, z, sgn(y) and z sgn(y), where the
gate y is z itself or z plus independent noise. Stein's lemma <z_a h> = sum_s Cov(z_a, y_s) <d_s h>
turns every product of them into means of signs under conditions y_s = 0; All of these are arcsines
except the mean of four signs, which by Price's theorem is an integral over one variable.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from finitewidth.theory.gaussian.expectations import panels

# A conditional variance below this share of the variance is rounding: the variable is 0.
_NOTHING = 1e-13
# Three gates lie in a plane if the determinant of their correlations is below the first number;
# given one of them, the others are proportional if 1 - correlation^2 is below the second.
_PLANE, _LINE = 1e-11, 1e-9


def sign_moments(covariance: np.ndarray, even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Means of z_1 ... z_p prod_s (even_s + odd_s sgn(y_s)).

    Parameters
    ----------
    covariance : ndarray, shape (M, p + q, p + q)
        Of M jointly Gaussian vectors (z_1..z_p, y_1..y_q), p and q from 0 to 4; may be singular,
        but no two y may be proportional (their signs are one sign: take one gate for both).
    even, odd : ndarray, shape (M, q)

    Returns
    -------
    ndarray, shape (M,)
    """
    plane = _in_a_plane(covariance[:, -even.shape[1] :, -even.shape[1] :])
    if not plane.any():
        return _sign_moments(covariance, even, odd, merge=False)
    values = np.empty(len(covariance))
    values[~plane] = _sign_moments(covariance[~plane], even[~plane], odd[~plane], merge=False)
    for k in np.flatnonzero(plane):
        one = slice(k, k + 1)
        values[one] = _sign_moments(covariance[one], even[one], odd[one], merge=True)
    return values


def _in_a_plane(covariance: np.ndarray) -> np.ndarray:
    """Which of M matrices of four gates hold three that are linearly dependent, (M,)."""
    result = np.zeros(len(covariance), dtype=bool)
    if covariance.shape[1] == 4:
        for three in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]):
            block = covariance[:, three][:, :, three]
            product = np.prod(np.einsum("mss->ms", block), axis=1)
            result |= np.linalg.det(block) <= _PLANE * product
    return result


def _sign_moments(
    covariance: np.ndarray, even: np.ndarray, odd: np.ndarray, merge: bool
) -> np.ndarray:
    gates = even.shape[1]
    moments = _Moments(covariance, covariance.shape[1] - gates, merge)
    total = np.zeros(len(covariance))
    for chosen in range(2**gates):
        signs = tuple(s for s in range(gates) if chosen >> s & 1)
        if (len(signs) + moments.plain) % 2:
            continue
        weight = np.ones(len(covariance))
        for s in range(gates):
            weight = weight * (odd if s in signs else even)[:, s]
        if weight.any():
            total += weight * moments.mean(tuple(range(moments.plain)), signs, ())
    return total


class _Moments:
    """Means of products of z and signs, given that some gates are zero; each is computed once.

    With ``merge`` (M = 1 only) gates that are proportional under the condition become one: three
    gates in a plane are so once one of them is zero, and then they open and close together, which
    the product rule d_s h does not see.
    """

    def __init__(self, covariance: np.ndarray, plain: int, merge: bool):
        self.plain = plain
        self.merge = merge
        self._variance = np.einsum("mss->ms", covariance)[:, plain:]
        self._given = {(): covariance}
        self._found: dict = {}

    def mean(self, z: tuple, signs: tuple, given: tuple) -> np.ndarray:
        """<prod z prod sgn(y)>, given y_s = 0 for s in ``given``: shape (M,)."""
        key = z, signs, given
        if key not in self._found:
            self._found[key] = self._mean(*key)
        return self._found[key]

    def _mean(self, z: tuple, signs: tuple, given: tuple) -> np.ndarray:
        S = self._covariance(given)
        if self.merge and z:
            signs, factor = self._merged(signs, S[0])
            if factor:
                return factor * self.mean(z, signs, given)
        if not z:
            y = [self.plain + s for s in signs]
            return sign_mean(S[:, y][:, :, y])
        a, rest = z[0], z[1:]
        total = np.zeros(len(S))
        for k, b in enumerate(rest):
            total += S[:, a, b] * self.mean(rest[:k] + rest[k + 1 :], signs, given)
        for k, s in enumerate(signs):
            others, condition = signs[:k] + signs[k + 1 :], tuple(sorted((*given, s)))
            slope = 2 / np.sqrt(2 * np.pi) * S[:, a, self.plain + s] * self._root(s, given)
            total += slope * self.mean(rest, others, condition)
        return total

    def _merged(self, signs: tuple, S: np.ndarray) -> tuple[tuple, float]:
        """``signs`` without the first proportional two, and their product; 0 if there are none."""
        for a, b in combinations(signs, 2):
            aa, bb, ab = (S[self.plain + i, self.plain + j] for i, j in ((a, a), (b, b), (a, b)))
            if min(aa / self._variance[0, a], bb / self._variance[0, b]) <= _NOTHING:
                continue
            if aa * bb - ab * ab <= _LINE * aa * bb:
                return tuple(s for s in signs if s not in (a, b)), np.sign(ab)
        return signs, 0.0

    def _root(self, s: int, given: tuple) -> np.ndarray:
        """1/sqrt of the conditional variance of y_s; 0 where that is 0."""
        variance = self._covariance(given)[:, self.plain + s, self.plain + s]
        usable = variance > _NOTHING * self._variance[:, s]
        return np.divide(
            1,
            np.sqrt(variance, where=usable, out=np.ones_like(variance)),
            where=usable,
            out=np.zeros_like(variance),
        )

    def _covariance(self, given: tuple) -> np.ndarray:
        """Covariance of all variables given that the gates ``given`` are zero."""
        if given not in self._given:
            before, s = given[:-1], given[-1]
            S = self._covariance(before)
            column = S[:, :, self.plain + s] * self._root(s, before)[:, None]
            self._given[given] = S - column[:, :, None] * column[:, None, :]
        return self._given[given]


def sign_mean(covariance: np.ndarray) -> np.ndarray:
    """<sgn(y_1) ... sgn(y_q)> of Gaussian y with ``covariance`` (M, q, q): shape (M,).

    Any q up to 4; 0 where an odd number of signs or a variance of zero makes it so.
    """
    q = covariance.shape[1]
    if q == 0:
        return np.ones(len(covariance))
    if q % 2:
        return np.zeros(len(covariance))
    if q == 2:
        c = covariance
        return 2 / np.pi * _arcsine(c[:, 0, 1], c[:, 0, 0], c[:, 1, 1])
    return four_signs(covariance)


def _arcsine(c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    """asin of the correlation, in the form that keeps its digits near +-1."""
    return np.arctan2(c12, np.sqrt(np.maximum(c11 * c22 - c12 * c12, 0)))


# Which two of the variables are held at zero, and which two are left.
_CROSSINGS = ((0, 2, 1, 3), (0, 3, 1, 2), (1, 2, 0, 3), (1, 3, 0, 2))


def four_signs(covariance: np.ndarray) -> np.ndarray:
    """<sgn(y_1) sgn(y_2) sgn(y_3) sgn(y_4)>: shape (M,), from ``covariance`` (M, 4, 4).

    The covariances between {1, 2} and {3, 4} are multiplied by t, from 0 to 1. At t = 0 the mean is
    (2/pi)^2 asin(rho_12) asin(rho_34); its derivative is a sum of four arcsines (Price 1958;
    Plackett 1954), and the variable asin(t rho_ij) takes their inverse square roots away. What is
    left may have a square root at t = 1, where the matrix may become singular: panels shrink
    towards it, as far as the smallest eigenvalue asks for.
    """
    scale = np.sqrt(np.einsum("mss->ms", covariance))
    scale = np.where(scale > 0, scale, np.inf)
    R = np.clip(covariance / (scale[:, :, None] * scale[:, None, :]), -1, 1)
    v, weight = _graded(_halvings(R))
    total = np.arcsin(R[:, 0, 1]) * np.arcsin(R[:, 2, 3])
    for i, j, k, m in _CROSSINGS:
        r = R[:, i, j, None]
        end = np.arcsin(r)
        s = np.sin(v * end)
        t = np.divide(s, r, out=np.broadcast_to(v, s.shape).copy(), where=np.abs(r) > 1e-150)
        # Covariances of y_k, y_m given y_i = y_j = 0, times 1 - s^2; k goes with i, m with j.
        ki, kj, mi, mj = (
            R[:, k, i, None],
            t * R[:, k, j, None],
            t * R[:, m, i, None],
            R[:, m, j, None],
        )
        rest = np.cos(v * end) ** 2
        c_kk = rest - (ki - kj) ** 2 - 2 * (1 - s) * ki * kj
        c_mm = rest - (mi - mj) ** 2 - 2 * (1 - s) * mi * mj
        c_km = rest * t * R[:, k, m, None] - (ki - s * kj) * mi - (kj - s * ki) * mj
        total += end[:, 0] * (_arcsine(c_km, np.maximum(c_kk, 0), np.maximum(c_mm, 0)) @ weight)
    return (2 / np.pi) ** 2 * total


def _halvings(R: np.ndarray) -> int:
    """How often panels must shrink by 4 for the correlation matrices R (M, 4, 4)."""
    smallest = np.linalg.eigvalsh(R)[:, 0].min(initial=1.0)
    return int(np.clip(np.ceil(np.log(2 / max(smallest, 1e-13)) / np.log(4)), 1, 18))


@lru_cache
def _graded(levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], panels shrinking by 4 towards 1."""
    w, weight = panels(np.concatenate([[0.0], 4.0 ** np.arange(-levels, 1)]), 14)
    return 1 - w, weight
