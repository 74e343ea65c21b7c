"""The state of a stream to first order in 1/n."""

from __future__ import annotations

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.theory.blocks.hermite import Basis
from finitewidth.theory.blocks.sites import Site

#: 1 - correlation^2 below which derivatives by two inputs lose too many digits.
LEAST_ANGLE = 1e-4


class Stream:
    """What is carried from layer to layer, of one or two inputs.

    Attributes
    ----------
    K : ndarray, shape (N, N)
    M : ndarray, shape (P,)
        n (E[z_a z_b] - K_ab).
    variance : ndarray, shape (P, P)
        Var D.
    Y : list of ndarray
        Coefficients of E[what a channel adds to D_q | z], pair by pair.
    basis : Basis
    """

    def __init__(self, K: np.ndarray, degree: int) -> None:
        self.inputs, self._degree = len(K), degree
        self.pairs = [tuple(p) for p in pairs(self.inputs).tolist()]
        self.K = K
        self.M = np.zeros(len(self.pairs))
        self.variance = np.zeros((len(self.pairs), len(self.pairs)))
        self.set_basis()
        self.Y = [0 * self.basis.one() for _ in self.pairs]

    @property
    def k(self) -> np.ndarray:
        """K of each pair."""
        return np.array([self.K[a, b] for a, b in self.pairs])

    def set_basis(self) -> None:
        """The variables of the present K."""
        self.regular = bool((np.isfinite(self.K).all() and np.diagonal(self.K) > 0).all())
        if self.regular and self.inputs == 2:
            rest = 1 - self.K[0, 1] ** 2 / (self.K[0, 0] * self.K[1, 1])
            self.regular = bool(rest > LEAST_ANGLE)
        L = np.linalg.cholesky(self.K) if self.regular else np.eye(self.inputs)
        self.basis = Basis(L, self._degree)

    def is_regular(self, site: Site) -> bool:
        """Whether derivatives exist, and to enough digits."""
        if not self.regular:
            return False
        # A norm divides by the scale that the variables have.
        variance = np.diagonal(self.K)
        scale = np.sqrt((variance + site.eps).min()) if site.norm else 1.0
        return self.basis.resolves(site.strip and site.strip * scale)

    def correlated(self, c: np.ndarray) -> np.ndarray:
        """X_q[g] = sqrt(n) Cov(D_q, mean of g over channels), of each pair q."""
        return np.array([self.basis.covariance(y, c) for y in self.Y])

    def active(self) -> float:
        """n (P(z > 0) - 1/2) of one input, NaN of two.

        X_q[d_q g] of the step g, whose own mean and variance of second derivatives vanish: z goes
        with the variance that it is drawn with where it keeps what earlier layers added.
        """
        if self.inputs > 1:
            return float("nan")
        step = self.basis.coefficients(lambda z: np.heaviside(z, 0.5), None)
        curvature = self.basis.slope(self.basis.slope(step, 0), 0)
        return float(self.correlated(curvature / 2)[0])

    def square(self, pair: tuple[int, ...]) -> np.ndarray:
        """Coefficients of z_a z_b."""
        a, b = pair
        return self.basis.times(self.basis.times(self.basis.one(), b), a)
