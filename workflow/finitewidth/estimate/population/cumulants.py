"""Cumulants of conditional kernels from unnormalised means over islands of populations.

Products of expectations are products over different units: of independent sources, or U-statistics
over the islands (or networks) of one. The square of one estimate would be too large by its
variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from finitewidth.core.indices import pairs, quads
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.population.known import Moments
from finitewidth.estimate.population.sources import Source, Totals, joint
from finitewidth.estimate.preactivations.moments import of_three, of_two
from finitewidth.estimate.preactivations.pooled import symmetric_places

Array = np.ndarray

Totaled = Mapping[str, Totals]


def mean(m: Moments) -> Estimate:
    """E[Ghat_ab], shape (pair,)."""
    found = joint({"1": m.source(m.nearest(1))}, lambda s: s["1"].mean("x"))
    return m.trusted(found, 1, pairs(m.inputs))


def correlation(m: Moments) -> Estimate:
    """E[Ghat_ab]/sqrt(E[Ghat_aa] E[Ghat_bb]), shape (pair,)."""
    a, b = pairs(m.inputs).T

    def estimator(s: Totaled) -> Array:
        x = s["1"].mean("x")
        own = x[..., m.alone]
        return x / np.sqrt(own[..., a] * own[..., b])

    found = joint({"1": m.source(m.nearest(1))}, estimator, correct_bias=True)
    return m.trusted(found, 1, pairs(m.inputs))


def covariance(m: Moments) -> Estimate:
    """Cov(Ghat_ab, Ghat_cd), shape (product,): of two pairs, the second not before the first."""
    first, second = m.products
    of = np.hstack([pairs(m.inputs)[first], pairs(m.inputs)[second]])
    return m.trusted(joint(_sources(m, 2), _covariance(m)), 2, of)


def _covariance(m: Moments) -> Callable[[Totaled], Array]:
    first, second = m.products

    def estimator(s: Totaled) -> Array:
        one = s["1"]
        x = one.sum("x")
        product = of_two(x[..., first], x[..., second], one.sum("x x"), one.count)
        return s["2"].mean("two") - product

    return estimator


def same_neuron(m: Moments) -> Estimate:
    """The connected correlator of one neuron, shape (quad,): given the layer before it is Gaussian,
    so that this is Cov(Ghat_ab, Ghat_cd) added up over the three ways to pair a, b, c, d."""
    place, quadruples = symmetric_places(*pairs(m.inputs).T), quads(m.inputs)
    two = symmetric_places(*m.products)
    a, b, c, d = quadruples.T
    splits = [(place[a, b], place[c, d]), (place[a, c], place[b, d]), (place[a, d], place[b, c])]
    of_two_pairs = _covariance(m)

    def estimator(s: Totaled) -> Array:
        every = of_two_pairs(s)
        return np.sum([every[..., two[p, q]] for p, q in splits], axis=0)

    return m.trusted(joint(_sources(m, 2), estimator), 2, quadruples)


def kurtosis(m: Moments) -> Estimate:
    """3 E[Ghat^2]/E[Ghat]^2 - 3, the excess kurtosis of one neuron, shape (input,)."""

    def estimator(s: Totaled) -> Array:
        one = s["1"]
        own = one.sum("own")
        square = of_two(own, own, one.sum("own own"), one.count)
        return 3 * s["2"].mean("own two") / square - 3

    found = joint(_sources(m, 2), estimator, correct_bias=True)
    return m.trusted(found, 2, _each(m))


def third(m: Moments) -> Estimate:
    """The third cumulant of Ghat_aa, shape (input,)."""
    sources = _sources(m, 2, 3)
    together = sources["1"] is sources["2"]

    def estimator(s: Totaled) -> Array:
        one, two = s["1"], s["2"]
        own = one.sum("own")
        if together:
            once = of_two(two.sum("own two"), own, two.sum("own two x"), one.count)
        else:
            once = two.mean("own two") * one.mean("own")
        cube = of_three(own, one.sum("own own"), one.sum("own own own"), one.count)
        return s["3"].mean("three") - 3 * once + 2 * cube

    return m.trusted(joint(sources, estimator), 3, _each(m))


def inverse(m: Moments) -> Estimate:
    """E[1/Ghat_aa], shape (input,)."""
    found = joint({"-1": m.source(m.nearest(-1))}, lambda s: s["-1"].mean("inverse"))
    return m.trusted(found, -1, _each(m))


def _sources(m: Moments, *orders: int) -> dict[str, Source]:
    """Those of means and of moments of these orders; the same one where they come from one.

    Only populations tell moments beyond the mean: the nearest, or that of the highest.
    """
    grown = {order: m.part(order, orders[-1]) for order in (1, *orders)}
    known = {id(g): m.source(g) for g in grown.values()}
    return {str(order): known[id(g)] for order, g in grown.items()}


def _each(m: Moments) -> Array:
    return np.arange(m.inputs)[:, None]
