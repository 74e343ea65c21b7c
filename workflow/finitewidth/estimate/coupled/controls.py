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
independent of the networks that they are used on, they leave the mean where it is. How many
controls and orders networks are enough for, :mod:`finitewidth.estimate.coupled.control_choice`
says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from finitewidth.estimate.coupled.driven_layers import Chain
from finitewidth.estimate.errors.regression import Sums, regress

Array = np.ndarray

#: Highest order in g and s together, and degree of c_k(g), on one input and on several: the first
#: that there are networks enough for.
ORDERS = {
    True: ((3, 2), (2, 1), (1, 1), (1, 0)),
    False: ((2, 1), (2, 0), (1, 1), (1, 0)),
}
#: Networks a coefficient that is fitted, at least.
_NETWORKS_A_COEFFICIENT = 20
#: Largest kurtosis of a control over the number of neurons that it is fitted to, and of the product
#: of two means over the number of networks. Beyond it a few rare neurons, or networks, decide the
#: fit, and the fit says nothing of those that were not drawn.
_KURTOSIS = 0.03


def adjusted(
    chain: Chain, layers: Sequence[int] | Array, targets: Callable[[slice], Array]
) -> tuple[Callable[[slice], Array] | None, int]:
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
    callable or None
        Given a slice of networks, an array of shape (network, order + 1, layer, target): the
        targets themselves, then the targets less controls up to order 1, up to order 2, and so on.
        None if there are too few networks to fit any.
    int
        That order.
    """
    networks = len(chain.drive)
    chain = _told_from_tails(chain, networks)
    order, degree = _orders(chain, networks)
    if not order:
        return None, 0
    halves = slice(0, networks // 2), slice(networks // 2, networks)
    fits = [_fit(chain, layers, targets, other, order, degree) for other in halves[::-1]]

    def without_controls(at: slice) -> Array:
        parts = []
        for half, (controls, coefficients) in zip(halves, fits, strict=True):
            part = slice(max(at.start, half.start), min(at.stop, half.stop))
            if part.start < part.stop:
                y = targets(part)
                less = np.tensordot(controls(part), coefficients, 1)
                parts.append(y[:, None] - less.reshape(len(y), -1, *y.shape[1:]))
        return np.concatenate(parts)

    return without_controls, order


def _told_from_tails(chain: Chain, networks: int) -> Chain:
    """The chain without controls that rare neurons decide."""
    kept = np.flatnonzero(chain.kurtosis <= _KURTOSIS * networks * chain.width)
    if len(kept) == len(chain.kurtosis):
        return chain
    second = chain.second[..., kept[:, None], kept]
    return replace(
        chain,
        drive=chain.drive[..., kept],
        second=second,
        kurtosis=chain.kurtosis[kept],
        of_products=chain.of_products[kept[:, None], kept],
    )


def _orders(chain: Chain, networks: int) -> tuple[int, int]:
    columns = chain.state.shape[2]
    driven, controls = chain.drive.shape[1:]
    if not controls:
        return 0, 0
    for order, degree in ORDERS[chain.third is not None]:
        degree = 0 if chain.complete else degree
        count = driven * len(_difference_orders(columns, order))
        response = math.comb(columns + degree, columns) * controls
        if max(count, response) * _NETWORKS_A_COEFFICIENT <= networks:
            return order, degree
    return 0, 0


def _fit(
    chain: Chain,
    layers: Sequence[int] | Array,
    targets: Callable[[slice], Array],
    at: slice,
    order: int,
    degree: int,
) -> tuple[Callable[[slice], Array], Array]:
    """Controls, and their coefficients (control, order + 1, layer and target), all from the
    networks ``at``."""
    driven = range(chain.drive.shape[1])
    responses = [_Response.fitted(chain, place, at, order, degree) for place in driven]
    orders = _difference_orders(len(responses[0].center), order)

    def controls(part: slice) -> Array:
        return np.concatenate([response.differences(chain, part) for response in responses], axis=1)

    def design(part: slice) -> tuple[Array, Array]:
        y = targets(part)
        return controls(part), y.reshape(len(y), -1)

    one, other = (Sums.of(design, half) for half in _halves(at))
    features, count = one.xy.shape
    coefficients, each = np.zeros((features, order + 1, count)), count // len(layers)
    for place, layer in enumerate(layers):
        # A layer knows nothing of the normals from its own on.
        known = np.tile(orders, layer - 1)
        choices = [np.flatnonzero(known <= k) for k in range(order + 1)]
        its = slice(place * each, (place + 1) * each)
        own = one.of_targets(its), other.of_targets(its)
        for most in range(1, order + 1):
            coefficients[:, most, its], _ = regress(own, choices[: most + 1])
    return controls, coefficients


def _halves(at: slice) -> tuple[slice, slice]:
    middle = (at.start + at.stop) // 2
    return slice(at.start, middle), slice(middle, at.stop)


def _difference_orders(columns: int, order: int) -> Array:
    """The order in the fluctuations of each martingale difference of a layer, shape (control,)."""
    return np.concatenate(
        [
            np.repeat(m + _degrees(columns, order - m), math.comb(columns + m - 1, m))
            for m in range(1, order + 1)
        ]
    )


@dataclass(frozen=True)
class _Response:
    """How the next state follows the normals of one layer, to first order.

    Attributes
    ----------
    place : int
        Of the layer among those that are driven.
    center, scale : array, shape (column,)
        Of the layer's own state, to standardise it by.
    coefficients : array, shape (monomial of the state, control, column)
        c_k as polynomials in the standardised state.
    """

    place: int
    order: int
    degree: int
    center: Array
    scale: Array
    coefficients: Array

    @classmethod
    def fitted(cls, chain: Chain, place: int, at: slice, order: int, degree: int) -> _Response:
        controls, columns = chain.drive.shape[2], chain.state.shape[2]
        center, scale = (f(chain.state[at, place], axis=0) for f in (np.mean, np.std))
        # The first layer's state is a number, up to rounding.
        scale = np.where(scale > 1e-6 * np.abs(center), scale, np.inf)
        blank = cls(place, order, degree, center, scale, np.zeros((1, controls, columns)))
        following = chain.state[at, place + 1].mean(axis=0)
        smooth = _degrees(columns, max(1, 2 * degree))
        driven = np.repeat(_degrees(columns, degree), controls)

        def design(part: slice) -> tuple[Array, Array]:
            now = blank._now(chain, part)
            x = _monomials(now, max(1, 2 * degree))
            d = _times(_monomials(now, degree), chain.drive[part, place])
            return np.concatenate([x, d], axis=1), chain.state[part, place + 1] - following

        one, other = (Sums.of(design, half) for half in _halves(at))
        choices = [
            np.flatnonzero(np.concatenate([smooth <= max(1, 2 * k), driven <= k]))
            for k in range(degree + 1)
        ]
        found, _ = regress((one, other), choices)
        found = found[len(smooth) :].reshape(-1, controls, columns)
        return replace(blank, coefficients=found)

    def differences(self, chain: Chain, at: slice) -> Array:
        """The martingale differences of this layer, shape (network, control)."""
        now, place = self._now(chain, at), self.place
        c = np.tensordot(_monomials(now, self.degree), self.coefficients, 1)
        s = np.einsum("nkp,nk->np", c, chain.drive[at, place])
        parts = [s]
        if self.order > 1:
            parts.append(self._products(chain, at, c))
        if self.order > 2 and chain.third is not None:
            # Of the first controls' share alone, whose third moments are known.
            third = _at(chain.third, at, place)
            few = c[:, : third.shape[-1]]
            s = np.einsum("nkp,nk->np", few, chain.drive[at, place, : few.shape[1]])
            chosen = [c for c in _chosen(s.shape[1], 3) if len(c) == 3]
            mean = np.broadcast_to(third, (len(few), *third.shape[1:]))
            for _ in range(3):
                mean = np.einsum("nijk,nip->njkp", mean, few)
            cubes = [
                np.prod(s[:, list(c)], axis=1) - mean[:, c[0], c[1], c[2]] / chain.width**2
                for c in chosen
            ]
            parts.append(np.stack(cubes, axis=1))
        return np.concatenate(
            [_times(_monomials(now, self.order - m), d) for m, d in enumerate(parts, 1)], axis=1
        )

    def _products(self, chain: Chain, at: slice, c: Array) -> Array:
        """s s - E[s s | g], without products of controls whose tails are too long.

        Where the next state is bounded, as that of a sine, nothing in it cancels such a tail.
        """
        kept = chain.of_products <= _KURTOSIS * len(chain.drive)
        d = c * chain.drive[at, self.place][..., None]
        product = np.swapaxes(d, 1, 2) @ (kept @ d)
        second = kept * _at(chain.second, at, self.place)
        product -= np.swapaxes(c, 1, 2) @ (second @ c) / chain.width
        return product[:, *np.triu_indices(c.shape[2])]

    def _now(self, chain: Chain, at: slice) -> Array:
        return (chain.state[at, self.place] - self.center) / self.scale


def _at(moments: Array, at: slice, place: int) -> Array:
    """Of the networks ``at`` and one layer; those that are the same for all are of one each."""
    return moments[at if len(moments) > 1 else slice(None), place if moments.shape[1] > 1 else 0]


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
