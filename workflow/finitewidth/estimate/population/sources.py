"""Estimates from several independent sources: plain networks, and islands of populations.

Islands are independent of each other and of plain networks. So the unit that a U-statistic takes
as different from another is an island of a population, and a network of a plain ensemble; the
jackknife leaves out an island, or a block of networks, and the squares of the errors of the sources
add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, from_replicates

Array = np.ndarray

#: A source whose error is a smaller share of the whole does not count when trust is asked for.
_SMALL = 0.05


@dataclass(frozen=True)
class Source:
    """What a moment of some order is taken from.

    Attributes
    ----------
    sums : mapping of arrays, shape (block, number)
        Sums over the units of each block: networks, or a single island.
    counts : array, shape (block,)
        Units of each block.
    words : str
        What it is, for tables.
    """

    sums: Mapping[str, Array]
    counts: Array
    words: str

    @cached_property
    def bounds(self) -> Array:
        """Where blocks begin and end, counted in units."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(int)


class Totals:
    """Sums over all units of a source, or all but one block: (..., number), with their count."""

    def __init__(self, sums: Mapping[str, Array], count: Array | float):
        self._sums, self.count = sums, np.asarray(count, float)

    def sum(self, name: str) -> Array:
        """The sum of a feature over units."""
        return self._sums[name]

    def mean(self, name: str) -> Array:
        """Its mean over units."""
        return self._sums[name] / self.count


def joint(
    sources: Mapping[str, Source],
    estimator: Callable[[Mapping[str, Totals]], Array],
    *,
    correct_bias: bool = False,
) -> Estimate:
    """An estimate from several sources, with the error of a jackknife over the blocks of each.

    Parameters
    ----------
    sources : mapping
        By name; the same one twice counts once.
    estimator : callable
        Of the totals by the same names, shape (..., number).
    correct_bias : bool
        As for :func:`finitewidth.estimate.errors.jackknife.jackknife`, source by source.
    """
    with np.errstate(all="ignore"):
        whole = {
            id(s): Totals({k: v.sum(axis=0) for k, v in s.sums.items()}, float(s.counts.sum()))
            for s in sources.values()
        }
        value = estimator({name: whole[id(s)] for name, s in sources.items()})
        parts = []
        for key, source in {id(s): s for s in sources.values()}.items():
            all_of_it, counts = whole[key], source.counts[:, None]
            rest = {k: all_of_it.sum(k) - v for k, v in source.sums.items()}
            without = whole | {key: Totals(rest, all_of_it.count - counts)}
            each = estimator({name: without[id(s)] for name, s in sources.items()})
            if not np.ndim(each) > np.ndim(value):
                # It does not depend on this source.
                continue
            one = from_replicates(value, each, source.bounds, correct_bias=correct_bias)
            # Of few islands the error is itself known badly: Student's t of so many degrees of
            # freedom has this standard deviation.
            degrees = len(source.counts) - 1
            parts.append(replace(one, stderr=one.stderr * np.sqrt(degrees / max(1, degrees - 2))))
        return _added(value, parts)


def _added(value: Array, parts: list[Estimate]) -> Estimate:
    squares = np.stack([np.nan_to_num(p.stderr, posinf=np.inf) ** 2 for p in parts])
    stderr = np.sqrt(squares.sum(axis=0))
    corrected = value + sum(p.value - value for p in parts)
    reason = np.zeros(value.shape, np.int8)
    diagnostic = np.full(value.shape, np.nan)
    for part, square in zip(parts, squares, strict=True):
        small = square <= (_SMALL * stderr) ** 2
        # A source without spread adds no error, but one that is not finite spoils the whole.
        idle = (part.reason == Reason.NO_SPREAD) | (small & (part.reason != Reason.NOT_FINITE))
        new = (reason == Reason.NONE) & ~idle & (part.reason != Reason.NONE)
        reason = np.where(new, part.reason, reason)
        diagnostic = np.where(new, part.diagnostic, diagnostic)
    found = Estimate(np.asarray(corrected, float), stderr, reason, diagnostic)
    return found.doubted(~(stderr > 0) & (reason == Reason.NONE), Reason.NO_SPREAD)
