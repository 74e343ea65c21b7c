"""Second differentials of the tangent kernel to first order in 1/n.

With g_b = Lambda grad z_b, Lambda the rates, and indices that carry an output and an input,

    ddI_{a;bcd} = D^3 z_a [g_b, g_c, g_d],    ddII_{ab;cd} = (D^2 z_a g_c) Lambda (D^2 z_b g_d),
    E ddI  = d01 d23 R_abcd + d02 d13 R_acbd + d03 d12 R_adbc,
    E ddII = d12 d34 S_abcd + d13 d24 T_abcd + d14 d23 U_abcd,

deltas being of outputs (docs/theory.md 12.4, derived here).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.derivative_means import derivative_means
from finitewidth.theory.gaussian.factor_means import FactorMeans, Quadrature
from finitewidth.theory.mlp_ntk import ntk_vertex
from finitewidth.theory.mlp_ntk.ntk_vertex import NTKFirstOrder

_ORDERS = ((3, 1, 1, 1), (2, 2, 1, 1), (1, 1, 0, 0), (1, 2, 0, 1), (2, 1, 1, 0))


class SecondDifferentials(NamedTuple):
    """Of the last layer, (N, N, N, N) each; they hold their power of 1/n."""

    R: np.ndarray
    S: np.ndarray
    T: np.ndarray
    U: np.ndarray


def has_kink(mlp: Perceptron) -> bool:
    """Whether second differentials are infinite."""
    return mlp.activation.derivatives is None and not mlp.activation.is_linear


def second_differentials(
    mlp: Perceptron, rates: LearningRates, x: np.ndarray, means: FactorMeans | None = None
) -> tuple[NTKFirstOrder, SecondDifferentials]:
    """The tensors of first order of the last layer, those of kernel and dNTK and those above.

    Parameters
    ----------
    mlp : Perceptron
        Smooth: at a kink S and U are infinite. Weights must be normal.
    rates : LearningRates
    x : ndarray, shape (N, n_0)
        At most three inputs where means are taken by quadrature.
    means : FactorMeans, optional
        How means of four factors are taken; by quadrature unless told otherwise.

    Returns
    -------
    NTKFirstOrder, SecondDifferentials
        Without an axis of layers.

    Raises
    ------
    ValueError
        For an activation with a kink, C_W of 0 behind the first layer, more inputs than ``means``
        takes, and as :func:`finitewidth.theory.mlp_ntk.ntk_vertex.first_order` does.
    """
    if has_kink(mlp):
        raise ValueError(f"{mlp.activation_name} has a kink: its second differentials are infinite")
    if mlp.depth > 1 and min(mlp.C_W[1:]) == 0:
        raise ValueError("second differentials want weights of variance above 0")
    layers = range(1, mlp.depth + 1)
    means = means or Quadrature()
    every = ntk_vertex.first_order(mlp, rates, x, layers, means)
    each = [NTKFirstOrder(*(values[k] for values in every)) for k in range(mlp.depth)]
    zero = np.zeros((len(x),) * 4)
    found = SecondDifferentials(zero, zero, zero, zero)
    for k in range(1, mlp.depth):
        found = _next(mlp, rates, k, each[k - 1], each[k], found, means)
    return each[-1], found


def _next(
    mlp: Perceptron,
    rates: LearningRates,
    k: int,
    before: NTKFirstOrder,
    after: NTKFirstOrder,
    old: SecondDifferentials,
    means: FactorMeans,
) -> SecondDifferentials:
    """From layer k to layer k + 1."""
    C_W, lambda_W, n = mlp.C_W[k], rates.lambda_W[k], mlp.widths[k]
    K, Th, B, F, P, Q = (getattr(before, x) for x in ("K", "Theta", "B", "F", "P", "Q"))
    m = derivative_means(mlp.activation, K)
    f = means.products(mlp.activation, K, _ORDERS)
    slopes, bends = m[1, 1], m[2, 2]
    e = np.einsum
    curved = f[2, 2, 1, 1]
    # d_x of s''_a s'_b at x = a and at x = b, times what has x as its last index.
    along = e("ab,acda->abcd", m[3, 1], P) + e("ab,acdb->abcd", bends, P)
    R = lambda_W / C_W * after.P.transpose(0, 3, 1, 2) + C_W**2 * (
        e("abcd,ab,ac,ad->abcd", f[3, 1, 1, 1], Th, Th, Th) / n
        + e("ab,cd,ab,acad->abcd", m[3, 1], slopes, Th, B)
        + e("ab,cd,abcd->abcd", Th, slopes, along)
        + e("ab,cd,abcd->abcd", slopes, slopes, old.R)
    )
    local = e("abcd,ab,ac,bd->abcd", curved, Th, Th, Th) / n
    S = lambda_W / C_W * e("acbd->abcd", after.B) + C_W**2 * (
        local
        + e("ab,cd,ab,acbd->abcd", bends, slopes, Th, B)
        + e("ab,cd,abcd->abcd", slopes, slopes, old.S)
    )
    U = C_W**2 * (local + e("ad,bc,abcd->abcd", slopes, slopes, old.U))
    pull = C_W * Th
    # w_ac = lambda_W s_c s'_a + C_W Theta_ac s''_a s'_c, and its derivatives by z_a and z_c.
    at_a = lambda_W * m[2, 0] + pull * m[3, 1]
    at_c = lambda_W * slopes + pull * bends
    cross = lambda_W * e("abcd,bd->abcd", f[1, 2, 0, 1], pull)
    squares = (
        lambda_W**2 * f[1, 1, 0, 0]
        + cross
        + lambda_W * e("abcd,ac->abcd", f[2, 1, 1, 0], pull)
        + e("abcd,ac,bd->abcd", curved, pull, pull)
    )
    joined = (
        e("ac,bd,abab->abcd", at_a, at_a, F)
        + e("ac,bd,adab->abcd", at_a, at_c, F)
        + e("ac,bd,cbab->abcd", at_c, at_a, F)
        + e("ac,bd,cdab->abcd", at_c, at_c, F)
    )
    one = e("ac,bdaa->abcd", at_a, Q) + e("ac,bdac->abcd", at_c, Q)
    other = e("bd,acbb->abcd", at_a, Q) + e("bd,acbd->abcd", at_c, Q)
    T = (
        e("abcd,ab->abcd", squares, Th) / n
        + joined
        + C_W * e("bd,abcd->abcd", slopes, one)
        + C_W * e("ac,abcd->abcd", slopes, other)
        + C_W**2 * e("ac,bd,abcd->abcd", slopes, slopes, old.T)
    )
    return SecondDifferentials(R, S, T, U)
