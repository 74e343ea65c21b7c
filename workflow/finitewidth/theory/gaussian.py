"""Gaussian expectations of activations: <f(z)> and <sigma(z1) sigma(z2)>.

Closed forms stand in :mod:`finitewidth.theory.closed_forms`; everything else is integrated here by
Gauss-Legendre panels that shrink towards z = 0. Gauss-Hermite is not used: for a steep or kinked
activation its error is percents once K exceeds about 10.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.activations import Activation
from finitewidth.theory import closed_forms

METHODS = ("auto", "quadrature")

# Beyond this many standard deviations the Gaussian weight is under 1e-42: no polynomial matters.
_REACH = 14.0
# Entries of one temporary array of the two-dimensional rule; bounds the memory, not the result.
_CHUNK = 2**20


def panels(edges: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Composite Gauss-Legendre rule on the panels between ``edges``: nodes and weights, (m,)."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + u)).ravel(), (half * w).ravel()


def _line_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes u and weights, (m,), of the standard normal law on the line."""
    positive = np.concatenate([[0.0], 2.0 ** np.arange(-10, 1), np.arange(2, _REACH + 1)])
    u, w = panels(positive, 40)
    w = w * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-u[::-1], u]), np.concatenate([w[::-1], w])


_LINE = _line_rule()


def expectation(f: Callable[[np.ndarray], np.ndarray], K: ArrayLike) -> np.ndarray:
    """Mean of f(z) for z ~ N(0, K), by quadrature.

    The panels are graded towards u = z/sqrt(K) = 0, where activations bend or break: a scale of 1
    in z is 1/sqrt(K) in u. Errors are below 1e-12 of <|f|> for K up to 1e4, a kink at 0 included.

    Parameters
    ----------
    f : callable
        Elementwise on arrays of any shape; grows no faster than a polynomial.
    K : array_like, shape (...)
        Variances, each >= 0; at 0 the value is f(0).

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If a variance is negative or not finite.
    """
    K = np.asarray(K, dtype=float)
    if not np.all((K >= 0) & np.isfinite(K)):
        raise ValueError("a variance must be finite and not negative")
    u, w = _LINE
    return np.asarray(f(np.sqrt(K)[..., None] * u) @ w)


def second_moment(activation: Activation, K: ArrayLike, method: str = "auto") -> np.ndarray:
    """<sigma(z)^2> for z ~ N(0, K), shape of ``K``; ``method`` as in :func:`covariance`."""
    K = np.asarray(K, dtype=float)
    formula = _closed_form(activation, method)
    if formula is not None:
        return formula(K, K, K)
    return expectation(lambda z: activation.function(z) ** 2, K)


def covariance(
    activation: Activation, K11: ArrayLike, K22: ArrayLike, K12: ArrayLike, method: str = "auto"
) -> np.ndarray:
    """<sigma(z1) sigma(z2)> for (z1, z2) ~ N(0, [[K11, K12], [K12, K22]]).

    Parameters
    ----------
    activation : Activation
    K11, K22, K12 : array_like
        Broadcast against each other to a shape (...). Singular matrices (equal, opposite or zero
        z) are ordinary; a K12 beyond sqrt(K11 K22) by rounding is clipped.
    method : str
        ``"auto"``: the closed form where there is one (:mod:`finitewidth.theory.closed_forms`),
        else quadrature; ``"quadrature"``: always quadrature.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If ``method`` is unknown, or a variance is negative or not finite.
    """
    K11, K22, K12 = np.broadcast_arrays(*(np.asarray(k, dtype=float) for k in (K11, K22, K12)))
    formula = _closed_form(activation, method)
    if formula is not None:
        return formula(K11, K22, K12)
    if not (np.all((K11 >= 0) & np.isfinite(K11)) and np.all((K22 >= 0) & np.isfinite(K22))):
        raise ValueError("a variance must be finite and not negative")
    return _polar(activation.function, K11.ravel(), K22.ravel(), K12.ravel()).reshape(K11.shape)


def _closed_form(activation: Activation, method: str):
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    return closed_forms.find(activation) if method == "auto" else None


def _polar(sigma: Callable, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray) -> np.ndarray:
    """The quadrature of :func:`covariance` for arrays of shape (m,).

    In polar coordinates z1 = sqrt(K11) r cos(phi), z2 = sqrt(K22) r cos(phi - angle) the lines
    z1 = 0 and z2 = 0, where kinks lie, are rays: the angular panels end on them whatever the
    correlation, so that singular matrices need no care. Panels shrink towards these rays and
    towards r = 0, down to the scale 1/sqrt(K) on which a sigmoid changes.
    """
    angle = closed_forms.angle(K11, K22, K12)
    steepness = np.sqrt(max(1.0, K11.max(initial=0.0), K22.max(initial=0.0)))
    levels = 2 + int(np.ceil(np.log2(steepness)))

    r, r_weight = panels(
        np.concatenate([[0.0], 2.0 ** np.arange(-levels + 1, 1), [2.0, 3.5, 5.5, 8.6, _REACH]]), 12
    )
    r_weight = r_weight * r * np.exp(-r * r / 2) / (2 * np.pi)
    towards_0 = np.concatenate([[0.0], 2.0 ** np.arange(-levels - 1, 0)])
    unit, unit_weight = panels(np.concatenate([towards_0, 1 - towards_0[-2::-1]]), 12)

    rays = np.stack([-np.pi / 2 + 0 * angle, angle - np.pi / 2, 0 * angle + np.pi / 2], axis=-1)
    start = np.concatenate([rays[:, :2], rays[:, :2] + np.pi], axis=-1)
    width = np.tile(np.diff(rays, axis=-1), 2)
    phi = (start[..., None] + width[..., None] * unit).reshape(len(angle), -1)
    phi_weight = (width[..., None] * unit_weight).reshape(len(angle), -1)

    c1 = np.sqrt(K11)[:, None] * np.cos(phi)
    c2 = np.sqrt(K22)[:, None] * np.cos(phi - angle[:, None])
    result = np.empty(len(angle))
    step = max(1, _CHUNK // (phi.shape[1] * len(r)))
    for i in range(0, len(angle), step):
        k = slice(i, i + step)
        product = sigma(c1[k, :, None] * r) * sigma(c2[k, :, None] * r)
        result[k] = np.einsum("mp,mp->m", product @ r_weight, phi_weight[k])
    return result
