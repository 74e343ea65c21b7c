"""Criticality: the init at which neither kernels nor differences of inputs explode or vanish.

The two susceptibilities are chi_par = dK'/dK, by which a perturbation of the kernel's size grows
from layer to layer, and chi_perp = C_W <sigma'^2>, by which the difference of two near inputs does;
at a critical point both are 1 (PDLT sections 5.1 to 5.3). Numpy alone is imported: a config is read
with this.

A critical point becomes part of a plan, and plans are made by processes whose libraries may use any
instruction set. So its numbers are rounded to fewer digits than all of them agree on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import TABLE
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.gaussian.powers import power_derivatives

SCALE_INVARIANT, AT_ZERO, HALF_STABLE = "scale-invariant", "K* = 0", "half-stable"

#: Kernels among which a critical one is looked for.
_KERNELS = np.logspace(-2, 3, 241)
#: A ratio of susceptibilities nearer to 1 than this may be 1 by rounding.
_ROUNDING = 1e-10
#: Significant digits of K*, which is where two rounded functions cross, and of C_b and C_W, which
#: follow from it by three means.
_KERNEL_DIGITS, _RATE_DIGITS = 10, 12
#: K*, C_b and C_W where the susceptibilities of activations of the table agree, which tests find
#: again. They are written down since a search takes a sixth of a second, and scipy as long to
#: import, and every plan would do both.
FOUND = {
    "arctan": None, "cos": None, "erf": None, "gelu": (3.561552813, 0.172922390752, 1.98305825744),
    "sigmoid": None, "silu": (14.32017362, 0.555143170718, 1.98800467827), "sin": None,
    "softplus": None, "tanh": None,
}  # fmt: skip


@dataclass(frozen=True)
class CriticalInit:
    """The variances of a critical point.

    Attributes
    ----------
    C_b, C_W : float
    K_star : float or None
        The fixed point of the kernel; None where every kernel is one.
    universality_class : str
        ``scale-invariant``, ``K* = 0`` or ``half-stable``.
    """

    C_b: float
    C_W: float
    K_star: float | None
    universality_class: str

    @property
    def where(self) -> str:
        """The fixed point in words."""
        return "any K*" if self.K_star is None else f"K* = {self.K_star:.8g}"


@dataclass(frozen=True)
class CriticalPoint(CriticalInit):
    """A critical point, and how a network behaves at it.

    Attributes
    ----------
    a1, b1 : float or None
        Class K* = 0: K' = K + a1 K^2 and chi_perp = 1 + b1 K near 0, so that K -> 1/(-a1 l),
        chi_par -> 1 - 2/l and chi_perp -> 1 - (b1/a1)/l.
    a, b : float or None
        Half-stable: with d = K - K*, d' = d + a d^2 and chi_perp = 1 + b d.
    angle : float or None
        The angle of two inputs tends to ``angle``/l, if it does.
    vertex_slope : float
        Var(Ghat)/K^2 tends to vertex_slope l/n, to first order in 1/n.
    """

    vertex_slope: float
    a1: float | None = None
    b1: float | None = None
    a: float | None = None
    b: float | None = None
    angle: float | None = None


def chi_parallel(activation: Activation, C_W: float, K: ArrayLike) -> np.ndarray:
    """chi_par = C_W d<sigma^2>/dK of kernels K > 0, shape of ``K``."""
    return C_W * power_derivatives(activation, K, 2, 1)[1]


def chi_perp(activation: Activation, C_W: float, K: ArrayLike) -> np.ndarray:
    """chi_perp = C_W <sigma'^2> of kernels K, shape of ``K``."""
    K = np.asarray(K, dtype=float)
    if activation.slopes is not None:
        return C_W * np.full(K.shape, sum(a**2 for a in activation.slope_pair) / 2)
    if activation.name in ("sin", "cos"):
        # The square of the one's derivative is the square of the other.
        return C_W * (1 - power_derivatives(activation, K, 2, 0)[0])
    return C_W * expectation(lambda z: activation.derivative(z) ** 2, K)


@cache
def critical_init(activation: Activation) -> CriticalInit:
    """Where an activation is critical.

    chi_perp = chi_par does not contain C_W: a kernel at which it holds fixes C_W = 1/<sigma'^2> and
    C_b = K - C_W <sigma^2>. Where there is none, an activation with sigma(0) = 0 is critical at
    K = 0 with C_W = 1/sigma'(0)^2, if kernels near it shrink.

    Raises
    ------
    ValueError
        In words that say why, where there is none.
    """
    if activation.slopes is not None:
        return _scale_invariant(*activation.slope_pair)
    known = activation.name in FOUND and TABLE.get(activation.name) is activation
    found = FOUND[activation.name] if known else crossing(activation)
    if found is not None:
        K, C_b, C_W = found
        if C_b >= 0:
            return CriticalInit(C_b, C_W, K, HALF_STABLE)
    return _at_zero(activation)


@cache
def critical_point(activation: Activation) -> CriticalPoint:
    """The critical point of an activation, and how a network behaves at it.

    Raises
    ------
    ValueError
        In words that say why, where there is none.
    """
    init = critical_init(activation)
    if isinstance(init, CriticalPoint):
        return init
    return _half_stable(activation, init)


def _scale_invariant(plus: float, minus: float) -> CriticalPoint:
    square, fourth = (plus**2 + minus**2) / 2, (plus**4 + minus**4) / 2
    if square == 0:
        raise ValueError("it is zero everywhere")
    kink = (plus - minus) ** 2
    return CriticalPoint(
        0.0,
        1 / square,
        None,
        SCALE_INVARIANT,
        vertex_slope=3 * fourth / square**2 - 1,
        # cos t' = 1 - t^2/2 + kink t^3/(6 pi square): t -> t - kink t^2/(6 pi square).
        angle=6 * np.pi * square / kink if kink else None,
    )


def _gap(activation: Activation, K: ArrayLike) -> np.ndarray:
    """chi_perp/chi_par - 1, free of C_W; NaN where the two differ in sign."""
    perp, parallel = chi_perp(activation, 1.0, K), chi_parallel(activation, 1.0, K)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.where(parallel > 0, perp / parallel - 1, np.nan)


def crossing(activation: Activation) -> tuple[float, float, float] | None:
    """The smallest K > 0 at which the susceptibilities agree, with C_b and C_W; None without one.

    It is found by bisection.
    """
    gap = _gap(activation, _KERNELS)
    clear = np.abs(gap) > _ROUNDING
    crosses = np.flatnonzero((np.sign(gap[:-1]) * np.sign(gap[1:]) < 0) & clear[:-1] & clear[1:])
    if not len(crosses):
        return None
    low, high = _KERNELS[crosses[0]], _KERNELS[crosses[0] + 1]
    below = gap[crosses[0]]
    while high - low > 4e-16 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if _gap(activation, middle) * below > 0:
            low = middle
        else:
            high = middle
    K = float(f"{(low + high) / 2:.{_KERNEL_DIGITS}g}")
    square, slope = power_derivatives(activation, K, 2, 1)
    C_W = _rate(1 / slope)
    return K, _rate(K - C_W * square), C_W


def _half_stable(activation: Activation, init: CriticalInit) -> CriticalPoint:
    K, C_W = init.K_star, init.C_W
    assert K is not None
    square, _, curvature = power_derivatives(activation, K, 2, 2)
    fourth = power_derivatives(activation, K, 4, 0)[0]
    # d<f>/dK = <f He_2(u)>/(2K), here of sigma'^2.
    u2 = expectation(lambda z: activation.derivative(z) ** 2 * (z * z / K - 1), K) / (2 * K)
    return CriticalPoint(
        init.C_b,
        C_W,
        K,
        HALF_STABLE,
        vertex_slope=float(C_W**2 * (fourth - square**2) / K**2),
        a=float(C_W * curvature / 2),
        b=float(C_W * u2),
    )


def _rate(value: float) -> float:
    return float(f"{value:.{_RATE_DIGITS}g}")


def _at_zero(activation: Activation) -> CriticalPoint:
    none = "no kernel makes both its susceptibilities 1"
    if activation.derivatives is None:
        raise ValueError(none)
    s0, s1, s2, s3 = (float(s) for s in activation.jet(np.zeros(()))[:4])
    if s0 != 0 or s1 == 0:
        raise ValueError(none)
    b1 = s3 / s1 + (s2 / s1) ** 2
    a1 = s3 / s1 + (s2 / s1) ** 2 * 3 / 4
    if a1 >= 0:
        raise ValueError(f"{none} but K = 0, from which kernels grow away")
    return CriticalPoint(0.0, _rate(1 / s1**2), 0.0, AT_ZERO, vertex_slope=2 / 3, a1=a1, b1=b1)
