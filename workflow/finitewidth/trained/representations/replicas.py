"""Means over replicas and over their pairs, with standard errors.

Replicas are independent, their pairs are not: a mean over pairs gets its error by leaving out one
replica after another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.core import reasons
from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING

Array = np.ndarray

#: Fewest replicas that an error is taken from.
LEAST = 3
#: Replicas agree if they differ by at most so many roundings of their number.
_ROUNDINGS = 4
#: Networks are trained and evaluated in single precision.
SINGLE = ROUNDING["float32"]


@dataclass(frozen=True)
class Summary:
    """Mean, its standard error, and the standard deviation from one replica or pair to another.

    All have one shape. The error is NaN and not trusted with fewer than three replicas, and where
    all agree up to rounding. ``replicas`` is how many there are; ``missing`` how many of their
    numbers, or of their pairs', are not finite (-1 where none is: then there is nothing to
    measure).
    """

    mean: Array
    stderr: Array
    spread: Array
    replicas: int
    missing: Array

    @property
    def reason(self) -> Array:
        """Why the error is not to be trusted, of :class:`finitewidth.core.reasons.Reason`."""
        few = np.full(np.shape(self.mean), self.replicas < LEAST)
        none_seen = ~(self.stderr > 0)
        places = [self.missing < 0, self.missing > 0, few, none_seen]
        why = [
            Reason.NOT_MEASURED, Reason.NOT_FINITE, Reason.TOO_FEW_REPLICAS, Reason.NO_SPREAD,
        ]  # fmt: skip
        return np.select(places, why, Reason.NONE)

    @property
    def trusted(self) -> bool | Array:
        """Whether the error is to be trusted."""
        return self.reason == Reason.NONE

    def variables(self, name: str, dims: tuple[str, ...], **attributes: str) -> dict:
        """The variables ``<name>``, ``_stderr``, ``_spread``, ``_trusted``, ``_reason`` and
        ``_diagnostic`` of a dataset."""
        reason = self.reason
        places = [reason == Reason.NOT_FINITE, reason == Reason.TOO_FEW_REPLICAS]
        diagnostic = np.select(places, [self.missing, np.asarray(self.replicas)], np.nan)
        attributes = {"units": "1", **attributes}
        long_name = attributes["long_name"]

        def about(what: str) -> dict:
            return attributes | {"long_name": f"{what} of {long_name}"}

        return {
            name: (dims, self.mean, attributes),
            f"{name}_stderr": (
                dims,
                self.stderr,
                about("standard error over replicas") | {"degrees_of_freedom": self.replicas - 1},
            ),
            f"{name}_spread": (dims, self.spread, about("standard deviation over replicas")),
            **reasons.variables(name, dims, reason, diagnostic, of=long_name),
        }


def over_replicas(values: Array, rounding: Array | float | None = None) -> Summary:
    """Summary of values (replica, ...), one a replica.

    ``rounding`` (...) is what a value is known to: single precision, where it is left out.
    """
    values = np.asarray(values, dtype=float)
    count = len(values)
    spread = np.std(values, axis=0, ddof=1) if count > 1 else np.full(values.shape[1:], np.nan)
    stderr = spread / np.sqrt(count) if count >= LEAST else np.full(values.shape[1:], np.nan)
    stderr = _beyond_rounding(stderr, values, count, rounding)
    return Summary(values.mean(0), stderr, spread, count, _missing(values))


def over_pairs(
    values: Array, pairs: list[tuple[int, int]], rounding: Array | float | None = None
) -> Summary:
    """Summary of values (pair, ...), one for each of ``pairs`` of different replicas.

    The error is the jackknife's over replicas; of two of them there is one pair, and no error.
    ``rounding`` is as for :func:`over_replicas`.
    """
    values = np.asarray(values, dtype=float)
    replicas = 1 + max((max(pair) for pair in pairs), default=0)
    if not pairs:
        nothing = np.full(values.shape[1:], np.nan)
        # There would be something to measure: of two replicas.
        return Summary(nothing, nothing, nothing, min(len(values), 1), np.zeros(nothing.shape, int))
    mean = values.mean(0)
    several = len(pairs) > 1
    spread = np.std(values, axis=0, ddof=1) if several else np.full(mean.shape, np.nan)
    if replicas < LEAST:
        return Summary(mean, np.full(mean.shape, np.nan), spread, replicas, _missing(values))
    holds = np.array([[r in pair for pair in pairs] for r in range(replicas)])
    without = np.stack([values[~mine].mean(0) for mine in holds])
    residuals = without - without.mean(0)
    stderr = np.sqrt((replicas - 1) / replicas * (residuals**2).sum(0))
    stderr = _beyond_rounding(stderr, values, replicas, rounding)
    return Summary(mean, stderr, spread, replicas, _missing(values))


def _beyond_rounding(
    stderr: Array, values: Array, replicas: int, rounding: Array | float | None
) -> Array:
    """The error where replicas differ by more than rounding, NaN elsewhere."""
    own = SINGLE * np.abs(values).max(axis=0)
    own = own if rounding is None else np.maximum(rounding, ROUNDING["float64"] * own / SINGLE)
    with np.errstate(invalid="ignore"):
        return np.where(stderr * np.sqrt(replicas) > _ROUNDINGS * own, stderr, np.nan)


def _missing(values: Array) -> Array:
    """How many of the values (replica or pair, ...) are not finite; -1 where all are NaN."""
    missing = np.sum(~np.isfinite(values), axis=0)
    return np.where(np.isnan(values).all(axis=0), -1, missing)
