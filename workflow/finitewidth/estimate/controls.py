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

Array = np.ndarray

#: Order in g and s together, and degree of c_k(g): on one input, on several, as a last resort.
_ORDERS = {True: ((3, 2), (2, 1), (1, 1)), False: ((2, 1), (1, 1), (1, 0))}
#: Networks a coefficient that is fitted, at least: it costs that share of variance, twice.
_NETWORKS_A_COEFFICIENT = 40
#: Share of a feature that others must leave unexplained for it to be told from them.
_DEPENDENT = 1e-11
#: Networks whose features stand in memory together.
_CHUNK = 4096
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
        Order of the controls in the fluctuations: 0 where there are too few networks for any.
    """
    networks = len(chain.drive)
    order, degree = _orders(chain, networks)
    if not order:
        return targets, 0
    halves = slice(0, networks // 2), slice(networks // 2, networks)
    fits = [_fit(chain, layers, targets, other, order, degree) for other in halves[::-1]]

    def without_controls(at: slice) -> Array:
        parts = []
        for half, (controls, coefficients) in zip(halves, fits, strict=True):
            part = slice(max(at.start, half.start), min(at.stop, half.stop))
            if part.start < part.stop:
                y = targets(part).astype(float)
                y -= np.tensordot(controls(part), coefficients, 1)
                parts.append(y)
        return np.concatenate(parts)

    return without_controls, order


def _orders(chain: Chain, networks: int) -> tuple[int, int]:
    pairs = chain.kernel.shape[2]
    driven, controls = chain.drive.shape[1:]
    for order, degree in _ORDERS[pairs == 1]:
        count = driven * sum(
            math.comb(pairs + order - m, pairs) * math.comb(pairs + m - 1, m)
            for m in range(1, order + 1)
        )
        response = math.comb(pairs + degree, pairs) * controls
        if max(count, response) * _NETWORKS_A_COEFFICIENT <= networks:
            return order, degree
    return 0, 0


def _fit(chain: Chain, layers, targets, at: slice, order: int, degree: int):
    """Controls and their coefficients, shape (control, layer, target), from the networks ``at``."""
    expectations = _Expectations(chain.names)
    responses = [
        _Response.fitted(chain, place, at, order, degree, expectations)
        for place in range(chain.drive.shape[1])
    ]

    def controls(part: slice) -> Array:
        return np.concatenate([response.differences(chain, part) for response in responses], axis=1)

    ends = np.cumsum([0, *(r.differences(chain, slice(0, 1)).shape[1] for r in responses)])
    xx, xy = _products(lambda part: (controls(part), targets(part)), at)
    coefficients = np.zeros(xy.shape)
    for place, layer in enumerate(layers):
        # A layer knows nothing of the normals from its own on.
        end = ends[layer - 1]
        coefficients[:end, place] = _solve(xx[:end, :end], xy[:end, place])
    return controls, coefficients


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
        kernel = chain.kernel[at, place].astype(float)
        center, scale = kernel.mean(axis=0), kernel.std(axis=0)
        # The first layer's kernel is a number, up to rounding.
        scale = np.where(scale > 1e-6 * np.abs(center), scale, np.inf)
        pairs, controls = len(center), chain.drive.shape[2]
        empty = np.zeros((1, controls, pairs))
        blank = cls(place, order, degree, center, scale, empty, expectations)
        following = chain.kernel[at, place + 1].mean(axis=0)

        def design(part: slice) -> tuple[Array, Array]:
            past = blank._past(chain, part)
            smooth = _monomials(past, max(1, 2 * degree))[:, 1:]
            driven = _times(_monomials(past, degree), chain.drive[part, place])
            return np.concatenate([smooth, driven], 1), chain.kernel[part, place + 1] - following

        xx, xy = _products(design, at)
        count = math.comb(pairs + degree, pairs) * controls
        found = _solve(xx, xy)[-count:].reshape(-1, controls, pairs)
        return cls(place, order, degree, center, scale, found, expectations)

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
    columns = [np.ones(len(x))]
    for d in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(x.shape[1]), d):
            columns.append(np.prod(x[:, chosen], axis=1))
    return np.stack(columns, axis=1)


def _times(x: Array, y: Array) -> Array:
    """Every column of x times every column of y: shape (network, columns of x times those of y)."""
    return (x[:, :, None] * y[:, None, :]).reshape(len(x), -1)


def _products(design: Callable[[slice], tuple[Array, Array]], at: slice) -> tuple[Array, Array]:
    """Covariances over the networks ``at`` of features x with each other and with targets y.

    ``design`` gives x and y, shapes (network, feature) and (network, ...), for a slice of networks.
    """
    count, sums = at.stop - at.start, [0.0] * 4
    for start in range(at.start, at.stop, _CHUNK):
        x, y = design(slice(start, min(start + _CHUNK, at.stop)))
        new = x.sum(axis=0), y.sum(axis=0), x.T @ x, np.tensordot(x, y, (0, 0))
        sums = [a + b for a, b in zip(sums, new, strict=True)]
    x, y, xx, xy = (a / count for a in sums)
    return xx - np.outer(x, x), xy - np.multiply.outer(x, y)


def _solve(xx: Array, xy: Array) -> Array:
    """Least squares, where features that depend on each other or are constant do no harm."""
    size = np.sqrt(np.maximum(np.diagonal(xx), 0))
    size = np.where(size > 0, size, np.inf)
    values, vectors = np.linalg.eigh(xx / np.outer(size, size))
    kept = values > _DEPENDENT * values[-1:]
    vectors = vectors[:, kept]
    return vectors / size[:, None] @ ((vectors.T @ (xy / size[:, None])) / values[kept, None])
