"""Means of products of four activations, <s_a s_b s_c s_d>, for every quadruple of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import quads
from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian import signs, trapezoidal, trigonometric
from finitewidth.theory.gaussian.expectations import METHODS, moment, pair_expectation

# Steps of the grid whose result tells the error of the finer one.
_STRETCH = 1.25
# Beyond this variance, in squares of the strip's half-width, panels are cheaper than grids.
_STEEP = 200.0
# Share of the scale that interpolating in tables costs, at most.
_TABLE = 3e-11
# Inputs whose correlation is this close to +-1 have one gate where sigma has a kink. The error is
# of order 1.5 in this number, as both z are small where the signs differ.
_PROPORTIONAL = 3e-7


#: Of an activation, K and quadruples: values and their relative errors.
_ClosedForm = Callable[[Activation, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Quartic(NamedTuple):
    """Both of shape (Q,), in the order of :func:`finitewidth.core.indices.quads`."""

    values: np.ndarray  #: <s_a s_b s_c s_d>
    errors: np.ndarray  #: estimates of the absolute error; NaN where none was asked for


def quartic(
    activation: Activation, K: np.ndarray, *, method: str = "auto", estimate: bool = True
) -> Quartic:
    """<sigma(z_a) sigma(z_b) sigma(z_c) sigma(z_d)> for z ~ N(0, K) and all a <= b <= c <= d.

    Closed forms for sin and cos; arcsines and one integral over one variable for two slopes, erf
    and gelu (:mod:`finitewidth.theory.gaussian.signs`); grids for what else is analytic
    (:mod:`finitewidth.theory.gaussian.trapezoidal`).

    Parameters
    ----------
    activation : Activation
    K : ndarray, shape (N, N)
        May be singular: equal, opposite, proportional and zero inputs are ordinary.
    method : str
        ``"auto"``, or ``"quadrature"``: grids for every activation without a kink.
    estimate : bool
        Whether to estimate the errors; grids then take about one and a half times as long.

    Raises
    ------
    ValueError
        If ``method`` is unknown, K is not square, or sigma has a kink and is not of two slopes
        (``quadrature``: has a kink).
    """
    K = np.asarray(K, dtype=float)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ValueError(f"a kernel is a square matrix, not of shape {K.shape}")
    index = quads(len(K))
    closed = _closed_form(activation) if method == "auto" else None
    if closed is not None:
        values, rounding = closed(activation, K, index)
        scale = _scale(activation, K, index) if estimate else np.nan
        return Quartic(values, rounding * scale)
    if activation.strip is None:
        raise ValueError(f"{activation.name} has a kink: its grids would not converge")
    return _by_trapezoidal_sums(activation, K, index, estimate)


def has_closed_form(activation: Activation) -> bool:
    """Whether no grid is needed, whose points grow with the square root of each variance."""
    return _closed_form(activation) is not None


def _closed_form(activation: Activation) -> _ClosedForm | None:
    if activation.slopes is not None:
        return _two_slopes
    return {"erf": _erf, "gelu": _gelu, "sin": _trigonometric, "cos": _trigonometric}.get(
        activation.name
    )


def _scale(activation: Activation, K: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The bound prod <s_a^4>^(1/4) on the size of each value (Hölder's inequality)."""
    return np.prod(moment(activation, 4, np.diagonal(K))[index] ** 0.25, axis=1)


def _blocks(K: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The matrices (Q, 4, 4) of each quadruple."""
    return K[index[:, :, None], index[:, None, :]]


def _trigonometric(
    activation: Activation, K: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return trigonometric.quartic(activation.name, _blocks(K, index)), np.full(len(index), 1e-14)


def _erf(activation: Activation, K: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """erf(z) is the mean of sgn(z + e/sqrt(2)) over standard normal e."""
    gate = _blocks(K, index) + np.eye(4) / 2
    return signs.four_signs(gate), _rounding(gate)


def _gelu(
    activation: Activation, K: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """z Phi(z) is the mean of z (1 + sgn(z + e))/2 over standard normal e."""
    k = _blocks(K, index)
    half, gate = np.full((len(k), 4), 0.5), k + np.eye(4)
    return signs.sign_moments(np.block([[k, k], [k, gate]]), half, half), _rounding(gate)


def _two_slopes(
    activation: Activation, K: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return slope_products(activation, K, index, 4)


def slope_products(
    activation: Activation, K: np.ndarray, index: np.ndarray, plain: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means of four factors of a two-slope activation: s at the first ``plain`` inputs, s' after.

    s(z) = z (p + m sgn z), p and m half the sum and half the difference of the slopes, and s' is
    what stands in brackets, 0 at a kink. Powers of z gather in front; the gates of proportional
    inputs are one gate, up to a sign.

    Parameters
    ----------
    activation : Activation
    K : ndarray, shape (N, N)
    index : ndarray of int, shape (Q, 4)
    plain : int

    Returns
    -------
    values, errors : ndarray, shape (Q,)
        Errors are relative.
    """
    plus, minus = activation.slope_pair
    p, m = (plus + minus) / 2, (plus - minus) / 2
    leader, sign = _proportional(K)
    values, errors = np.empty(len(index)), np.empty(len(index))
    groups = [sorted({leader[a] for a in quad}) for quad in index]
    for size in range(1, 5):
        rows = np.array([k for k, g in enumerate(groups) if len(g) == size], dtype=int)
        if not len(rows):
            continue
        even, odd = np.ones((len(rows), size)), np.zeros((len(rows), size))
        lead = np.array([groups[k] for k in rows])
        for slot in index[rows].T:
            own = leader[slot][:, None] == lead
            o = m * sign[slot][:, None]
            even, odd = (
                np.where(own, p * even + o * odd, even),
                np.where(own, p * odd + o * even, odd),
            )
        S = _blocks(K, np.concatenate([index[rows, :plain], lead], axis=1))
        values[rows] = signs.sign_moments(S, even, odd)
        errors[rows] = _rounding(S[:, plain:, plain:])
    if not activation.is_linear:
        values[(np.diagonal(K)[index[:, plain:]] == 0).any(axis=1)] = 0.0
    return values, errors


def _rounding(gate: np.ndarray) -> np.ndarray:
    """Relative errors from rounding: conditional variances of gates are differences.

    An upper bound of what permuting the inputs changes, over random and near-singular matrices.
    """
    scale = np.sqrt(np.einsum("mss->ms", gate))
    scale = np.where(scale > 0, scale, np.inf)
    R = (
        gate / (scale[:, :, None] * scale[:, None, :])
        + np.eye(gate.shape[1]) * np.isinf(scale)[:, None]
    )
    return np.clip(1e-15 / np.maximum(np.linalg.eigvalsh(R)[:, 0], 1e-15), 1e-13, 1e-7)


def _proportional(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each input the first that it is a multiple of, and the sign of the factor."""
    leader, sign = np.arange(len(K)), np.ones(len(K))
    for b in range(len(K)):
        for a in range(b):
            if leader[a] == a and K[a, b] ** 2 >= (1 - 2 * _PROPORTIONAL) * K[a, a] * K[b, b] > 0:
                leader[b], sign[b] = a, np.sign(K[a, b])
                break
    return leader, sign


def _in_the_plane(
    sigma: Callable[[np.ndarray], np.ndarray], K: np.ndarray, powers: list
) -> tuple[np.ndarray, np.ndarray]:
    """Two inputs by panels in polar coordinates, whose number grows as the logarithm of K."""

    def products(z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
        first, second = sigma(z1), sigma(z2)
        return np.stack([first**p * second**q for p, q in powers])

    return pair_expectation(products, K[0, 0], K[1, 1], K[0, 1], error=True)


def _by_trapezoidal_sums(
    activation: Activation, K: np.ndarray, index: np.ndarray, estimate: bool
) -> Quartic:
    """Quadruples of the same inputs share a grid; equal inputs count once."""
    first = [
        next(a for a in range(b + 1) if K[a, a] == K[a, b] == K[b, b] or a == b)
        for b in range(len(K))
    ]
    wanted: dict[tuple, dict[tuple, list[int]]] = {}
    for k, quad in enumerate(index):
        different, counts = np.unique([first[a] for a in quad], return_counts=True)
        wanted.setdefault(tuple(different), {}).setdefault(tuple(counts), []).append(k)
    values, errors = np.empty(len(index)), np.full(len(index), np.nan)
    sigma, strip = activation.function, activation.strip_width
    for inputs, rows in wanted.items():
        block = K[np.ix_(inputs, inputs)]
        powers = list(rows)
        if len(inputs) == 2 and block.max() > _STEEP * strip**2:
            found = _in_the_plane(sigma, block, powers)
            for at, value, error in zip(rows.values(), *found, strict=True):
                values[at], errors[at] = value, error if estimate else np.nan
            continue
        fine = trapezoidal.moments(sigma, strip, block, powers)
        for at, value in zip(rows.values(), fine, strict=True):
            values[at] = value
        if estimate:
            coarse = trapezoidal.moments(sigma, strip, block, powers, stretch=_STRETCH)
            for at, gap in zip(rows.values(), np.abs(fine - coarse), strict=True):
                errors[at] = gap
    if estimate:
        # A stretched table shares part of the error of its interpolation.
        errors += _TABLE * _scale(activation, K, index)
    return Quartic(values, errors)
