"""Controls of known mean for the kernels of a ladder: differences of martingales.

Layer l of a network turns its kernel g into g' by normals u that are independent of all that came
before: g' = F(g) + s + ..., where the response s = sum_k c_k(g) d_k is linear in the recorded means
d_k of functions of u whose expectations are 0. Whatever the coefficients c_k and a function f of
the layers before, f(g) s and f(g) (s s - E[s s | g]) have expectation 0 exactly, and E[s s | g]
follows from c_k alone. By Doob's decomposition the kernel of a later layer, or a power of it, is
its expectation plus one such difference a layer, and to third order in the fluctuations these are
polynomials in g and s. (Henderson and Glynn 2002, Mathematics of Operations Research 27, 253.)

Coefficients are regressed on one half of the networks and used on the other (cross-fitting, as by
Oates, Girolami and Chopin 2017, Journal of the Royal Statistical Society B 79, 695): being
independent of the networks that they are used on, they leave the mean where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np

from finitewidth.estimate.regression import Sums, regress

Array = np.ndarray

#: Highest order in g and s together, and degree of c_k(g), on one input and on several: the first
#: that there are networks enough for.
ORDERS = {
    True: ((3, 2), (2, 1), (1, 1), (1, 0)),
    False: ((2, 1), (2, 0), (1, 1), (1, 0)),
}
#: Networks a coefficient that is fitted, at least.
_NETWORKS_A_COEFFICIENT = 20
#: Nodes of the trapezoidal rule for the expectations of products of controls.
_NODES = np.linspace(-12, 12, 241)


@dataclass(frozen=True)
class Chain:
    """The layers of the networks of one rung, as far as they are recorded.

    Attributes
    ----------
    width : int
        Neurons n of every hidden layer.
    kernel : array, shape (network, driven + 1, pair)
        Conditional kernels of the layers from 1 on, the last one included.
    drive : array, shape (network, driven, control)
        Means over the neurons of each layer but the last of functions of their normals.
    names : sequence of str
        The functions, as the sampler calls them.
    """

    width: int
    kernel: Array
    drive: Array
    names: Sequence[str]


def adjusted(
    chain: Chain, layers: Sequence[int], targets: Callable[[slice], Array]
) -> tuple[Callable[[slice], Array], int]:
    """Targets less their controls: of the same expectation, and with less variance.

    Parameters
    ----------
    chain : Chain
    layers : sequence of int
        The layer, from 1, that each group of targets is a function of.
    targets : callable
        Given a slice of networks, an array of shape (network, layer, target).

    Returns
    -------
    callable
        The same for the adjusted targets.
    int
        Highest order in the fluctuations of a control that was used; 0 if none was.
    """
    networks = len(chain.drive)
    order, degree = _orders(chain, networks)
    if not order:
        return targets, 0
    halves = slice(0, networks // 2), slice(networks // 2, networks)
    fits = [_fit(chain, layers, targets, other, order, degree) for other in halves[::-1]]

    def without_controls(at: slice) -> Array:
        parts = []
        for half, (controls, coefficients, _) in zip(halves, fits, strict=True):
            part = slice(max(at.start, half.start), min(at.stop, half.stop))
            if part.start < part.stop:
                y = targets(part)
                parts.append(y - (controls(part) @ coefficients).reshape(y.shape))
        return np.concatenate(parts)

    return without_controls, max(used for *_, used in fits)


def _orders(chain: Chain, networks: int) -> tuple[int, int]:
    pairs = chain.kernel.shape[2]
    driven, controls = chain.drive.shape[1:]
    for order, degree in ORDERS[pairs == 1]:
        count = driven * sum(
            math.comb(pairs + order - m, pairs) * math.comb(pairs + m - 1, m)
            for m in range(1, order + 1)
        )
        response = math.comb(pairs + degree, pairs) * controls
        if max(count, response) * _NETWORKS_A_COEFFICIENT <= networks:
            return order, degree
    return 0, 0


def _fit(chain: Chain, layers, targets, at: slice, order: int, degree: int):
    """Controls, their coefficients (control, layer and target) and the highest order in use, all
    from the networks ``at``."""
    expectations = _Expectations(chain.names)
    responses = [
        _Response.fitted(chain, place, at, order, degree, expectations)
        for place in range(chain.drive.shape[1])
    ]
    orders = responses[0].orders

    def controls(part: slice) -> Array:
        return np.concatenate([response.differences(chain, part) for response in responses], axis=1)

    def design(part: slice) -> tuple[Array, Array]:
        y = targets(part)
        return controls(part), y.reshape(len(y), -1)

    sums = tuple(Sums.of(design, half) for half in _halves(at))
    coefficients = np.zeros(sums[0].xy.shape)
    each, used = coefficients.shape[1] // len(layers), 0
    for place, layer in enumerate(layers):
        # A layer knows nothing of the normals from its own on.
        known = np.tile(orders, layer - 1)
        choices = [np.flatnonzero(known <= k) for k in range(order + 1)]
        its = slice(place * each, (place + 1) * each)
        coefficients[:, its], chosen = regress(tuple(s.of_targets(its) for s in sums), choices)
        used = max(used, int(chosen.max()))
    return controls, coefficients, used


def _halves(at: slice) -> tuple[slice, slice]:
    middle = (at.start + at.stop) // 2
    return slice(at.start, middle), slice(middle, at.stop)


@dataclass(frozen=True)
class _Response:
    """How the kernel of the next layer follows the normals of one layer, to first order.

    Attributes
    ----------
    place : int
        The driven layer, from 0.
    center, scale : array, shape (pair,)
        Of the kernel of this layer, to standardise it by.
    coefficients : array, shape (monomial of the past, control, pair)
        c_k as polynomials in the standardised kernel.
    """

    place: int
    order: int
    degree: int
    center: Array
    scale: Array
    coefficients: Array
    expectations: _Expectations

    @classmethod
    def fitted(cls, chain, place, at, order, degree, expectations) -> _Response:
        kernel = chain.kernel[at, place]
        center, scale = kernel.mean(axis=0), kernel.std(axis=0)
        # The first layer's kernel is a number, up to rounding.
        scale = np.where(scale > 1e-6 * np.abs(center), scale, np.inf)
        pairs, controls = len(center), chain.drive.shape[2]
        empty = np.zeros((1, controls, pairs))
        blank = cls(place, order, degree, center, scale, empty, expectations)
        following = chain.kernel[at, place + 1].mean(axis=0)
        smooth = _degrees(pairs, max(1, 2 * degree))
        driven = np.repeat(_degrees(pairs, degree), controls)

        def design(part: slice) -> tuple[Array, Array]:
            past = blank._past(chain, part)
            x = _monomials(past, max(1, 2 * degree))
            d = _times(_monomials(past, degree), chain.drive[part, place])
            return np.concatenate([x, d], axis=1), chain.kernel[part, place + 1] - following

        sums = tuple(Sums.of(design, half) for half in _halves(at))
        choices = [
            np.flatnonzero(np.concatenate([smooth <= max(1, 2 * k), driven <= k]))
            for k in range(degree + 1)
        ]
        found, _ = regress(sums, choices)
        found = found[len(smooth) :].reshape(-1, controls, pairs)
        return cls(place, order, degree, center, scale, found, expectations)

    @property
    def orders(self) -> Array:
        """The order in the fluctuations of each martingale difference, shape (control,)."""
        pairs = len(self.center)
        return np.concatenate(
            [
                np.repeat(m + _degrees(pairs, self.order - m), math.comb(pairs + m - 1, m))
                for m in range(1, self.order + 1)
            ]
        )

    def differences(self, chain: Chain, at: slice) -> Array:
        """The martingale differences of this layer, shape (network, control)."""
        past = self._past(chain, at)
        c = np.tensordot(_monomials(past, self.degree), self.coefficients, 1)
        s = np.einsum("nkp,nk->np", c, chain.drive[at, self.place])
        parts = [s]
        if self.order > 1:
            p, q = np.triu_indices(s.shape[1])
            mean = self.expectations.of_two(c, chain.width)
            parts.append(s[:, p] * s[:, q] - mean[:, p, q])
        if self.order > 2:
            parts.append(s**3 - self.expectations.of_three(self.coefficients, past, chain.width))
        return np.concatenate(
            [_times(_monomials(past, self.order - m), d) for m, d in enumerate(parts, 1)], axis=1
        )

    def _past(self, chain: Chain, at: slice) -> Array:
        return (chain.kernel[at, self.place] - self.center) / self.scale


class _Expectations:
    """Expectations of products of responses, given the past.

    The mean over n neurons of S(u_j), u_j independent and E S = 0, has the second moment E[S^2]/n
    and the third E[S^3]/n^2.
    """

    def __init__(self, names: Sequence[str]):
        if "." in names[0]:
            powers = [[int(k) for k in name.removeprefix("He").split(".")] for name in names]
            # Hermite polynomials are orthogonal, and E[He_k^2] = k!.
            norms = [math.prod(map(math.factorial, p)) for p in powers]
            self._gram = np.diag(np.array(norms, float))
            return
        density = np.exp(-(_NODES**2) / 2)
        self._weights = density / density.sum()
        values = np.stack([_on_nodes(name) for name in names])
        self._values = values - (values @ self._weights)[:, None]
        self._gram = (self._values * self._weights) @ self._values.T

    def of_two(self, c: Array, width: int) -> Array:
        """E[s_p s_q | past] for coefficients c (network, control, pair)."""
        return np.swapaxes(c, 1, 2) @ (self._gram @ c) / width

    def of_three(self, coefficients: Array, past: Array, width: int) -> Array:
        """E[s^3 | past], one input: a polynomial in the past, shape (network, 1)."""
        s = coefficients[:, :, 0] @ self._values
        cube = np.zeros((3 * len(s) - 2, s.shape[1]))
        for i, j, k in np.ndindex((len(s),) * 3):
            cube[i + j + k] += s[i] * s[j] * s[k]
        return np.polynomial.polynomial.polyval(past, cube @ self._weights) / width**2


def _on_nodes(name: str) -> Array:
    """Values at the nodes of a control of one input, called for example ``He2`` or ``cos4/3``."""
    kind = name.rstrip("0123456789/")
    number = float(Fraction(name.removeprefix(kind)))
    if kind == "He":
        return np.polynomial.hermite_e.hermeval(_NODES, np.eye(int(number) + 1)[int(number)])
    return {
        "sin": np.sin(number * _NODES),
        "cos": np.cos(number * _NODES),
        "odd": _NODES * np.abs(_NODES),
    }[kind]


def _monomials(x: Array, degree: int) -> Array:
    """All products of up to ``degree`` columns of x, from 1 on: shape (network, monomial)."""
    return np.stack(
        [np.prod(x[:, chosen], axis=1) for chosen in _chosen(x.shape[1], degree)], axis=1
    )


def _degrees(columns: int, degree: int) -> Array:
    """The degree of each monomial, shape (monomial,)."""
    return np.array([len(chosen) for chosen in _chosen(columns, degree)])


def _chosen(columns: int, degree: int) -> list[tuple[int, ...]]:
    return [c for d in range(degree + 1) for c in combinations_with_replacement(range(columns), d)]


def _times(x: Array, y: Array) -> Array:
    """Every column of x times every column of y: shape (network, columns of x times those of y)."""
    return (x[:, :, None] * y[:, None, :]).reshape(len(x), -1)
