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
controls and orders networks are enough for, :mod:`finitewidth.estimate.choice` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np

from finitewidth.estimate.choice import safe_order
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
#: Largest kurtosis of a control, apart from those before it, over the number of neurons that it is
#: fitted to: of kernels on one input and on several, and of tangent kernels. Beyond it a few rare
#: neurons decide what is fitted, and what the fit does to those that were not drawn.
_KURTOSIS = {"one": 0.021, "several": 0.03, "tangent": 0.06}
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
    chain: Chain,
    layers: Sequence[int],
    targets: Callable[[slice], Array],
    *,
    respond: bool = False,
) -> tuple[Callable[[slice], Array] | None, int]:
    """Targets less their controls: of the same expectation, and with less variance.

    Parameters
    ----------
    chain : Chain
    layers : sequence of int
        The layer, from 1, that each group of targets is a function of.
    targets : callable
        Given a slice of networks, an array of shape (network, layer, target).
    respond : bool
        Whether the targets of the last layer have responses of their own to the normals of each
        layer, beside those of the kernels: for what is no function of the last kernel.

    Returns
    -------
    callable or None
        Given a slice of networks, an array of shape (network, order + 1, layer, target): the
        targets as they are, less controls of order 1, up to order 2 and so on. None where networks
        are too few to fit any.
    int
        The highest order that networks are enough for (:func:`choice.safe_order`).
    """
    networks = len(chain.drive)
    last = int(np.argmax(layers))
    extra = (lambda at: targets(at)[:, last]) if respond else None
    kind = "tangent" if respond else "one" if chain.kernel.shape[2] == 1 else "several"
    chain = _told_from_tails(chain, networks, _KURTOSIS[kind])
    order, degree = _orders(chain, networks, extra)
    if not order:
        return None, 0
    halves = slice(0, networks // 2), slice(networks // 2, networks)
    fits = [_fit(chain, layers, targets, other, order, degree, extra) for other in halves[::-1]]

    def without_controls(at: slice) -> Array:
        parts = []
        for half, (controls, coefficients) in zip(halves, fits, strict=True):
            part = slice(max(at.start, half.start), min(at.stop, half.stop))
            if part.start < part.stop:
                y = targets(part)
                less = np.tensordot(controls(part), coefficients, 1)
                parts.append(y[:, None] - less.reshape(len(y), -1, *y.shape[1:]))
        return np.concatenate(parts)

    return without_controls, safe_order(chain.width, networks, order)


def _told_from_tails(chain: Chain, networks: int, limit: float) -> Chain:
    """The chain with as many controls as its neurons can tell from what rare neurons do."""
    kept = _Expectations(chain.names).kurtosis <= limit * networks * chain.width
    names = [name for name, keep in zip(chain.names, kept, strict=True) if keep]
    return replace(chain, drive=chain.drive[..., kept], names=names)


def _orders(chain: Chain, networks: int, extra: Callable | None) -> tuple[int, int]:
    columns = chain.kernel.shape[2] + (extra(slice(0, 1)).shape[1] if extra else 0)
    driven, controls = chain.drive.shape[1:]
    if not controls:
        return 0, 0
    for order, degree in ORDERS[chain.kernel.shape[2] == 1]:
        count = driven * len(_difference_orders(columns, order))
        response = math.comb(columns + degree, columns) * controls
        if max(count, response) * _NETWORKS_A_COEFFICIENT <= networks:
            return order, degree
    return 0, 0


def _fit(chain: Chain, layers, targets, at: slice, order: int, degree: int, extra):
    """Controls, and their coefficients (control, order + 1, layer and target), all from the
    networks ``at``."""
    expectations = _Expectations(chain.names)
    responses: list[_Response] = []
    for _ in range(chain.drive.shape[1]):
        one = _Response.fitted(chain, tuple(responses), at, order, degree, expectations, extra)
        responses.append(one)
    orders = _difference_orders(len(responses[0].center), order)

    def controls(part: slice) -> Array:
        return np.concatenate([response.differences(chain, part) for response in responses], axis=1)

    def design(part: slice) -> tuple[Array, Array]:
        y = targets(part)
        return controls(part), y.reshape(len(y), -1)

    sums = tuple(Sums.of(design, half) for half in _halves(at))
    features, count = sums[0].xy.shape
    coefficients, each = np.zeros((features, order + 1, count)), count // len(layers)
    for place, layer in enumerate(layers):
        # A layer knows nothing of the normals from its own on.
        known = np.tile(orders, layer - 1)
        choices = [np.flatnonzero(known <= k) for k in range(order + 1)]
        its = slice(place * each, (place + 1) * each)
        own = tuple(s.of_targets(its) for s in sums)
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
            np.repeat(
                m + _degrees(columns, order - m), math.comb(columns + m - 1, m) if m < 3 else 1
            )
            for m in range(1, order + 1)
        ]
    )


@dataclass(frozen=True)
class _Response:
    """How the next kernel, and targets, follow the normals of one layer, to first order.

    The past is what the layers before have done: this layer's kernel, and where targets respond by
    themselves the sum of their responses so far.

    Attributes
    ----------
    before : tuple
        The responses of the layers before.
    pairs : int
    center, scale : array, shape (column,)
        Of the past, to standardise it by; a column a pair, and one a target that responds.
    coefficients : array, shape (monomial of the past, control, column)
        c_k as polynomials in the standardised past.
    """

    before: tuple[_Response, ...]
    pairs: int
    order: int
    degree: int
    center: Array
    scale: Array
    coefficients: Array
    expectations: _Expectations

    @classmethod
    def fitted(cls, chain, before, at, order, degree, expectations, extra) -> _Response:
        place, pairs = len(before), chain.kernel.shape[2]
        columns = pairs + (extra(slice(at.start, at.start + 1)).shape[1] if extra else 0)
        controls = chain.drive.shape[2]
        raw = _history(chain, before, at, columns)
        center, scale = raw.mean(axis=0), raw.std(axis=0)
        # The first layer's past is a number, up to rounding.
        scale = np.where(scale > 1e-6 * np.abs(center), scale, np.inf)
        empty = np.zeros((1, controls, columns))
        blank = cls(before, pairs, order, degree, center, scale, empty, expectations)
        following = chain.kernel[at, place + 1].mean(axis=0)
        smooth = _degrees(columns, max(1, 2 * degree))
        driven = np.repeat(_degrees(columns, degree), controls)

        def design(part: slice) -> tuple[Array, Array]:
            past = blank._past(chain, part)
            x = _monomials(past, max(1, 2 * degree))
            d = _times(_monomials(past, degree), chain.drive[part, place])
            y = [chain.kernel[part, place + 1] - following, *([extra(part)] if extra else [])]
            return np.concatenate([x, d], axis=1), np.concatenate(y, axis=1)

        sums = tuple(Sums.of(design, half) for half in _halves(at))
        choices = [
            np.flatnonzero(np.concatenate([smooth <= max(1, 2 * k), driven <= k]))
            for k in range(degree + 1)
        ]
        found, _ = regress(sums, choices)
        found = found[len(smooth) :].reshape(-1, controls, columns)
        return cls(before, pairs, order, degree, center, scale, found, expectations)

    def responses(self, chain: Chain, at: slice) -> Array:
        """s, shape (network, column)."""
        return self._responses(chain, at)[0]

    def differences(self, chain: Chain, at: slice) -> Array:
        """The martingale differences of this layer, shape (network, control)."""
        s, c, past = self._responses(chain, at)
        parts = [s]
        if self.order > 1:
            p, q = np.triu_indices(s.shape[1])
            mean = self.expectations.of_two(c, chain.width)
            parts.append(s[:, p] * s[:, q] - mean[:, p, q])
        if self.order > 2:
            # Of the kernel's own response, on one input.
            cube = self.expectations.of_three(self.coefficients[..., 0], past, chain.width)
            parts.append(s[:, :1] ** 3 - cube)
        return np.concatenate(
            [_times(_monomials(past, self.order - m), d) for m, d in enumerate(parts, 1)], axis=1
        )

    def _responses(self, chain: Chain, at: slice) -> tuple[Array, Array, Array]:
        past = self._past(chain, at)
        c = np.tensordot(_monomials(past, self.degree), self.coefficients, 1)
        return np.einsum("nkp,nk->np", c, chain.drive[at, len(self.before)]), c, past

    def _past(self, chain: Chain, at: slice) -> Array:
        return (_history(chain, self.before, at, len(self.center)) - self.center) / self.scale


def _history(chain: Chain, before: tuple[_Response, ...], at: slice, columns: int) -> Array:
    """The past of the layer after ``before``, not standardised: shape (network, column)."""
    kernel = chain.kernel[at, len(before)]
    rest = columns - kernel.shape[1]
    if not rest:
        return kernel
    so_far = np.zeros((len(kernel), rest))
    for response in before:
        so_far += response.responses(chain, at)[:, -rest:]
    return np.concatenate([kernel, so_far], axis=1)


class _Expectations:
    """Expectations of products of responses, given the past.

    The mean over n neurons of S(u_j), u_j independent and E S = 0, has the second moment E[S^2]/n
    and the third E[S^3]/n^2. ``kurtosis`` is that of each control, shape (control,), for one input
    of the part that those of lower frequency leave.
    """

    def __init__(self, names: Sequence[str]):
        if "." in names[0]:
            powers = [[int(k) for k in name.removeprefix("He").split(".")] for name in names]
            # Hermite polynomials are orthogonal, and E[He_k^2] = k!.
            norms = [math.prod(map(math.factorial, p)) for p in powers]
            self._gram = np.diag(np.array(norms, float))
            self.kurtosis = np.array([math.prod(_hermite_kurtosis(k) for k in p) for p in powers])
            return
        density = np.exp(-(_NODES**2) / 2)
        self._weights = density / density.sum()
        values = np.stack([_on_nodes(name) for name in names])
        self._values = values - (values @ self._weights)[:, None]
        self._gram = (self._values * self._weights) @ self._values.T
        # Apart from those before it each control is a tail function: longer tails, higher waves.
        order = sorted(range(len(names)), key=lambda k: (_frequency(names[k]), names[k]))
        q, _ = np.linalg.qr((self._values[order] * np.sqrt(self._weights)).T)
        self.kurtosis = np.empty(len(names))
        self.kurtosis[order] = np.maximum.accumulate(np.sum(q**4 / self._weights[:, None], axis=0))

    def of_two(self, c: Array, width: int) -> Array:
        """E[s_p s_q | past] for coefficients c (network, control, pair)."""
        return np.swapaxes(c, 1, 2) @ (self._gram @ c) / width

    def of_three(self, coefficients: Array, past: Array, width: int) -> Array:
        """E[s^3 | past] of one response: a polynomial in the past, shape (network, 1).

        ``coefficients`` are (monomial, control), of all monomials of a degree.
        """
        s = coefficients @ self._values
        degree = next(d for d in range(9) if math.comb(past.shape[1] + d, d) == len(s))
        chosen = _chosen(past.shape[1], degree)
        cube: dict[tuple[int, ...], Array] = {}
        for i, j, k in np.ndindex((len(s),) * 3):
            powers = tuple(sorted(chosen[i] + chosen[j] + chosen[k]))
            cube[powers] = cube.get(powers, 0.0) + s[i] * s[j] * s[k]
        total = sum(
            float(values @ self._weights) * np.prod(past[:, powers], axis=1)
            for powers, values in cube.items()
        )
        return total[:, None] / width**2


def _frequency(name: str) -> Fraction:
    """Of a wave; 0 of any other control."""
    return Fraction(name[3:]) if name[:3] in ("sin", "cos") else Fraction(0)


def _hermite_kurtosis(k: int) -> float:
    """E[He_k^4]/E[He_k^2]^2 of a standard normal."""
    x, w = np.polynomial.hermite_e.hermegauss(2 * k + 1)
    h = np.polynomial.hermite_e.hermeval(x, np.eye(k + 1)[k])
    return float(w @ h**4 / w.sum() / math.factorial(k) ** 2)


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
        "sgn": np.sign(_NODES),
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
