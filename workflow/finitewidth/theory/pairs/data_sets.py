"""The kernel of one layer between all inputs of two data sets, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import isqrt, prod

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates
from finitewidth.theory.layers.infinite_width import advance, start
from finitewidth.theory.pairs import (  # noqa: F401
    activations,
    attention,
    maps,
    norms,
    places,
    skips,
)
from finitewidth.theory.pairs.own import Replayed, sites_of
from finitewidth.theory.pairs.plan import Plan
from finitewidth.theory.pairs.sites import Site
from finitewidth.theory.pairs.state import Pairs, step

#: Numbers of one array of a block: it lies in a processor's cache, with the others of its step.
_CACHED = 2**15
#: Arrays that a block has at once, and bytes of a number.
_ARRAYS, _BYTES = 16, 8

Found = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Blocks:
    """How data sets are divided: inputs of a block, and the memory that blocks may take.

    Attributes
    ----------
    inputs : int
    kept : int
        Bytes of what is kept of inputs that come again.
    """

    inputs: int
    kept: int

    @classmethod
    def of(cls, plan: Plan, block: int | None, memory: int) -> Blocks:
        """Blocks of so many inputs, or of as many as lie in cache.

        Raises ``ValueError`` in one sentence where that takes more than ``memory`` bytes.
        """
        each = plan.largest
        inputs = block or max(1, isqrt(_CACHED // min(each, _CACHED)))
        if plan.joint and not block:
            inputs = 16
        needed = (2 * inputs) ** 2 * each if plan.joint else inputs**2 * each
        needed *= _ARRAYS * _BYTES
        if needed > memory:
            raise ValueError(
                f"memory: a block of {inputs} by {inputs} inputs takes about {needed / 2**20:.0f}"
                f" MiB at once, and {memory / 2**20:.0f} MiB are allowed"
            )
        return cls(inputs, memory - needed)

    def slices(self, count: int) -> list[slice]:
        """The blocks of so many inputs."""
        return [slice(k, min(k + self.inputs, count)) for k in range(0, count, self.inputs)]


class DataSets:
    """Two data sets, or one with itself, on their way through a network.

    Parameters
    ----------
    network : Architecture
    plan : Plan
    x1 : ndarray, shape (inputs, *network.shape)
    x2 : ndarray, or None for x1 itself
    rates : LearningRates, optional
        With them, tangent kernels as well.
    blocks : Blocks
    wants_nngp : bool
        Whether the covariance is kept, too.
    """

    def __init__(
        self,
        network: Architecture,
        plan: Plan,
        x1: np.ndarray,
        x2: np.ndarray | None,
        rates: LearningRates | None,
        blocks: Blocks,
        wants_nngp: bool = True,
    ) -> None:
        self._network, self._plan, self._rates, self._blocks = network, plan, rates, blocks
        self._symmetric, self._wants_nngp = x2 is None, wants_nngp
        self._x = (x1, x1 if x2 is None else x2)
        flat = [x.reshape(len(x), x.shape[1], -1) for x in self._x]
        self._flat = (flat[0], flat[0] if x2 is None else flat[1])
        self._kept: dict[tuple[int, int], list[Site]] = {}
        self._room = blocks.kept

    def kernels(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """nngp and ntk, or None, (rows, columns): of each input a row, or one for each of its
        places in a layer that has some."""
        shape = self._network.shapes[len(self._plan.layers)]
        rows = prod(shape[1:])
        size = tuple(len(x) * rows for x in self._x)
        nngp = np.empty(size) if self._wants_nngp else None
        ntk = None if self._rates is None else np.empty(size)
        for one in self._blocks.slices(len(self._x[0])):
            for two in self._blocks.slices(len(self._x[1])):
                if self._symmetric and two.start < one.start:
                    continue
                for whole, part in zip((nngp, ntk), self._block(one, two), strict=True):
                    if whole is not None and part is not None:
                        a, b = (slice(s.start * rows, s.stop * rows) for s in (one, two))
                        self._put(whole, part, a, b)
        return nngp, ntk

    def _put(self, whole: np.ndarray, part: np.ndarray, a: slice, b: slice) -> None:
        if self._symmetric and a == b:
            upper = np.triu(part)
            part = upper + np.triu(part, 1).T
        whole[a, b] = part
        if self._symmetric:
            whole[b, a] = part.T

    def _block(self, one: slice, two: slice) -> Found:
        if self._plan.joint:
            return self._jointly(one, two)
        a, b = self._flat[0][one], self._flat[1][two]
        channels = a.shape[1]
        if self._plan.every_pair[0]:
            rows, columns = (np.moveaxis(x, 1, 2).reshape(-1, channels) for x in (a, b))
            nngp = (rows @ columns.T).reshape(len(a), a.shape[2], len(b), b.shape[2])
            layout = "all"
        else:
            nngp = np.moveaxis(a, 2, 0) @ np.moveaxis(b, 2, 0).swapaxes(1, 2)
            layout = "same"
        nngp = nngp / channels
        sides = Replayed(self._sites(0, one), self._sites(1, two))
        rates = self._rates
        left = iter(()) if rates is None else zip(rates.lambda_b, rates.lambda_W, strict=True)
        ntk = None if rates is None else np.zeros_like(nngp)
        state = Pairs(self._plan.shape, layout, nngp, ntk, sides)
        for layer, full in zip(self._plan.layers, self._plan.every_pair, strict=False):
            state = step(layer, state if full else state.narrowed(), left)
        if not self._plan.every_pair[-1]:
            state = state.narrowed()
        size = (-1, len(b)) if state.layout == "same" else (len(a) * state.nngp.shape[1], -1)
        return state.nngp.reshape(size), None if state.ntk is None else state.ntk.reshape(size)

    def _sites(self, side: int, at: slice) -> list[Site]:
        key = (0 if self._symmetric else side, at.start)
        if key not in self._kept:
            found = sites_of(self._plan, self._flat[side][at], self._rates is not None)
            size = sum(site.bytes for site in found)
            if size > self._room:
                return found
            self._room -= size
            self._kept[key] = found
        return self._kept[key]

    def _jointly(self, one: slice, two: slice) -> Found:
        """By the steps that take all rows of both blocks at once, for layers that have no other."""
        x = np.concatenate([self._x[0][one], self._x[1][two]])
        last = self._network.ends.index(len(self._plan.layers))
        before = start(x, self._rates is not None)
        *_, found = islice(
            advance(self._network.layers, before, self._rates, self._network.ends), last + 1
        )
        rows = len(found.nngp) // len(x) * (one.stop - one.start)
        if not np.isfinite(found.nngp).all():
            raise ValueError("the kernel of infinite width of this network is not known")
        ntk = None if self._rates is None else found.ntk[:rows, rows:]
        if ntk is not None and not np.isfinite(ntk).all():
            raise ValueError(
                "the tangent kernel of infinite width of this network is not known: get='nngp'"
                " gives the covariance alone"
            )
        return found.nngp[:rows, rows:], ntk
