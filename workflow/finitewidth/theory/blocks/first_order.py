"""First order in 1/n of streams with skips and norms, by frozen paths.

To leading order the z of the layers are one Gaussian path for each channel, with the covariances of
infinite width, and what fluctuates is a sum over channels of functions of that path. D_l, the
fluctuation of the effective covariance of z_l times sqrt(n), is such a sum: skips keep what earlier
layers added, so that D_l and means over channels in layer l are correlated. That correlation is a
function Y_l(z_l) = E[what a channel adds to D_l | z_l], which is handed from layer to layer
(docs/theory.md 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finitewidth.theory.blocks.hermite import DEGREES, passed_on
from finitewidth.theory.blocks.reading import Reading
from finitewidth.theory.blocks.sites import Site
from finitewidth.theory.blocks.stream import Stream

#: Share of the degree at which sums end that tell the error, and the relative error beyond which
#: nothing is said.
_SHORTER, _TOLERANCE = 0.75, 1e-5


@dataclass(frozen=True)
class Stage:
    """One layer of results: a stream, or a read-out, over the pairs p of its one or two inputs.

    Attributes
    ----------
    K : ndarray, shape (P,)
        Infinite width.
    M : ndarray, shape (P,)
        n (E[z_a z_b] - K).
    V : ndarray, shape (P, P)
        n Cov(z_ia z_ib, z_jc z_jd) of two channels i, j.
    active : float
        n (P(z > 0) - 1/2) of one input; NaN of two.
    """

    K: np.ndarray
    M: np.ndarray
    V: np.ndarray
    active: float = np.nan


def first_order(K: np.ndarray, sites: Sequence[Site]) -> list[Stage]:
    """What stands after each site, from an embedding that is Gaussian of covariance K.

    Parameters
    ----------
    K : ndarray, shape (N, N)
        N is 1 or 2.
    sites : sequence of Site

    Returns
    -------
    list of Stage
        NaN from where on it cannot be told: of two inputs that nearly depend on each other, or
        where one is 0; of an activation with a kink on two; where sums over polynomials end too
        early.
    """
    found: list[Stage] = []
    for degree in DEGREES[len(K)]:
        found = _trusted(K, sites, degree)
        if not found or np.isfinite(found[-1].V).all():
            break
    return found


def _trusted(K: np.ndarray, sites: Sequence[Site], degree: int) -> list[Stage]:
    """Sums to a degree, NaN from where on it is too low."""
    whole = _stages(K, sites, degree)
    shorter = _stages(K, sites, int(_SHORTER * degree))
    found, lost = [], False
    for one, other in zip(whole, shorter, strict=True):
        scale = np.sqrt(np.abs(np.diagonal(one.V)))
        gap = np.abs(one.V - other.V) > _TOLERANCE * np.outer(scale, scale)
        size = np.sqrt(np.abs(one.K)) + np.sqrt(scale)
        mean = np.abs(one.M - other.M) > _TOLERANCE * (np.abs(one.M) + size**2)
        share = abs(one.active - other.active) > _TOLERANCE * (1 + abs(one.active))
        lost = lost or bool(gap.any() or mean.any() or share) or not np.isfinite(one.V).all()
        found.append(_nothing(one.K) if lost else one)
    return found


def _nothing(K: np.ndarray) -> Stage:
    return Stage(K, np.full(len(K), np.nan), np.full((len(K), len(K)), np.nan))


def _stages(K: np.ndarray, sites: Sequence[Site], degree: int) -> list[Stage]:
    stream = Stream(np.array(K, dtype=float), degree)
    found: list[Stage] = []
    for site in sites:
        if not stream.is_regular(site):
            return [*found, *[_nothing(stream.k)] * (len(sites) - len(found))]
        found.append(_advance(stream, site))
    return found


def _advance(stream: Stream, site: Site) -> Stage:
    """Go through one site; what stands after it."""
    read = Reading(stream, site)
    gain, own = site.gamma**2, site.beta**2
    branch, mixed = own * site.C_W, gain * np.eye(len(stream.pairs))
    mixed = mixed + branch * read.J
    X = np.array([stream.correlated(c) for c in read.psi]).T
    cross = branch * mixed @ X
    G1, V = read.mean_correction(), read.V()
    stream.variance = mixed @ stream.variance @ mixed.T + cross + cross.T
    stream.variance = stream.variance + branch**2 * read.own
    parts = [
        sum((m * y for m, y in zip(row, stream.Y, strict=True)), 0 * read.psi[0]) + branch * c
        for row, c in zip(mixed, read.psi, strict=True)
    ]
    before = stream.basis
    stream.M = gain * stream.M + own * G1
    G = np.array([site.C_b + site.C_W * c.flat[0] for c in read.f])
    k = gain * stream.k + own * G
    for (a, b), value in zip(stream.pairs, k, strict=True):
        stream.K[a, b] = stream.K[b, a] = value
    if not site.gamma:
        # Nothing of the stream goes on: V of what was drawn anew.
        stream.set_basis()
        stream.Y = [0 * stream.basis.one() for _ in stream.pairs]
        stream.variance = own**2 * V
        return Stage(k, stream.M, stream.variance, 0.0)
    stream.set_basis()
    if not stream.regular:
        return _nothing(k)
    stream.Y = [passed_on(c, before, stream.basis, site.gamma) for c in parts]
    squares = [stream.square(p) for p in stream.pairs]
    X = np.array([stream.correlated(c) for c in squares]).T
    return Stage(k, stream.M, stream.variance + X + X.T, stream.active())
