"""First order in 1/n of plain networks on images, over pairs of rows (an input at a place).

With S~ the activations, A_rs = mean over channels of s_r s_s has the fluctuations of a mean over n
channels that are alike given the covariance of the rows before it, plus what <s_r s_s> makes of
those of that covariance, as in a perceptron (theory/mlp/vertex.py). A convolution, means over
places and a read-out of all of them are linear in A, so that they act on both indices of what
fluctuates and of its mean (docs/theory.md 13.6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, prod

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Map, Shape
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.theory.blocks.attention import attention_moments
from finitewidth.theory.blocks.place_pairs import (
    distinct,
    fourfold,
    is_regular,
    means,
    off_pairs,
    on_pairs,
)
from finitewidth.theory.blocks.place_skips import Source, pair_map
from finitewidth.theory.blocks.place_sums import Sums, over, sums_of
from finitewidth.theory.gaussian.four_activations import has_closed_form

#: Means of four activations that all layers together may take, and how many times as much one
#: counts that is a sum over a grid.
MOST_MEANS, GRID = 10**5, 25


@dataclass(frozen=True)
class Placed:
    """Rows of a layer: channels that are alike, and independent given G = K + what fluctuates.

    Attributes
    ----------
    shape : tuple of int
        Of one input.
    K : ndarray, shape (R, R)
        Infinite width: of rows that a map gave, else of A.
    G1 : ndarray, shape (R, R)
        E[G] - K to order 1/n.
    V : ndarray, shape (R, R, R, R)
        Cov(G_rs, G_tu) to order 1/n.
        With ``sources``, of what they carry (D of docs/theory.md 13.2).
    drawn : bool
        Whether the rows are those that a map gave, or means of such over places: Gaussian given G.
    """

    shape: Shape
    K: np.ndarray
    G1: np.ndarray
    V: np.ndarray
    drawn: bool = False
    sources: tuple[Source, ...] = ()

    @property
    def of_products(self) -> np.ndarray:
        """Cov(z_ir z_is, z_jt z_ju) of two channels, (R, R, R, R): V, and what a stream's channels
        have in common with what it carries."""
        R = len(self.K)
        V = on_pairs(self.V)
        for one in self.sources:
            X = one.T @ one.with_squares() / self.shape[0]
            V = V + X + X.T
        return off_pairs(V, R)


def first_order_on_places(network: Architecture, x: np.ndarray) -> list[Placed | None]:
    """What stands after each layer of results; None from where on it is not known.

    Parameters
    ----------
    network : Architecture
        Convolutions, dense maps, activations and means over places in turn; blocks with a skip of
        one activation and one map, all of one activation (G1 is NaN from the second on). Nothing is
        known beyond a norm, of weights that are not normal, and of rows that are 0 or nearly depend
        on each other.
    x : ndarray, shape (inputs, *network.shape)
    """
    inputs, channels = x.shape[:2]
    rows = np.moveaxis(x.reshape(inputs, channels, -1), 1, 2).reshape(-1, channels)
    R = len(rows)
    start = Placed(network.shape, rows @ rows.T / channels, np.zeros((R, R)), np.zeros((R,) * 4))
    found: list[Placed | None] = []
    walk = _Walk(inputs)
    now: Placed | None = start
    if any(one.weights != "normal" for one in network.maps):
        now = None
    for number, layer in enumerate(network.layers, 1):
        now = None if now is None else walk.through(layer, now)
        if number in network.ends:
            found.append(now if now is not None and now.drawn else None)
    return found


def inputs_together(network: Architecture, inputs: int) -> int:
    """How many of so many inputs the first order is taken of at once: all, else two or one; 0 where
    even one has too many rows."""
    for count in dict.fromkeys((inputs, 2, 1)):
        if count <= inputs and _means(network, count) <= MOST_MEANS:
            return count
    return 0


def _means(network: Architecture, inputs: int) -> float:
    """Means of four activations that so many inputs take, those by grids counted :data:`GRID`
    times."""
    total, skips = 0.0, 0
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        branch = layer.branch if isinstance(layer, Block) else (layer,)
        shapes = layer.shapes(shape) if isinstance(layer, Block) else [shape]
        for inner, before in zip(branch, shapes, strict=False):
            if isinstance(inner, Nonlinearity):
                times, rows = _price(inner.activation), inputs * prod(before[1:])
                # Behind a skip, of the rows of two layers.
                total += times * (comb(rows + 3, 4) + skips * comb(2 * rows + 3, 4))
            if isinstance(inner, Attention):
                rows = inputs * prod(before[1:])
                total += (GRID if inner.scores == "softmax" else 1) * comb(rows + 3, 4)
        skips = (skips + 1) * bool(layer.gamma) if isinstance(layer, Block) else skips
    return total


def _price(activation: Activation) -> int:
    return 1 if has_closed_form(activation) else GRID


class _Walk:
    """Steps through layers, for so many inputs."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs

    def through(self, layer: Layer, now: Placed) -> Placed | None:
        """What follows a layer; None where it is not known."""
        if isinstance(layer, Block):
            return self._block(layer, now)
        if isinstance(layer, Nonlinearity):
            return self._activated(layer.activation, now) if now.drawn else None
        if isinstance(layer, Map | Flatten | Attention) and now.drawn:
            # A matrix multiplies it as it is.
            plain = self._activated(get("linear"), now)
            return None if plain is None else self.through(layer, plain)
        if isinstance(layer, Attention):
            found = attention_moments(layer, now.shape[1], now.K, now.G1, now.V)
            shape = layer.shape_after((layer.query.inputs, *now.shape[1:]))
            return None if found is None or now.sources else Placed(shape, *found, drawn=True)
        if isinstance(layer, Map | AveragePool | Flatten):
            after = _summed(layer, sums_of(layer, now.shape, self._inputs), now)
            return _mapped(layer, after) if isinstance(layer, Map) else after
        return None

    def _block(self, layer: Block, now: Placed) -> Placed | None:
        if layer.gamma:
            return self._with_skip(layer, now)
        after: Placed | None = now
        for inner in layer.branch:
            after = None if after is None else self.through(inner, after)
        if after is None:
            return None
        b = layer.beta**2
        return Placed(after.shape, b * after.K, b * after.G1, b * b * after.V, after.drawn)

    def _with_skip(self, layer: Block, now: Placed) -> Placed | None:
        """A stream that is kept, and an activation and a matrix beside it."""
        if len(layer.branch) != 2 or not now.drawn:
            return None
        first, last = layer.branch
        if not isinstance(first, Nonlinearity) or not isinstance(last, Map):
            return None
        R, sigma = len(now.K), first.activation
        if len(distinct(now.K)[0]) < R or not is_regular(now.K, sigma):
            return None
        D, n = on_pairs(now.V), now.shape[0]
        f, J, bent = means(sigma, now.K, D)
        gain, branch = layer.gamma**2, layer.beta**2 * last.C_W
        P = pair_map(sums_of(last, now.shape, self._inputs), R)
        mixed, own = gain * np.eye(len(f)) + branch * P @ J, branch * P
        X = _crossed(now, sigma, f)
        if X is None:
            return None
        spread = fourfold(sigma, now.K) - np.outer(f, f)
        cross = mixed @ X @ own.T
        D = mixed @ D @ mixed.T + (own @ spread @ own.T) / n + cross + cross.T
        G1 = gain * on_pairs(now.G1) + branch * P @ (J @ on_pairs(now.G1) + bent)
        if now.sources:
            # A mean of derivatives that goes with what the stream carries is not computed.
            G1 = np.full_like(G1, np.nan)
        K = gain * on_pairs(now.K) + layer.beta**2 * (last.C_b + last.C_W * P @ f)
        sources = [one.passed(layer.gamma, mixed) for one in now.sources]
        sources.append(Source(sigma, now.K, f, J, layer.gamma * now.K, own))
        return Placed(now.shape, off_pairs(K, R), off_pairs(G1, R), off_pairs(D, R), True,
                      tuple(sources))  # fmt: skip

    def _activated(self, activation: Activation, now: Placed) -> Placed | None:
        """The kernel A of what follows an activation; rows that are equal are taken once."""
        own, at = distinct(now.K)
        if now.sources and len(own) < len(now.K):
            return None
        K = now.K[np.ix_(own, own)]
        if not is_regular(K, activation):
            return None
        D = on_pairs(now.V[np.ix_(own, own, own, own)])
        f, J, bent = means(activation, K, D)
        X = _crossed(now, activation, f)
        if X is None:
            return None
        spread = (fourfold(activation, K) - np.outer(f, f)) / now.shape[0]
        cross = J @ X
        V = off_pairs(spread + J @ D @ J.T + cross + cross.T, len(K))
        G1 = off_pairs(J @ on_pairs(now.G1[np.ix_(own, own)]) + bent, len(K))
        if now.sources:
            G1 = np.full_like(G1, np.nan)
        wide = np.ix_(at, at)
        return Placed(now.shape, off_pairs(f, len(K))[wide], G1[wide], V[np.ix_(at, at, at, at)])


def _crossed(now: Placed, activation: Activation, f: np.ndarray) -> np.ndarray | None:
    """Cov(D, mean of s s over channels), (P, P): 0 where no skip went before, None of two kinds of
    activations."""
    X = np.zeros((len(f), len(f))) if not now.sources else 0.0
    for one in now.sources:
        if one.activation.name != activation.name:
            return None
        X = X + one.T @ one.with_products(activation, now.K, f) / now.shape[0]
    return np.asarray(X)


def _summed(layer: Layer, sums: Sums, now: Placed) -> Placed:
    """Means over places of kernels, on both indices of each pair."""
    V = over(sums, now.V)
    V = over(sums, V.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
    after = Placed(
        layer.shape_after(now.shape), over(sums, now.K), over(sums, now.G1), V, now.drawn
    )
    if not now.sources:
        return after
    # Only means over places are taken of a stream itself: there is one S.
    (S,), P = sums, pair_map(sums, len(now.K))
    return replace(after, sources=tuple(replace(s, C=s.C @ S.T, T=P @ s.T) for s in now.sources))


def _mapped(layer: Map, now: Placed) -> Placed:
    """The covariance of what a map gives."""
    return Placed(
        now.shape,
        layer.C_b + layer.C_W * now.K,
        layer.C_W * now.G1,
        layer.C_W**2 * now.V,
        drawn=True,
    )
