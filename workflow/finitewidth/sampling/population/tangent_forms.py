"""Two moments of tangent kernels of several inputs given the forward pass, carried from layer to
layer.

Given the neurons of a layer and the derivatives U_a that come from above, the mean of what the
layers so far add to Theta_ab is linear in D_ab = U_a . U_b and e_xa e_yb, e_xa being z_x . U_a over
Ghat_xx^(1/2); that to Theta_ab Theta_cd is linear in products in which each of the four *legs* a,
b, c, d stands once, in a D with another leg or in an e. Isserlis' theorem tells the coefficients
from those of the layer before and from sums over its neurons (:mod:`.tangent_sums`; derived here).
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import pair_places, pairs
from finitewidth.sampling.population.tangent_sums import PairSums

Array = np.ndarray

#: Which two legs stand in a D, the other two each in an e.
SPLITS = tuple(combinations(range(4), 2))
#: Legs that stand in one D and in another.
PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
_LETTERS = "xyzw"


class Forms(NamedTuple):
    """Coefficients; members stand last, N inputs, P pairs, Q products of two pairs.

    Of means those of D_ab and of e_xa e_yb; of products those of D D (one of ``PAIRINGS``), of D
    e e (one of ``SPLITS``, x and y of the legs left in their order), and of e e e e.
    """

    one: Array  #: (P, member)
    other: Array  #: (P, x, y, member)
    zero: Array  #: (3, Q, member)
    two: Array  #: (6, Q, x, y, member)
    four: Array  #: (Q, x, y, z, w, member)

    @classmethod
    def shapes(cls, inputs: int) -> list[tuple[int, ...]]:
        """Shapes for a number of inputs, without members."""
        count, many = len(pairs(inputs)), len(products(inputs))
        square = (inputs, inputs)
        return [(count,), (count, *square), (3, many), (6, many, *square), (many, *square, *square)]

    @classmethod
    def of(cls, packed: Array, inputs: int) -> Forms:
        """Views of all coefficients in one array, (coefficient, member)."""
        shapes = cls.shapes(inputs)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(packed, ends[:-1])
        return cls(*(v.reshape(*shape, -1) for v, shape in zip(parts, shapes, strict=True)))

    @property
    def packed(self) -> Array:
        """All of them, (coefficient, member)."""
        return np.concatenate([v.reshape(-1, v.shape[-1]) for v in self])


def products(inputs: int) -> Array:
    """Pairs of pairs of inputs, the second not before the first, (Q, 2): places of pairs."""
    return np.column_stack(np.triu_indices(len(pairs(inputs))))


def begin(term: Array, members: int) -> Array:
    """What the first layer adds, packed; ``term`` is what its parameters count, (P,)."""
    inputs = round((np.sqrt(8 * len(term) + 1) - 1) / 2)
    nothing = Forms(*(np.zeros((*shape, 1)) for shape in Forms.shapes(inputs)))
    nothing.one[:, 0] = term
    first, second = products(inputs).T
    nothing.zero[0, :, 0] = term[first] * term[second]
    return np.repeat(nothing.packed, members, axis=1)


def moments(known: Forms, correlation: Array) -> Array:
    """E[Theta_ab | forward pass] and E[Theta_ab Theta_cd | forward pass], (P + Q, member).

    At an output D is 1, and e_x Gaussian numbers of the layer's correlations (x, y, member).
    """
    R = correlation
    mean = known.one + np.einsum("pxym,xym->pm", known.other, R)
    square = known.zero.sum(axis=0) + np.einsum("sqxym,xym->qm", known.two, R)
    for how in ("xyzw", "xzyw", "xwyz"):
        left = np.einsum(f"qxyzwm,{how[:2]}m->q{how[2:]}m", known.four, R)
        square = square + np.einsum("qxym,xym->qm", left, R)
    return np.concatenate([mean, square])


def beyond(known: Forms, sums: PairSums, fresh: float, term: Array) -> Array:
    """The coefficients at the next layer, packed.

    Parameters
    ----------
    known : Forms
    sums : PairSums
        Of this layer.
    fresh : float
        f, C_W/n of the weights between.
    term : array, shape (P, member)
        What the next layer's parameters count.
    """
    inputs = known.other.shape[1]
    a, b = pairs(inputs).T
    first, second = products(inputs).T
    legs = np.stack([a[first], b[first], a[second], b[second]])
    zero, two, four = (fresh**2 * v for v in _products_beyond(known, sums, legs))
    one = known.one * sums.gates + np.einsum("pxym,pxym->pm", known.other, sums.fresh[a, b])
    other = known.one[:, None, None] * sums.driven
    half = np.einsum("pxym,pxum->puym", known.other, sums.passed[a])
    other = other + np.einsum("puym,pyvm->puvm", half, sums.passed[b])
    one, other = fresh * one, fresh * other
    zero[0] += term[first] * (term[second] + one[second]) + term[second] * one[first]
    two[SPLITS.index((0, 1))] += term[first][:, None, None] * other[second]
    two[SPLITS.index((2, 3))] += term[second][:, None, None] * other[first]
    return Forms(one + term, other, zero, two, four).packed


def _products_beyond(known: Forms, sums: PairSums, legs: Array) -> tuple[Array, Array, Array]:
    """Coefficients of products at the next layer, over f^2."""
    place = pair_places(known.other.shape[1])
    gates, driven, passed, fresh, both, linked, joined, through = sums
    new = np.zeros_like(known.zero), np.zeros_like(known.two), np.zeros_like(known.four)

    def pair(p: int, q: int) -> Array:
        return place[legs[p], legs[q]]

    def down(values: Array, p: int, q: int) -> Array:
        """x and y of legs p and q taken to the next layer, as these are passed on."""
        half = np.einsum("qxym,qxum->quym", values, passed[legs[p]])
        return np.einsum("quym,qyvm->quvm", half, passed[legs[q]])

    put = _Put(*new)
    for k, (left, right) in enumerate(PAIRINGS):
        t, (p, q), (r, s) = known.zero[k], left, right
        one, other = pair(*left), pair(*right)
        put.zero(left, right, t * gates[one] * gates[other])
        put.two(right, t[:, None, None] * gates[one][:, None, None] * driven[other])
        put.two(left, t[:, None, None] * gates[other][:, None, None] * driven[one])
        put.four(left, right, t[:, None, None] * driven[one], driven[other])
        twice = t * both[one, other]
        put.zero((p, r), (q, s), twice)
        put.zero((p, s), (q, r), twice)
        link = t[:, None, None] * linked[one, other]
        for u, v in ((p, r), (p, s), (q, r), (q, s)):
            put.two((p + q - u, r + s - v), link)
    for k, left in enumerate(SPLITS):
        right = _rest(left)
        (p, q), (r, s) = left, right
        T, one = known.two[k], pair(*left)
        lower = down(T, r, s)
        put.two(right, gates[one][:, None, None] * lower)
        put.four(left, right, driven[one], lower)
        new_pair = np.einsum("qxym,qxym->qm", T, fresh[legs[r], legs[s]])
        put.zero(left, right, gates[one] * new_pair)
        put.two(left, driven[one] * new_pair[:, None, None])
        crossed = np.einsum("qxym,qxym->qm", T, through[legs[r], legs[s], one])
        put.zero((p, r), (q, s), crossed)
        put.zero((p, s), (q, r), crossed)
        for mine, yours, values in ((r, s, T), (s, r, T.swapaxes(1, 2))):
            half = np.einsum("qxym,qxum->quym", values, joined[legs[mine], one])
            half = np.einsum("quym,qyvm->quvm", half, passed[legs[yours]])
            put.two((q, yours), half)
            put.two((p, yours), half)
    F = known.four
    for k, (p, q) in enumerate(SPLITS):
        r, s = _rest((p, q))
        G = np.einsum(
            f"qxyzwm,q{_LETTERS[p]}{_LETTERS[q]}m->q{_LETTERS[r]}{_LETTERS[s]}m",
            F, fresh[legs[p], legs[q]],
        )  # fmt: skip
        put.two((r, s), down(G, r, s))
        if k < 3:
            put.zero((p, q), (r, s), np.einsum("qxym,qxym->qm", G, fresh[legs[r], legs[s]]))
    for letter, leg in zip(_LETTERS, legs, strict=True):
        F = np.einsum(f"qxyzwm,q{letter}um->q{_LETTERS.replace(letter, 'u')}m", F, passed[leg])
    put.all_four(F)
    return new


class _Put:
    """Adds to coefficients by the legs that they are of."""

    def __init__(self, zero: Array, two: Array, four: Array):
        self._zero, self._two, self._four = zero, two, four

    def zero(self, one: tuple[int, int], other: tuple[int, int], values: Array) -> None:
        """To that of D D; the legs of each."""
        lower = min(tuple(sorted(one)), tuple(sorted(other)))
        self._zero[SPLITS.index(lower)] += values

    def two(self, free: tuple[int, int], values: Array) -> None:
        """To that of D e e; ``free`` are the legs that x and y of the values belong to."""
        u, v = free
        self._two[SPLITS.index(_rest(free))] += values if u < v else values.swapaxes(1, 2)

    def four(self, one: tuple[int, int], other: tuple[int, int], left: Array, right: Array) -> None:
        """To that of e e e e, the product of these two of two legs each."""
        x, y, z, w = (_LETTERS[k] for k in (*one, *other))
        self._four += np.einsum(f"q{x}{y}m,q{z}{w}m->q{_LETTERS}m", left, right)

    def all_four(self, values: Array) -> None:
        """To that of e e e e."""
        self._four += values


def _rest(legs: tuple[int, int]) -> tuple[int, int]:
    p, q = (k for k in range(4) if k not in legs)
    return p, q
