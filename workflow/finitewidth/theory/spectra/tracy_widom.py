"""The Tracy-Widom law F_1: the largest eigenvalue of large real symmetric random matrices.

F_1(s) = det(1 - B_s), B_s(x, y) = Ai(x + y + s) on x, y > 0 (Ferrari and Spohn 2005, scaled to the
half-line), as a determinant on Gauss-Legendre nodes, which converges exponentially (Bornemann
2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from finitewidth.core.bisection import invert

#: Mean and standard deviation (Bornemann 2010).
MEAN = -1.2065335745820
DEVIATION = 1.607781034581**0.5

#: F_1 is below 1e-30 at the lower end and 1 to 1e-18 at the upper one, where Ai is below 1e-19.
_LOWEST, _HIGHEST = -12.0, 16.0
_NODES = 40


def cdf(s: ArrayLike) -> np.ndarray:
    """F_1(s), shape as ``s``, with an absolute error below 1e-13 (docs/theory.md 11.2)."""
    s = np.asarray(s, dtype=float)
    inside = np.clip(s, _LOWEST, _HIGHEST)[..., None]
    t, weight = np.polynomial.legendre.leggauss(_NODES)
    # Beyond _HIGHEST - s the kernel is nothing; at the upper end itself one unit is kept.
    half = (_HIGHEST + 1 - inside) / 2
    x, root = half * (t + 1), np.sqrt(half * weight)
    kernel = special.airy(x[..., :, None] + x[..., None, :] + inside[..., None])[0]
    found = np.linalg.det(np.eye(_NODES) - root[..., :, None] * kernel * root[..., None, :])
    return np.where(s < _LOWEST, 0.0, np.where(s > _HIGHEST, 1.0, np.clip(found, 0.0, 1.0)))


def quantile(p: ArrayLike) -> np.ndarray:
    """Where F_1 is ``p``, shape as ``p``; to 1e-12 or what the error of F_1 allows.

    Raises
    ------
    ValueError
        If a probability is not strictly between 0 and 1.
    """
    p = np.asarray(p, dtype=float)
    if not np.all((p > 0) & (p < 1)):
        raise ValueError(f"a probability is between 0 and 1, not {p}")
    return invert(cdf, p, _LOWEST, _HIGHEST, steps=44)
