"""A member made of blocks as its predictions see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod

import numpy as np

from finitewidth.core.blocks import MOST_ROWS
from finitewidth.core.indices import pairs
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention, Heads
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.models.parameterisation import LearningRates
from finitewidth.theory.blocks.first_order import Stage, first_order
from finitewidth.theory.blocks.places import first_order_on_places, inputs_together
from finitewidth.theory.blocks.sites import sites_of
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.kernels import Kernels
from finitewidth.theory.predict.steps import STEEP, Steps

#: Beyond so many inputs the first order of different ones is left out: their pairs cost too much.
MOST_PAIRED = 4
#: Beyond so many blocks that of one input, and that of two, for the same reason.
DEEPEST, DEEPEST_OF_TWO = 1000, 64


def _ends_with_map(layer: Layer) -> bool:
    """Whether it is a block that a fresh matrix ends, or means over places behind one."""
    if not isinstance(layer, Block):
        return False
    left = [one for one in layer.branch if not isinstance(one, AveragePool)]
    return (not left and not layer.gamma) or (bool(left) and isinstance(left[-1], Map | Attention))


def _is_linear(layer: Layer) -> bool:
    """Whether what comes out is a sum of what goes in, with weights that do not depend on it."""
    if isinstance(layer, Block):
        return all(_is_linear(one) for one in layer.branch)
    if isinstance(layer, Nonlinearity):
        return layer.activation.is_linear
    if isinstance(layer, Attention):
        # All logits are 0, and scores equal.
        return any(one.C_W == one.C_b == 0 for one in (layer.query, layer.key))
    return isinstance(layer, Map | AveragePool | Flatten)


@dataclass(frozen=True)
class BlockCase:
    """Its network, inputs x (N, n_0), layers of results (T of them), and the sample's sizes.

    Images are rows of numbers in the order (channel, row, column).
    """

    network: Architecture
    x: np.ndarray
    layers: list[int]
    neurons: int
    networks: int | None
    rates: LearningRates | None = None

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(T, N); where all places are recorded each counts as an input."""
        return len(self.layers), len(self.x) * self.network.places_read

    @property
    def widths(self) -> list[int]:
        """Channels of each layer."""
        return [self.network.result_widths[layer] for layer in self.layers]

    @cached_property
    def has_limit(self) -> bool:
        """Whether kernels are the limit of infinite width: uniform biases stay uniform there."""
        maps = self.network.maps
        return all(one.weights == "normal" or not one.C_b for one in maps)

    @cached_property
    def vectors(self) -> np.ndarray:
        """What is recorded of inputs, (N, components): tokens where each of them is; NaN where
        layers have other places than inputs."""
        x = self.network.arranged(self.x)
        if self.network.places_read == 1:
            return self.x.reshape(len(x), -1)
        rows = np.moveaxis(x.reshape(*x.shape[:2], -1), 1, 2).reshape(-1, x.shape[1])
        return rows if len(rows) == self.shape[1] else np.full((self.shape[1], 1), np.nan)

    @cached_property
    def _sizes(self) -> list[int]:
        """Rows before the first layer, and after each."""
        return [len(self.x) * prod(shape[1:]) for shape in self.network.shapes]

    @property
    def is_small(self) -> bool:
        """Whether kernels of all pairs of rows are held."""
        return max(self._sizes) <= MOST_ROWS

    @cached_property
    def _every(self) -> list[Kernels]:
        sizes = self._sizes
        if not self.is_small:
            return [self._unknown(sizes[end], end) for end in self.network.ends]
        return infinite_width_kernels(self.network, self.x, self.rates)

    def _unknown(self, rows: int, end: int) -> Kernels:
        """Kernels of a layer of which nothing is said; they take no memory."""
        nothing = np.broadcast_to(np.nan, (rows, rows))
        return Kernels(self.network.shapes[end], nothing, nothing)

    def rows(self, layer: int) -> np.ndarray:
        """The row of each input that is recorded of a layer of results, among all rows: (N,)."""
        return self._rows_of(layer, len(self.x))

    def _rows_of(self, layer: int, inputs: int) -> np.ndarray:
        places = prod(self.network.shapes[self.network.ends[layer - 1]][1:])
        if self.network.places_read > 1:
            return np.arange(inputs * places)
        return places * np.arange(inputs) + self.network.place_of(layer)

    @cached_property
    def kernel(self) -> np.ndarray:
        """Infinite width, (T, N, N), of the recorded place; NaN where the limit is not known."""
        rows = {layer: self.rows(layer) for layer in self.layers}
        K = np.stack([self._every[k - 1].nngp[np.ix_(own, own)] for k, own in rows.items()])
        return K if self.has_limit else np.full_like(K, np.nan)

    @cached_property
    def K(self) -> np.ndarray:
        """Its diagonal, (T, N)."""
        return np.diagonal(self.kernel, axis1=1, axis2=2)

    @cached_property
    def theta(self) -> np.ndarray:
        """Tangent kernel of the last layer at infinite width, (N, N)."""
        theta = self._every[-1].ntk
        return theta if self.has_limit else np.full_like(theta, np.nan)

    @cached_property
    def is_normed(self) -> np.ndarray:
        """Which layers of results a norm gives, (T,): their channels are bound to each other."""
        ends = [self.network.ends[layer - 1] for layer in self.layers]
        return np.array([isinstance(self.network.layers[e - 1], LayerNorm | RmsNorm) for e in ends])

    @cached_property
    def is_independent(self) -> np.ndarray:
        """In which layers different channels are uncorrelated at any width, (T,).

        Those that a fresh matrix gives are, and sums of such.
        """
        found = []
        for end in (self.network.ends[layer - 1] for layer in self.layers):
            *before, last = self.network.layers[:end]
            sums = all(isinstance(one, Map) or _ends_with_map(one) for one in before)
            found.append(isinstance(last, Map) or (_ends_with_map(last) and sums))
        return np.array(found)

    @cached_property
    def gaussian(self) -> np.ndarray:
        """1 in layers of Gaussian, independent channels at infinite width, else NaN: (T,)."""
        known = [self._every[layer - 1].gaussian for layer in self.layers]
        return np.where(known, 1.0, np.nan)

    @cached_property
    def first_order(self) -> tuple[np.ndarray, np.ndarray] | None:
        """G1 (T, N, N) and V (T, N, N, N, N) with their 1/n, NaN where unknown; None if nowhere."""
        if self.network.has_places:
            return self._on_places()
        return None if self._on_vectors is None else self._on_vectors[:2]

    @property
    def active(self) -> np.ndarray | None:
        """P(z > 0) less a half, with its 1/n, (T, N), of networks on vectors; as above."""
        return None if self.network.has_places or self._on_vectors is None else self._on_vectors[2]

    @cached_property
    def _on_vectors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        found = sites_of(self.network)
        if found is None or len(found[1]) > DEEPEST:
            return None
        embed, sites, n = found
        start = embed.C_b + embed.C_W * (self.x @ self.x.T) / self.x.shape[1]
        N = len(self.x)
        G1 = np.full((len(self.layers), N, N), np.nan)
        V = np.full((len(self.layers), N, N, N, N), np.nan)
        active = np.full((len(self.layers), N), np.nan)
        for a, b in pairs(N):
            own = [a] if a == b else [a, b]
            if a != b and (N > MOST_PAIRED or len(sites) > DEEPEST_OF_TWO):
                continue
            block = start[np.ix_(own, own)]
            equal = a != b and block[0, 0] == block[0, 1] == block[1, 1]
            # Equal inputs are one.
            stages = first_order(block[:1, :1] if equal else block, sites)
            self._place(own, stages, G1, V, n)
            if a == b:
                active[:, a] = [stages[layer - 1].active / n for layer in self.layers]
        return G1, V, active

    @cached_property
    def is_linear(self) -> np.ndarray:
        """Which layers are linear in the input, so that mean kernels are those of infinite width,
        (T,)."""
        each = np.logical_and.accumulate([_is_linear(one) for one in self.network.layers])
        return np.array([each[self.network.ends[layer - 1] - 1] for layer in self.layers])

    @cached_property
    def is_scale_invariant(self) -> bool:
        """Whether the network on vectors has two slopes, no bias and no norm.

        Then twice the input gives twice the stream, and the logarithm of its length is a sum.
        """
        found = None if self.network.has_places else sites_of(self.network)
        if found is None or found[0].C_b:
            return False
        return all(
            one.norm is None and not one.C_b and one.activation.slopes is not None
            for one in found[1]
        )

    def _on_places(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The same of networks on images, at the recorded place of each layer."""
        N = self.shape[1]
        together = inputs_together(self.network, len(self.x))
        if not together:
            return None
        G1 = np.full((len(self.layers), N, N), np.nan)
        V = np.full((len(self.layers), N, N, N, N), np.nan)
        x, each = self.network.arranged(self.x), np.arange(N).reshape(len(self.x), -1)
        for chosen in combinations(range(len(x)), together):
            own = each[list(chosen)].ravel()
            found = first_order_on_places(self.network, x[list(chosen)])
            for place, layer in enumerate(self.layers):
                one = found[layer - 1]
                if one is not None:
                    at = self._rows_of(layer, together)
                    G1[place][np.ix_(own, own)] = one.G1[np.ix_(at, at)]
                    V[place][np.ix_(own, own, own, own)] = one.of_products[np.ix_(at, at, at, at)]
        return G1, V

    def _place(
        self, own: list[int], stages: Sequence[Stage], G1: np.ndarray, V: np.ndarray, n: int
    ) -> None:
        """Put what one or two inputs give into the tensors of all."""
        for place, layer in enumerate(self.layers):
            one = stages[layer - 1]
            single = len(one.K) == 1
            index = {c: 0 if single else k for k, c in enumerate(own)}

            def pair(c: int, d: int, index: dict[int, int] = index) -> int:
                return index[c] + index[d]

            for c, d in product(own, repeat=2):
                if c != d or len(own) == 1:
                    G1[place, c, d] = one.M[pair(c, d)] / n
                for e, f in product(own, repeat=2):
                    if len({c, d, e, f}) == len(own):
                        V[place, c, d, e, f] = one.V[pair(c, d), pair(e, f)] / n

    @property
    def _heads(self) -> list[Heads]:
        return [m for m in self.network.maps if isinstance(m, Heads)]

    @property
    def _narrowest(self) -> int:
        """The least of what theory takes to infinity: widths, heads and their dimension."""
        widths = self.network.result_widths[1:]
        return min([*(widths[:-1] or widths), *(min(m.heads, m.head_dim) for m in self._heads)])

    @property
    def maps_over_width(self) -> float:
        """How many maps the whole network has, over the least that theory takes to infinity."""
        return len(self.network.maps) / self._narrowest

    def steps(self, tangent: bool) -> Steps:
        """Sizes of the orders in 1/n, about, (T,) each (docs/theory.md 13.5)."""
        ends, n, heads = self.network.ends, self._narrowest, self._heads
        maps = np.cumsum([len(tuple(one.maps)) for one in self.network.layers])
        depth = np.array([maps[ends[layer - 1] - 1] for layer in self.layers])
        guess = STEEP * depth / n
        spread = guess
        if self.first_order is not None:
            own = np.arange(self.shape[1])
            V = self.first_order[1][:, own, own, own, own]
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = np.abs(V) / self.K**2
            known = np.where(np.isfinite(relative), relative, -np.inf).max(1)
            # What a few dimensions of a head add is of the next order in them alone.
            small = STEEP / min((m.head_dim for m in heads), default=np.inf)
            spread = np.where(np.isneginf(known), guess, np.maximum(known, small))
        spread = np.maximum(spread, guess) if tangent else spread
        return Steps(spread, np.maximum(spread, STEEP / n))
