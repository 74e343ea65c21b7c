"""What skips keep of earlier layers: fluctuations that a stream of images carries with it.

D, the fluctuation of the effective covariance of a stream, is a sum over the blocks k before of
linear maps T_k of phi_k, the fluctuations of means over the channels of block k's own products (the
frozen paths of docs/theory.md 13.2, over pairs of rows). Their covariances with what the present
layer adds are means of four activations at two layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.activations.activation import Activation
from finitewidth.theory.blocks.place_pairs import fourfold, places_of_pairs
from finitewidth.theory.blocks.place_sums import Sums, over


@dataclass(frozen=True)
class Source:
    """A block before, of R_k rows z_k and P_k pairs of them.

    Attributes
    ----------
    activation : Activation
    K : ndarray, shape (R_k, R_k)
    f, J : ndarray, shape (P_k,), (P_k, P_k)
        <s s> of z_k, and its derivatives by K.
    C : ndarray, shape (R_k, R)
        Cov(z_k, z) of one channel of the present stream z.
    T : ndarray, shape (P, P_k)
        What its phi adds to D.
    """

    activation: Activation
    K: np.ndarray
    f: np.ndarray
    J: np.ndarray
    C: np.ndarray
    T: np.ndarray

    def passed(self, gamma: float, mixed: np.ndarray) -> Source:
        """The same of the stream behind a skip, whose D is ``mixed`` times that before and more."""
        return replace(self, C=gamma * self.C, T=mixed @ self.T)

    def with_products(self, activation: Activation, K: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Cov(s_r s_s of z_k, s_t s_u of z), (P_k, P), of one channel; z has the covariance K.

        Raises ``ValueError`` for another activation than its own.
        """
        if activation.name != self.activation.name:
            raise ValueError("means of four activations are of one")
        k, R = len(self.K), len(K)
        both = np.block([[self.K, self.C], [self.C.T, K]])
        place = places_of_pairs(k + R)
        (a, b), (c, d) = pairs(k).T, pairs(R).T + k
        four = fourfold(activation, both)[np.ix_(place[a, b], place[c, d])]
        return four - np.outer(self.f, f)

    def with_squares(self) -> np.ndarray:
        """Cov(s_r s_s of z_k, z_t z_u of z), (P_k, P), by parts."""
        (i, j), (c, d) = pairs(len(self.K)).T, pairs(self.C.shape[1]).T
        one = self.C[i][:, c] * self.C[j][:, d]
        other = self.C[j][:, c] * self.C[i][:, d]
        return self.J @ (one + other)


def pair_map(sums: Sums, rows: int) -> np.ndarray:
    """What sums over shifts do to kernels, as a matrix over pairs: (pairs after, pairs before)."""
    a, b = pairs(rows).T
    units = np.zeros((rows, rows, len(a)))
    units[a, b, np.arange(len(a))] = units[b, a, np.arange(len(a))] = 1.0
    found = over(sums, units)
    c, d = pairs(len(found)).T
    return found[c, d]
