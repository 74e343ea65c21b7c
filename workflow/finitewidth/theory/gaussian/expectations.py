"""Gaussian expectations of activations: <f(z)> and <g(z1, z2)>.

Closed forms stand in :mod:`finitewidth.theory.gaussian.closed_forms` and
:mod:`finitewidth.theory.gaussian.trigonometric`; everything else is integrated here by
Gauss-Legendre panels that shrink towards z = 0. Gauss-Hermite is not used: for a steep or kinked
activation its error is percents once K exceeds about 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import gamma, pi, sqrt
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import closed_forms, trapezoidal, trigonometric

METHODS = ("auto", "quadrature")

# Beyond this many standard deviations the Gaussian weight is under 1e-42: no polynomial matters.
_REACH = 14.0
# Entries of one temporary array of the two-dimensional rule; bounds the memory, not the result.
_CHUNK = 2**19
# Nodes of a panel on the line and in the plane, and those of the rules that tell their errors.
_LINE_NODES, _PLANE_NODES = (40, 26), (12, 8)


def panels(edges: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Composite Gauss-Legendre rule on the panels between ``edges``: nodes and weights, (m,)."""
    u, w = _gauss_legendre(nodes)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + u)).ravel(), (half * w).ravel()


_gauss_legendre = lru_cache(np.polynomial.legendre.leggauss)


@lru_cache
def line_rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes u and weights, (m,), of the standard normal law on the line, ``nodes`` a panel."""
    positive = np.concatenate([[0.0], 2.0 ** np.arange(-10, 1), np.arange(2, _REACH + 1)])
    u, w = panels(positive, nodes)
    w = w * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-u[::-1], u]), np.concatenate([w[::-1], w])


@overload
def expectation(
    f: Callable[[np.ndarray], np.ndarray], K: ArrayLike, *, error: Literal[False] = False
) -> np.ndarray: ...
@overload
def expectation(
    f: Callable[[np.ndarray], np.ndarray], K: ArrayLike, *, error: Literal[True]
) -> tuple[np.ndarray, np.ndarray]: ...
def expectation(
    f: Callable[[np.ndarray], np.ndarray], K: ArrayLike, *, error: bool = False
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Mean of f(z) for z ~ N(0, K), by quadrature.

    The panels are graded towards u = z/sqrt(K) = 0, where activations bend or break: a scale of 1
    in z is 1/sqrt(K) in u. Errors are below 1e-12 of <|f|> for K up to 1e4, a kink at 0 included,
    for functions that do not oscillate more than about 10 times in one standard deviation.

    Parameters
    ----------
    f : callable
        Elementwise on arrays of any shape; grows no faster than a polynomial. It may return several
        functions, stacked along leading axes.
    K : array_like, shape (...)
        Variances, each >= 0; at 0 the value is f(0).
    error : bool
        Whether to return an estimate of the absolute error as well, of the same shape: the
        difference to a rule of fewer nodes, which is larger than the error itself, and rounding.

    Returns
    -------
    ndarray, shape (..., ) after the leading axes of f; with ``error`` a pair of them

    Raises
    ------
    ValueError
        If a variance is negative or not finite.
    """
    K = np.asarray(K, dtype=float)
    _check_variances(K)
    fine, coarse = _LINE_NODES
    u, w = line_rule(fine)
    samples = f(np.sqrt(K)[..., None] * u)
    value = np.asarray(samples @ w)
    if not error:
        return value
    u, other = line_rule(coarse)
    gap = np.abs(np.asarray(f(np.sqrt(K)[..., None] * u) @ other) - value)
    return value, gap + 4 * np.finfo(float).eps * (np.abs(samples) @ w)


def moment(activation: Activation, order: int, K: ArrayLike, method: str = "auto") -> np.ndarray:
    """<sigma(z)^order> for z ~ N(0, K), shape of ``K``; ``method`` as in :func:`covariance`.

    Relative errors are below 1e-11 for K from 1e-6 to 1e3.

    Raises
    ------
    ValueError
        As :func:`covariance`.
    """
    K = np.asarray(K, dtype=float)
    _check_variances(K)
    if _closed(method):
        if activation.slopes is not None:
            plus, minus = activation.slope_pair
            size = 2 ** (order / 2) * gamma((order + 1) / 2) / sqrt(pi)
            return (plus**order + (-minus) ** order) / 2 * size * K ** (order / 2)
        if activation.name in trigonometric.NAMES:
            series = trigonometric.power(activation.name, order, K)
            if activation.name == "cos":
                return series
            # The sum cancels where K is small, the panels do not resolve where it is large.
            return np.where(K > 2, series, _power(activation, order, np.minimum(K, 2)))
    return _power(activation, order, K)


def _power(activation: Activation, order: int, K: np.ndarray) -> np.ndarray:
    return expectation(lambda z: activation.function(z) ** order, K)


def second_moment(activation: Activation, K: ArrayLike, method: str = "auto") -> np.ndarray:
    """<sigma(z)^2> for z ~ N(0, K), shape of ``K``; ``method`` as in :func:`covariance`."""
    K = np.asarray(K, dtype=float)
    formula = closed_forms.find(activation) if _closed(method) else None
    if formula is not None:
        return formula(K, K, K)
    return _power(activation, 2, K)


@overload
def covariance(
    activation: Activation,
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    method: str = "auto",
    *,
    error: Literal[False] = False,
) -> np.ndarray: ...
@overload
def covariance(
    activation: Activation,
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    method: str = "auto",
    *,
    error: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...
def covariance(
    activation: Activation,
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    method: str = "auto",
    *,
    error: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """<sigma(z1) sigma(z2)> for (z1, z2) ~ N(0, [[K11, K12], [K12, K22]]).

    Parameters
    ----------
    activation : Activation
    K11, K22, K12 : array_like
        Broadcast against each other to a shape (...). Singular matrices (equal, opposite or zero
        z) are ordinary; a K12 beyond sqrt(K11 K22) by rounding is clipped.
    method : str
        ``"auto"``: the closed form where there is one
        (:mod:`finitewidth.theory.gaussian.closed_forms`), else quadrature; ``"quadrature"``: always
        quadrature.
    error : bool
        Whether to return an estimate of the absolute error as well.

    Returns
    -------
    ndarray, shape (...); with ``error`` a pair of them

    Raises
    ------
    ValueError
        If ``method`` is unknown, or a variance is negative or not finite.
    """
    K11, K22, K12 = np.broadcast_arrays(*(np.asarray(k, dtype=float) for k in (K11, K22, K12)))
    formula = closed_forms.find(activation) if _closed(method) else None
    if formula is None:
        sigma = activation.function
        if activation.name in trigonometric.NAMES:
            return _by_trapezoidal_sums(activation, K11, K22, K12, error)
        return pair_expectation(lambda z1, z2: sigma(z1) * sigma(z2), K11, K22, K12, error=error)
    value = formula(K11, K22, K12)
    if not error:
        return value
    scale = np.sqrt(second_moment(activation, K11) * second_moment(activation, K22))
    return value, 16 * np.finfo(float).eps * scale


def _by_trapezoidal_sums(
    activation: Activation, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray, error: bool
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """The quadrature of :func:`covariance` for functions that oscillate, one pair at a time."""
    _check_variances(K11, K22)
    found = np.empty((2, K11.size))
    for k, (a, b, c) in enumerate(zip(K11.flat, K22.flat, K12.flat, strict=True)):
        for row, stretch in zip(found, (1.0, 1.25), strict=True):
            matrix = np.array([[a, c], [c, b]])
            row[k] = trapezoidal.moments(
                activation.function, activation.strip_width, matrix, [(1, 1)], stretch
            )[0]
    value, other = found.reshape(2, *K11.shape)
    return (value, np.abs(value - other) + 1e-14) if error else value


def _closed(method: str) -> bool:
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    return method == "auto"


def _check_variances(*variances: np.ndarray) -> None:
    for K in variances:
        if not np.all((K >= 0) & np.isfinite(K)):
            raise ValueError("a variance must be finite and not negative")


@overload
def pair_expectation(
    g: Callable[[np.ndarray, np.ndarray], np.ndarray],
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    *,
    error: Literal[False] = False,
) -> np.ndarray: ...
@overload
def pair_expectation(
    g: Callable[[np.ndarray, np.ndarray], np.ndarray],
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    *,
    error: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def pair_expectation(
    g: Callable[[np.ndarray, np.ndarray], np.ndarray],
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    *,
    error: bool,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...
def pair_expectation(
    g: Callable[[np.ndarray, np.ndarray], np.ndarray],
    K11: ArrayLike,
    K22: ArrayLike,
    K12: ArrayLike,
    *,
    error: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Mean of g(z1, z2) for (z1, z2) ~ N(0, [[K11, K12], [K12, K22]]), by quadrature.

    In polar coordinates z1 = sqrt(K11) r cos(phi), z2 = sqrt(K22) r cos(phi - angle) the lines
    z1 = 0 and z2 = 0, where kinks lie, are rays: the angular panels end on them whatever the
    correlation, so that singular matrices need no care. Panels shrink towards these rays and
    towards r = 0, down to the scale 1/sqrt(K) on which a sigmoid changes. What oscillates
    with frequency 1 is resolved up to K of about 10 only.

    Parameters
    ----------
    g : callable
        Elementwise on two arrays of one shape; may return several functions stacked along leading
        axes. It may have kinks where either argument is 0, and nowhere else.
    K11, K22, K12, error
        As in :func:`covariance`.

    Returns
    -------
    ndarray, shape (...) after the leading axes of g; with ``error`` a pair of them

    Raises
    ------
    ValueError
        If a variance is negative or not finite.
    """
    K11, K22, K12 = np.broadcast_arrays(*(np.asarray(k, dtype=float) for k in (K11, K22, K12)))
    _check_variances(K11, K22)
    flat = K11.ravel(), K22.ravel(), K12.ravel()
    fine, coarse = _PLANE_NODES
    value = _polar(g, *flat, fine)
    shape = (*value.shape[:-1], *K11.shape)
    if not error:
        return value.reshape(shape)
    gap = np.abs(value - _polar(g, *flat, coarse))
    rounding = 16 * np.finfo(float).eps * _polar(lambda *z: np.abs(g(*z)), *flat, coarse)
    return value.reshape(shape), (gap + rounding).reshape(shape)


def _polar(
    g: Callable, K11: np.ndarray, K22: np.ndarray, K12: np.ndarray, nodes: int
) -> np.ndarray:
    """The rule of :func:`pair_expectation` with ``nodes`` a panel, for matrices of shape (m,)."""
    angle = closed_forms.angle(K11, K22, K12)
    steepness = np.sqrt(max(1.0, K11.max(initial=0.0), K22.max(initial=0.0)))
    levels = 2 + int(np.ceil(np.log2(steepness)))

    r, r_weight = panels(
        np.concatenate([[0.0], 2.0 ** np.arange(-levels + 1, 1), [2.0, 3.5, 5.5, 8.6, _REACH]]),
        nodes,
    )
    r_weight = r_weight * r * np.exp(-r * r / 2) / (2 * np.pi)
    towards_0 = np.concatenate([[0.0], 2.0 ** np.arange(-levels - 1, 0)])
    unit, unit_weight = panels(np.concatenate([towards_0, 1 - towards_0[-2::-1]]), nodes)

    found = []
    step = max(1, _CHUNK // (4 * len(unit) * len(r)))
    # Of thousands of inputs there are millions of pairs: a few at a time.
    for i in range(0, max(1, len(angle)), step):
        k = slice(i, i + step)
        turn = angle[k]
        rays = np.stack([-np.pi / 2 + 0 * turn, turn - np.pi / 2, 0 * turn + np.pi / 2], axis=-1)
        start = np.concatenate([rays[:, :2], rays[:, :2] + np.pi], axis=-1)
        width = np.tile(np.diff(rays, axis=-1), 2)
        phi = (start[..., None] + width[..., None] * unit).reshape(len(turn), -1)
        phi_weight = (width[..., None] * unit_weight).reshape(len(turn), -1)
        c1 = np.sqrt(K11[k])[:, None] * np.cos(phi)
        c2 = np.sqrt(K22[k])[:, None] * np.cos(phi - turn[:, None])
        lines = g(c1[..., None] * r, c2[..., None] * r) @ r_weight
        found.append(np.einsum("...mp,mp->...m", lines, phi_weight))
    return np.concatenate(found, axis=-1)
