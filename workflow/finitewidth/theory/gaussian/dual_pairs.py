"""<s s'> and <s' s''> of an activation by closed forms, for arrays of pairs, both in one pass.

The functions are those of `closed_forms.py` and `slopes.py`; here what the two have in common (the
angle, a determinant) is computed once, which is most of the time that a data set takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import closed_forms

Array = np.ndarray
Means = tuple[Array, Array | None]

# A correlation nearer to +-1 than this is +-1 (see slopes.py).
_ROUNDING = 1e-15


def has_closed_form(activation: Activation) -> bool:
    """Whether :func:`means_of_pairs` knows the activation."""
    return activation.slopes is not None or activation.name in _BY_NAME


def means_of_pairs(
    activation: Activation, K11: Array, K22: Array, K12: Array, *, slopes: bool
) -> Means:
    """<s(z1) s(z2)> and, with ``slopes``, <s'(z1) s'(z2)> for centred Gaussian (z1, z2).

    Parameters
    ----------
    activation : Activation
        One that :func:`has_closed_form`.
    K11, K22, K12 : ndarray
        Variances, which broadcast against the covariances K12.
    slopes : bool

    Returns
    -------
    (ndarray, ndarray or None), each of the shape of K12
    """
    if activation.slopes is not None:
        return _two_slopes(activation, K11, K22, K12, slopes)
    return _BY_NAME[activation.name](K11, K22, K12, slopes)


def _two_slopes(activation: Activation, K11: Array, K22: Array, K12: Array, slopes: bool) -> Means:
    """Cho and Saul 2009, of slopes that any two numbers are."""
    plus, minus = activation.slope_pair
    if plus == minus:
        return plus * minus * K12, np.full_like(K12, plus * minus) if slopes else None
    root1, root2 = np.sqrt(K11), np.sqrt(K22)
    dead = not (root1.all() and root2.all())
    scale = root1 * root2
    whole = np.where(scale > 0, scale, np.inf) if dead else scale
    rho = K12 / whole
    np.clip(rho, -1.0, 1.0, out=rho)
    turn = np.arccos(rho)
    far = 1 + rho
    sine = np.sqrt((1 - rho) * far)
    back = np.subtract(np.pi, turn, out=turn)
    g: Array | None = None
    if slopes:
        g = back * ((plus - minus) ** 2 / (2 * np.pi))
        g += plus * minus
        near = far >= 2 - _ROUNDING
        if near.any():
            g[near] = plus * minus + (plus - minus) ** 2 / 2
        opposite = far <= _ROUNDING
        if opposite.any():
            g[opposite] = plus * minus
        if dead:
            at_zero = float(activation.derivative(np.zeros(())))
            g = np.where(scale > 0, g, at_zero**2)
    f = np.multiply(back, rho, out=rho)
    f += sine
    f *= scale
    f *= (plus - minus) ** 2 / (2 * np.pi)
    if plus * minus:
        f += plus * minus * K12
    return f, g


def _erf(K11: Array, K22: Array, K12: Array, slopes: bool) -> Means:
    """Williams 1997, and its derivative by K12."""
    norm = (1 + 2 * K11) * (1 + 2 * K22)
    f = 2 / np.pi * np.arcsin(np.clip(2 * K12 / np.sqrt(norm), -1, 1))
    if not slopes:
        return f, None
    # The determinant without its cancellation where K11 K22 = K12^2.
    rest = 1 + 2 * (K11 + K22) + 4 * (K11 * K22 - K12 * K12)
    return f, 4 / np.pi / np.sqrt(rest)


def _gelu(K11: Array, K22: Array, K12: Array, slopes: bool) -> Means:
    """Tsuchida et al. 2021, and its derivative by K12."""
    both = (1 + K11) * (1 + K22)
    product = K11 * K22
    determinant = 1 + K11 + K22 + (product - K12 * K12)
    root = np.sqrt(determinant)
    gates = 0.25 + np.arcsin(np.clip(K12 / np.sqrt(both), -1, 1)) / (2 * np.pi)
    rest = (1 - product) / both
    above = product + K12 * K12 * rest
    f = K12 * gates + above / (2 * np.pi * root)
    if not slopes:
        return f, None
    turning = K12 * (1 + 2 * rest + above / determinant) / (2 * np.pi * root)
    return f, gates + turning


def _sin(K11: Array, K22: Array, K12: Array, slopes: bool) -> Means:
    return closed_forms.sin(K11, K22, K12), closed_forms.cos(K11, K22, K12) if slopes else None


def _cos(K11: Array, K22: Array, K12: Array, slopes: bool) -> Means:
    return closed_forms.cos(K11, K22, K12), closed_forms.sin(K11, K22, K12) if slopes else None


_BY_NAME: dict[str, Callable[[Array, Array, Array, bool], Means]] = {
    "erf": _erf,
    "gelu": _gelu,
    "sin": _sin,
    "cos": _cos,
}
