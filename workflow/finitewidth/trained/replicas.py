"""Means over replicas and over their pairs, with standard errors.

Replicas are independent, their pairs are not: a mean over pairs gets its error by leaving out one
replica after another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

#: Fewest replicas that an error is taken from.
LEAST = 3


@dataclass(frozen=True)
class Summary:
    """Mean, its standard error, and the standard deviation from one replica or pair to another.

    All of one shape; the error is NaN, and not trusted, of fewer than three replicas.
    """

    mean: Array
    stderr: Array
    spread: Array
    trusted: bool

    def variables(self, name: str, dims: tuple[str, ...], **attributes: str) -> dict:
        """The variables ``<name>``, ``_stderr``, ``_spread`` and ``_trusted`` of a dataset."""
        trusted = self.trusted & np.isfinite(self.mean) & (self.stderr > 0)
        attributes = {"units": "1", **attributes}
        long_name = attributes["long_name"]

        def about(what: str) -> dict:
            return attributes | {"long_name": f"{what} of {long_name}"}

        return {
            name: (dims, self.mean, attributes),
            f"{name}_stderr": (dims, self.stderr, about("standard error over replicas")),
            f"{name}_spread": (dims, self.spread, about("standard deviation over replicas")),
            f"{name}_trusted": (dims, trusted.astype(np.int8), about("trust in the error")),
        }


def over_replicas(values: Array) -> Summary:
    """Summary of values (replica, ...), one a replica."""
    values = np.asarray(values, dtype=float)
    count = len(values)
    spread = np.std(values, axis=0, ddof=1) if count > 1 else np.full(values.shape[1:], np.nan)
    stderr = spread / np.sqrt(count) if count >= LEAST else np.full(values.shape[1:], np.nan)
    return Summary(values.mean(0), stderr, spread, count >= LEAST)


def over_pairs(values: Array, pairs: list[tuple[int, int]]) -> Summary:
    """Summary of values (pair, ...), one for each of ``pairs`` of different replicas.

    The error is the jackknife's over replicas; of two of them there is one pair, and no error.
    """
    values = np.asarray(values, dtype=float)
    replicas = 1 + max((max(pair) for pair in pairs), default=0)
    if not pairs:
        nothing = np.full(values.shape[1:], np.nan)
        return Summary(nothing, nothing, nothing, False)
    mean = values.mean(0)
    several = len(pairs) > 1
    spread = np.std(values, axis=0, ddof=1) if several else np.full(mean.shape, np.nan)
    if replicas < LEAST:
        return Summary(mean, np.full(mean.shape, np.nan), spread, False)
    holds = np.array([[r in pair for pair in pairs] for r in range(replicas)])
    without = np.stack([values[~mine].mean(0) for mine in holds])
    residuals = without - without.mean(0)
    stderr = np.sqrt((replicas - 1) / replicas * (residuals**2).sum(0))
    return Summary(mean, stderr, spread, True)
