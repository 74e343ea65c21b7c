"""The first order of one training at one test input, by whichever way its Gaussian means are known.

Up to three inputs that differ take quadrature; more of them take quasi-random points, several
scrambles of which tell the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.factor_means import FactorMeans, QuasiRandom
from finitewidth.theory.training.ddntk import has_kink
from finitewidth.theory.training.first_order import (
    NAMES,
    Corrections,
    FirstOrder,
    different,
)
from finitewidth.theory.training.moments import Moment

#: Sets of points; inputs that quadrature takes.
_SETS, _MOST_GRID = 8, 3
#: Quadrature at three inputs takes longer than points do: it is for so many test inputs at most.
_MOST_GRIDS = 12
#: Sets of inputs that are remembered.
_REMEMBERED = 256


@dataclass(frozen=True)
class Known:
    """At one moment: the corrections, and standard errors of each by its name, 0 of quadrature."""

    value: Corrections
    error: dict[str, np.ndarray]


def corrections(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    y: np.ndarray,
    moments: Sequence[Moment],
    *,
    centred: bool = False,
    tests: int = 1,
) -> list[Known]:
    """At each moment of training, which rise.

    Parameters
    ----------
    mlp, rates, x, y, centred
        As for :class:`finitewidth.theory.training.first_order.FirstOrder`.
    tests : int
        At how many test inputs this is asked for.

    Raises
    ------
    ValueError
        As :class:`finitewidth.theory.training.first_order.FirstOrder`.
    """
    share, hidden = 1.0, set(mlp.widths[1:-1])
    if len(hidden) == 1:
        # Of equal widths all is proportional to 1/n: one width stands for all of a sweep.
        share = 1 / hidden.pop()
        mlp = replace(mlp, widths=(mlp.widths[0], *(1,) * (mlp.depth - 1), mlp.widths[-1]))
    sets = _prepared(mlp, rates, _plain(x), _plain(y), centred, tests)
    each = [one.at(moments, share) for one in sets]
    return [_of(list(of_moment)) for of_moment in zip(*each, strict=True)]


def _plain(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


@lru_cache(maxsize=_REMEMBERED)
def _prepared(
    mlp: Perceptron, rates: LearningRates, x: tuple, y: tuple, centred: bool, tests: int
) -> list[FirstOrder]:
    """One, by quadrature, or several sets of points."""

    def by(means: FactorMeans | None) -> FirstOrder:
        return FirstOrder(mlp, rates, np.array(x), np.array(y), centred=centred, means=means)

    kink, count = has_kink(mlp), len(different(np.array(x))[0])
    if count < _MOST_GRID or (count == _MOST_GRID and tests <= _MOST_GRIDS) or kink:
        found = by(None)
        if kink or found.is_known:
            return [found]
    return [by(_points(count, k)) for k in range(_SETS)]


@lru_cache(maxsize=2 * _SETS)
def _points(inputs: int, scramble: int) -> QuasiRandom:
    return QuasiRandom(inputs, scramble)


def _of(sets: list[Corrections]) -> Known:
    values = {name: np.stack([getattr(one, name) for one in sets]) for name in NAMES}
    sizes = {name: np.mean([one.sizes[name] for one in sets], axis=0) for name in NAMES}
    error = {
        name: np.std(each, axis=0, ddof=1) / len(sets) ** 0.5 if len(sets) > 1 else 0 * each[0]
        for name, each in values.items()
    }
    means = {name: np.asarray(each.mean(axis=0)) for name, each in values.items()}
    return Known(Corrections(**means, sizes=sizes), error)
