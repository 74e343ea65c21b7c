"""First order in 1/n of the tangent kernel on several inputs: its fluctuations, and the dNTK.

Given layer l, kernel and NTK of layer l+1 are means over n neurons. Their covariances are what one
neuron's fluctuations add and what the fluctuations of layer l become, to first order in them (PDLT
chapters 8 and 11; docs/theory.md 9). With s = sigma and z ~ N(0, K),

* a tensor T_ab.. in the place of a change of K changes <f_a g_b> by
  L(T) = <f''_a g_b> T_aa../2 + <f'_a g'_b> T_ab.. + <f_a g''_b> T_bb../2 (Price 1958),
* O_ab = lambda_W s_a s_b + C_W Theta_ab s'_a s'_b is one neuron's part in the NTK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.closed_forms import angle
from finitewidth.theory.gaussian.derivative_means import derivative_means
from finitewidth.theory.gaussian.factor_means import FactorMeans, Quadrature
from finitewidth.theory.gaussian.four_factors import FourMeans
from finitewidth.theory.mlp.kernel import infinite_width, overlaps
from finitewidth.theory.mlp_ntk.infinite_width_ntk import check_rates, infinite_width_ntk

# Variances beyond this, or under its inverse, leave the range of floats in what follows.
_RANGE = 1e75
# Two inputs at a kink: terms of order 1/t^2 cancel at an angle t, and tensors of the NTK lose their
# digits under the first angle. Under the second the inputs are one, or opposite.
_NARROW, _EQUAL = 1e-3, 4.5e-8


class NTKFirstOrder(NamedTuple):
    """Of T layers and N inputs; all but K and Theta hold their power of 1/n.

    Ghat is the covariance of a neuron given the layer before, Theta_ia,jb the NTK of neuron i at
    input a and neuron j at input b, i != j; dH_ia,jb,kc is the sum over parameters mu, nu of
    lambda_mu lambda_nu d^2z_ia/dmu dnu dz_jb/dmu dz_kc/dnu.
    """

    K: np.ndarray  #: (T, N, N), E[Ghat_ab] at infinite width
    V: np.ndarray  #: (T, N, N, N, N), Cov(Ghat_ab, Ghat_cd)
    G1: np.ndarray  #: (T, N, N), E[Ghat_ab] - K_ab
    Theta: np.ndarray  #: (T, N, N), E[Theta_ia,ib] at infinite width
    A: np.ndarray  #: (T, N, N, N, N), Cov(Theta_ia,ib, Theta_jc,jd)
    B: np.ndarray  #: (T, N, N, N, N), E[Theta_ia,jb Theta_ic,jd]
    D: np.ndarray  #: (T, N, N, N, N), Cov(Ghat_ab, Theta_ic,id)
    F: np.ndarray  #: (T, N, N, N, N), E[z_ia z_jb Theta_ic,jd]
    H1: np.ndarray  #: (T, N, N), E[Theta_ia,ib] - Theta_ab
    P: np.ndarray  #: (T, N, N, N, N), E[dH_ia,jb,jc z_id]
    Q: np.ndarray  #: (T, N, N, N, N), E[dH_ia,ib,jc z_jd]


def first_order(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    layers: Sequence[int],
    means: FactorMeans | None = None,
) -> NTKFirstOrder:
    """All tensors of :class:`NTKFirstOrder`, to first order in 1/n.

    Each hidden width has its own 1/n. One layer of a smooth activation takes milliseconds with two
    inputs, up to seconds with each set of three or four; where variances are large, entries that
    join three or four different inputs are NaN (:func:`four_factors.four_means`). Two slopes, sin
    and cos take little time at any K.

    Parameters
    ----------
    mlp : Perceptron
        Any activation of two slopes or smooth; weights must be normal.
    rates : LearningRates
    x : ndarray, shape (N, n_0)
        Equal and zero inputs are ordinary, and so are multiples of an input of a network without
        bias. With a kink, entries of the NTK's tensors that join two inputs less than 1e-3 rad from
        being one, or opposite, in a hidden layer are NaN.
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.
    means : FactorMeans, optional
        How means of four factors are taken; by quadrature unless told otherwise.

    Raises
    ------
    ValueError
        If the weights are not normal, the rates are for another depth, a layer is not between 1 and
        the depth, x has another shape, or the activation has a kink and is not of two slopes.
    """
    layers = check_rates(mlp, rates, layers)
    depth = max(layers)
    K = infinite_width(mlp, x, range(1, depth + 1))
    theta = infinite_width_ntk(mlp, rates, x, range(1, depth + 1))
    two, four = np.zeros_like(overlaps(x)), np.zeros((len(K[0]),) * 4)
    state = NTKFirstOrder(K[0], four, two, theta[0], four, four, four, four, two, four, four)
    wanted, lost_pairs = {1: state}, np.zeros(two.shape, bool)
    for k in range(1, depth):
        lost_pairs = lost_pairs | _too_narrow(mlp.activation, state.K)
        if _in_range(state.K):
            rate = mlp.C_W[k], rates.lambda_W[k], mlp.widths[k]
            local = (means or Quadrature()).four(mlp.activation, state.K)
            state = _Layer(mlp.activation, state, local, *rate).next(K[k], theta[k])
        else:
            lost = NTKFirstOrder(*(np.full_like(x, np.nan) for x in state))
            state = lost._replace(K=K[k], Theta=theta[k])
        if k + 1 in layers:
            wanted[k + 1] = _without(state, lost_pairs)
    return NTKFirstOrder(*(np.stack(x) for x in zip(*(wanted[k] for k in layers), strict=True)))


def _too_narrow(activation: Activation, K: np.ndarray) -> np.ndarray:
    """Pairs of inputs that are nearly one, or opposite, at a kink: bool, (N, N)."""
    if activation.slopes is None or activation.is_linear:
        return np.zeros(K.shape, bool)
    variance = np.diagonal(K)
    t = angle(variance[:, None], variance, K)
    t = np.minimum(t, np.pi - t)
    return (t < _NARROW) & (t > _EQUAL) & ~np.eye(len(K), dtype=bool)


def _without(state: NTKFirstOrder, pairs: np.ndarray) -> NTKFirstOrder:
    """NaN in entries of the NTK's tensors that join two inputs of one of the ``pairs``."""
    if not pairs.any():
        return state
    known = {}
    for name in ("A", "B", "D", "F", "H1", "P", "Q"):
        values = getattr(state, name)
        joined = np.zeros(values.shape, bool)
        index = np.indices(values.shape)
        for i, j in combinations(range(values.ndim), 2):
            joined |= pairs[index[i], index[j]]
        known[name] = np.where(joined, np.nan, values)
    return state._replace(**known)


def _in_range(K: np.ndarray) -> bool:
    """Whether the third powers of variances, and their inverses, are floats."""
    variance = np.diagonal(K)
    return bool(np.all((variance == 0) | ((variance > 1 / _RANGE) & (variance < _RANGE))))


class _Layer:
    """One step of the recursions, from the tensors of layer l to those of layer l+1."""

    def __init__(
        self,
        activation: Activation,
        state: NTKFirstOrder,
        local: FourMeans,
        C_W: float,
        lambda_W: float,
        n: int,
    ):
        self.state, self.C_W, self.lambda_W, self.n = state, C_W, lambda_W, n
        self.m = derivative_means(activation, state.K)
        self.local = local
        # With two slopes a network's own s'' is 0, although means of s'' as a distribution are not.
        self.bends = activation.slopes is None

    def next(self, K: np.ndarray, theta: np.ndarray) -> NTKFirstOrder:
        C_W, state = self.C_W, self.state
        chi = C_W * self.m[1, 1]
        # F and D before the last C_W, which the dNTK has as lambda_W in its place.
        F_over = self._F()
        return NTKFirstOrder(
            K,
            _symmetric(C_W**2 * (self.local.squares / self.n + self._both(self._square, state.V))),
            C_W * (self._square(state.G1) + self._curvature(state.V, 0)),
            theta,
            _symmetric(self._A(chi)),
            C_W**2
            * (
                self._slopes() * _outer(state.Theta, state.Theta) / self.n
                + np.einsum("ac,bd,abcd->abcd", self.m[1, 1], self.m[1, 1], state.B)
            ),
            self._D(chi),
            C_W * F_over,
            self._H1(chi),
            self._P(chi),
            self._Q(chi, F_over),
        )

    def _shift(self, T: np.ndarray, order: int) -> np.ndarray:
        """L(T) of <s^(order)_a s^(order)_b>, over the first two axes of T."""
        extra = (slice(None),) * 2 + (None,) * (T.ndim - 2)
        up, same, down = (self.m[order + p, order + q][extra] for p, q in ((2, 0), (1, 1), (0, 2)))
        diagonal = np.einsum("aa...->a...", T)
        return up * diagonal[:, None] / 2 + same * T + down * diagonal[None] / 2

    def _square(self, T: np.ndarray) -> np.ndarray:
        return self._shift(T, 0)

    def _part(self, T: np.ndarray) -> np.ndarray:
        """L(T) of O_ab, Theta held fixed."""
        theta = self.state.Theta[(slice(None),) * 2 + (None,) * (T.ndim - 2)]
        return self.lambda_W * self._shift(T, 0) + self.C_W * theta * self._shift(T, 1)

    @staticmethod
    def _both(
        first: Callable[[np.ndarray], np.ndarray],
        T: np.ndarray,
        second: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """``first`` on the first two axes of T, ``second`` (or the same) on the last two."""
        return _swapped((second or first)(_swapped(first(T))))

    def _curvature(self, V: np.ndarray, order: int) -> np.ndarray:
        """Half the second derivatives of <s^(order)_a s^(order)_b> by K, on V: (N, N)."""
        m, o = self.m, order
        return (
            m[o + 4, o] * np.einsum("aaaa->a", V)[:, None]
            + m[o, o + 4] * np.einsum("bbbb->b", V)
            + 4 * m[o + 3, o + 1] * np.einsum("aaab->ab", V)
            + 4 * m[o + 1, o + 3] * np.einsum("abbb->ab", V)
            + 2 * m[o + 2, o + 2] * (np.einsum("aabb->ab", V) + 2 * np.einsum("abab->ab", V))
        ) / 8

    def _slopes(self) -> np.ndarray:
        """<s'_a s'_b s'_c s'_d>."""
        return self.local.slopes + _outer(self.m[1, 1], self.m[1, 1])

    def _A(self, chi: np.ndarray) -> np.ndarray:
        pull, local = self.C_W * self.state.Theta, self.local
        cross = self.lambda_W * np.einsum("abcd,cd->abcd", local.mixed, pull)
        own = (
            self.lambda_W**2 * local.squares
            + cross
            + _swapped(cross)
            + local.slopes * _outer(pull, pull)
        )
        carried = np.einsum("abcd,cd->abcd", self._part(self.state.D), chi)
        return (
            own / self.n
            + self._both(self._part, self.state.V)
            + carried
            + _swapped(carried)
            + self.state.A * _outer(chi, chi)
        )

    def _D(self, chi: np.ndarray) -> np.ndarray:
        pull = self.C_W * self.state.Theta
        own = self.lambda_W * self.local.squares + np.einsum(
            "abcd,cd->abcd", self.local.mixed, pull
        )
        carried = np.einsum("abcd,cd->abcd", self._square(self.state.D), chi)
        return self.C_W * (
            own / self.n + self._both(self._square, self.state.V, self._part) + carried
        )

    def _F(self) -> np.ndarray:
        """F' over C_W: neurons are joined by z at a, b and by the NTK at c, d."""
        m, F = self.m, self.state.F
        mixed = self.local.mixed + _outer(m[0, 0], m[1, 1])
        same, moved = m[1, 1], m[0, 2]
        at_d, at_c = np.einsum("adcd->acd", F), np.einsum("cbcd->bcd", F)
        both = np.einsum("cdcd->cd", F)
        return self.C_W * (
            mixed * self.state.Theta / self.n
            + np.einsum("ac,bd,abcd->abcd", same, same, F)
            + np.einsum("ac,bd,acd->abcd", same, moved, at_d)
            + np.einsum("ac,bd,bcd->abcd", moved, same, at_c)
            + np.einsum("ac,bd,cd->abcd", moved, moved, both)
        )

    def _H1(self, chi: np.ndarray) -> np.ndarray:
        m, state = self.m, self.state
        F, D = state.F, np.einsum("xyab,ab->xyab", state.D, np.ones_like(chi))
        # The kernel, or z twice, at (a, a), (a, b), (b, b) with the NTK at (a, b).
        aa = np.einsum("aaab->ab", D) / 2 + np.einsum("aaab->ab", F)
        bb = np.einsum("bbab->ab", D) / 2 + np.einsum("bbab->ab", F)
        ab = np.einsum("abab->ab", D) + np.einsum("abab->ab", F) + np.einsum("baab->ab", F)
        curved = self.lambda_W * self._curvature(state.V, 0)
        curved = curved + self.C_W * state.Theta * self._curvature(state.V, 1)
        return (
            self._part(state.G1)
            + curved
            + chi * state.H1
            + self.C_W * (m[3, 1] * aa + m[2, 2] * ab + m[1, 3] * bb)
        )

    def _bend(self) -> np.ndarray:
        theta = self.state.Theta
        return np.einsum("abcd,ab,ac->abcd", self.local.curved, theta, theta) / self.n

    def _P(self, chi: np.ndarray) -> np.ndarray:
        m, P = self.m, self.state.P
        moved = np.einsum("ad,abca->abcd", m[2, 0], P) + np.einsum("ad,abcd->abcd", m[1, 1], P)
        if self.bends:
            B = np.einsum("abac->abc", self.state.B)
            moved = moved + np.einsum("ad,abc->abcd", m[2, 0], B)
        return self.C_W * (self.C_W * self._bend() + np.einsum("bc,abcd->abcd", chi, moved))

    def _Q(self, chi: np.ndarray, F_over: np.ndarray) -> np.ndarray:
        m, Q, F = self.m, self.state.Q, self.state.F
        moved = np.einsum("cd,abcc->abcd", m[2, 0], Q) + np.einsum("cd,abcd->abcd", m[1, 1], Q)
        total = self.lambda_W * np.einsum("bdac->abcd", F_over)
        total = total + self.C_W**2 * self._bend()
        total = total + self.C_W * np.einsum("ab,abcd->abcd", chi, moved)
        if self.bends:
            # Sum over x in a, b and y in c, d of F[xy;ac].
            first = np.einsum("ab,ayac->abcy", m[3, 1], F) + np.einsum("ab,byac->abcy", m[2, 2], F)
            both = np.einsum("cd,abcc->abcd", m[2, 0], first)
            both = both + np.einsum("cd,abcd->abcd", m[1, 1], first)
            total = total + self.C_W**2 * np.einsum("ab,abcd->abcd", self.state.Theta, both)
        return total


def _outer(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.multiply.outer(p, q)


def _swapped(T: np.ndarray) -> np.ndarray:
    """T_cdab."""
    return T.transpose(2, 3, 0, 1)


def _symmetric(T: np.ndarray) -> np.ndarray:
    """Without what rounding makes of T_abcd - T_cdab."""
    return (T + _swapped(T)) / 2
