"""Means of products of what a network begins with, in modes, to first order in 1/n.

Indices are compound: of an input, or a mode of inputs, and an output, inputs slowest. A mean is a
sum of deltas of outputs times tensors of inputs (docs/theory.md 9.2, 12.4).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from finitewidth.theory.mlp_ntk.ntk_vertex import NTKFirstOrder
from finitewidth.theory.training.ddntk import SecondDifferentials


class StartTensors:
    """Means over the start; q = (rows) x (outputs) compound indices, the first p rows train.

    Parameters
    ----------
    first, second
        Tensors of inputs.
    modes : array, shape (rows, inputs)
        Takes inputs to rows.
    still : array of bool, shape (rows,)
        Null modes: those of every network, so that nothing else meets them.
    k : int
        Outputs.
    centred : bool
        Then the function at the start has no part in anything.
    start : array, shape (rows, outputs)
        Mean of the residuals at the start.
    """

    def __init__(
        self,
        first: NTKFirstOrder,
        second: SecondDifferentials,
        modes: np.ndarray,
        still: np.ndarray,
        k: int,
        centred: bool,
        start: np.ndarray,
    ):
        self.rows, self.k = len(modes), k
        self._d = np.eye(k)
        self._coupled = np.where(still[:, None], 0.0, modes)
        self._known = 0.0 if centred else 1.0
        self._first, self._second = first, second
        self.mean = start.ravel()
        self.K = self._known * self._two(first.K, modes)
        self.G1 = self._known * self._two(first.G1, modes)
        self.H1 = self._two(first.H1, self._coupled)
        #: E e_a e_b.
        self.M = self.K + np.outer(self.mean, self.mean)

    def _two(self, tensor: np.ndarray, L: np.ndarray) -> np.ndarray:
        return np.kron(L @ tensor @ L.T, self._d)

    def _in_modes(self, tensor: np.ndarray) -> np.ndarray:
        for axis in range(4):
            tensor = np.moveaxis(np.tensordot(self._coupled, tensor, (1, axis)), 0, axis)
        return tensor

    def _pairings(self, ab_cd: np.ndarray, ac_bd: np.ndarray, ad_bc: np.ndarray) -> np.ndarray:
        """d12 d34 x + d13 d24 y + d14 d23 z over outputs 1 to 4, (q, q, q, q)."""
        d, q = self._d, self.rows * self.k
        if self.k == 1:
            return self._in_modes(ab_cd + ac_bd + ad_bc)
        e = np.einsum
        x, y, z = (self._in_modes(tensor) for tensor in (ab_cd, ac_bd, ad_bc))
        whole = (
            e("abcd,ij,kl->aibjckdl", x, d, d)
            + e("abcd,ik,jl->aibjckdl", y, d, d)
            + e("abcd,il,jk->aibjckdl", z, d, d)
        )
        return whole.reshape((q,) * 4)

    @cached_property
    def hh(self) -> np.ndarray:
        """Cov(h_ab, h_cd)."""
        A, B = self._first.A, self._first.B
        return self._pairings(A, B, B.transpose(0, 1, 3, 2))

    @cached_property
    def zzh(self) -> np.ndarray:
        """E z_a z_b h_cd less E z_a z_b E h_cd."""
        D, F = self._known * self._first.D, self._known * self._first.F
        return self._pairings(D, F, F.transpose(0, 1, 3, 2))

    @cached_property
    def dHz(self) -> np.ndarray:
        """E dH_{a;bc} z_d."""
        P, Q = self._known * self._first.P, self._known * self._first.Q
        return self._pairings(Q, Q.transpose(0, 2, 1, 3), P)

    @cached_property
    def O3z(self) -> np.ndarray:
        """E O3_{abc} z_d."""
        return self.dHz + self.dHz.transpose(1, 0, 2, 3)

    @cached_property
    def ddI(self) -> np.ndarray:
        """E ddI_{a;bcd}."""
        R = self._second.R
        return self._pairings(R, R.transpose(0, 2, 1, 3), R.transpose(0, 2, 3, 1))

    @cached_property
    def ddII(self) -> np.ndarray:
        """E ddII_{ab;cd}."""
        return self._pairings(*self._second[1:])

    @cached_property
    def X(self) -> np.ndarray:
        """ddI_{a;bcd} + ddII_{ab;cd} + ddII_{ac;bd}: how dH_{a;bc} turns along d."""
        return self.ddI + self.ddII + self.ddII.transpose(0, 2, 1, 3)

    @cached_property
    def both(self) -> np.ndarray:
        """X_{a;bcd} + X_{b;acd}."""
        return self.X + self.X.transpose(1, 0, 2, 3)

    @cached_property
    def symmetric(self) -> np.ndarray:
        """W_{ab;cd}."""
        ddI, ddII = self.ddI, self.ddII
        return ddI + ddI.transpose(1, 0, 2, 3) + ddII + ddII.transpose(0, 1, 3, 2)
