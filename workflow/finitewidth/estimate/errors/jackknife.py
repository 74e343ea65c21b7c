"""Standard errors by a delete-a-block jackknife over networks.

Networks are independent, everything inside one of them is not: neurons share their weights, layers
their inputs. So the ensemble is cut into contiguous blocks of networks, and the spread of an
estimate when one block after the other is left out is its error. That needs no knowledge of the
estimator but sums over the networks of each block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import least_error
from finitewidth.estimate.errors.trust import doubts

Array = np.ndarray
Sums = Mapping[str, Array]

#: Blocks of networks, or each network by itself where there are fewer. Errors then have an error
#: of 3 % themselves, and a long tail shows in the pseudo-values.
BLOCKS = 500
#: Fewest networks that an error is taken from.
LEAST_NETWORKS = 50
#: Reasons that leave no error bar.
_NO_ERROR = (Reason.NO_SPREAD, Reason.SINGULAR, Reason.KNOWN)
#: Networks whose features stand in memory together.
_CHUNK = 4096


@dataclass(frozen=True)
class Estimate:
    """Numbers with their standard errors.

    Attributes
    ----------
    value, stderr : array
    reason : array of int8
        Why the standard error is not believed, of :class:`finitewidth.core.reasons.Reason`.
    diagnostic : array
        The number that the reason was read off; NaN where there is none. All of one shape.
    """

    value: Array
    stderr: Array
    reason: Array
    diagnostic: Array

    @property
    def trusted(self) -> Array:
        """Whether the standard error can be believed."""
        return self.reason == Reason.NONE

    @classmethod
    def unknown(
        cls, shape: tuple[int, ...], reason: Reason, diagnostic: Array | float = np.nan
    ) -> Estimate:
        """NaN for a reason: for what cannot be estimated."""
        nothing = np.full(shape, np.nan)
        why = np.full(shape, reason, np.int8)
        return cls(nothing, nothing.copy(), why, np.full(shape, diagnostic, float))

    def take(self, index: int | slice | Array | tuple | None) -> Estimate:
        """The same selection of values, errors and reasons."""
        return Estimate(*(getattr(self, field.name)[index] for field in fields(self)))

    def times(self, factor: Array) -> Estimate:
        """In other units: multiplied by a positive factor; NaN where that is not finite."""
        with np.errstate(all="ignore"):
            value, stderr = self.value * factor, self.stderr * factor
        found = replace(self, value=value, stderr=stderr)
        lost = ~np.isfinite(value) | (np.isfinite(self.stderr) & ~np.isfinite(stderr))
        return found.doubted(lost, Reason.NOT_FINITE)

    def doubted(self, where: Array, reason: Reason, diagnostic: Array | float = np.nan) -> Estimate:
        """The same with a more particular reason ``where`` (same shape) there is one.

        Where nothing varies, and where a matrix is singular, there is no standard error: NaN.
        """
        why = np.where(where, np.int8(reason), self.reason)
        stderr = np.where(np.isin(why, _NO_ERROR), np.nan, self.stderr)
        number = np.where(where, diagnostic, self.diagnostic)
        return replace(self, stderr=stderr, reason=why, diagnostic=number)


def stack(estimates: Sequence[Estimate], axis: int = 0) -> Estimate:
    """Join estimates of one shape along a new axis."""
    parts = ([getattr(e, field.name) for e in estimates] for field in fields(Estimate))
    return Estimate(*(np.stack(part, axis) for part in parts))


def block_bounds(networks: int, blocks: int = BLOCKS) -> Array:
    """Cut ``networks`` into contiguous blocks whose sizes differ by one at most.

    Parameters
    ----------
    networks : int
    blocks : int
        How many; never more than there are networks.

    Returns
    -------
    array of int, shape (block + 1,)
        Block b holds the networks from bounds[b] to bounds[b + 1] - 1. Bounds follow from the two
        numbers alone, hence results do not depend on how the networks were divided into files.

    Raises
    ------
    ValueError
        With fewer than 3 blocks, or with too few networks: 50 are needed, or ``blocks`` of them if
        that is less.
    """
    if blocks < 3:
        raise ValueError(f"a jackknife needs at least 3 blocks, not {blocks}")
    least = min(blocks, LEAST_NETWORKS)
    if networks < least:
        raise ValueError(f"standard errors need at least {least} networks, not {networks}")
    blocks = min(blocks, networks)
    return np.arange(blocks + 1) * networks // blocks


def block_sums(features: Callable[[slice], Sums], bounds: Array) -> dict[str, Array]:
    """Sum features of networks over each block.

    Parameters
    ----------
    features : callable
        Given a slice of networks, the named features of each, arrays of shape (network, feature).
        Called for a few blocks at a time, to bound memory.
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    dict of arrays, shape (block, feature)
    """
    together = max(1, _CHUNK * (len(bounds) - 1) // int(bounds[-1]))
    sums: dict[str, list[Array]] = {}
    with np.errstate(all="ignore"):
        for first in range(0, len(bounds) - 1, together):
            edges = bounds[first : first + together + 1]
            starts = edges[:-1] - edges[0]
            for name, values in features(slice(edges[0], edges[-1])).items():
                sums.setdefault(name, []).append(np.add.reduceat(values, starts, dtype=float))
    return {name: np.concatenate(values) for name, values in sums.items()}


def jackknife(
    sums: Sums,
    bounds: Array,
    estimator: Callable[[Sums, Array], Array],
    *,
    correct_bias: bool = False,
    events: bool = False,
    rounding: Array | float = 0.0,
) -> Estimate:
    """Estimate with standard error, from sums over the networks of each block.

    Parameters
    ----------
    sums : mapping of arrays, shape (block, feature)
    bounds : array of int, shape (block + 1,)
    estimator : callable
        ``estimator(totals, networks)``: the estimate, shape (..., number), from sums of shape
        (..., feature) over as many networks, shape (..., 1); a smooth function of the sums.
    correct_bias : bool
        Whether to subtract the jackknife's estimate of the bias: for ratios, not for estimators
        that are unbiased already.
    events : bool
        Whether events are counted (:func:`finitewidth.estimate.errors.trust.doubts`).
    rounding : array, shape (number,), or float
        How far the rounding of one network's numbers may move the estimate, of which a smaller
        error is not told apart (:func:`finitewidth.core.rounding.least_error`).

    Returns
    -------
    Estimate, shape (number,)
    """
    counts = np.diff(bounds)[:, None].astype(float)
    with np.errstate(all="ignore"):
        totals = {name: np.sum(values, axis=0) for name, values in sums.items()}
        count = np.sum(counts, axis=0)
        value = estimator(totals, count)
        rest = {name: totals[name] - sums[name] for name in sums}
        without = estimator(rest, count - counts)
    return from_replicates(
        value, without, bounds, correct_bias=correct_bias, events=events, rounding=rounding
    )


def from_replicates(
    value: Array,
    without: Array,
    bounds: Array,
    *,
    correct_bias: bool = False,
    events: bool = False,
    rounding: Array | float = 0.0,
) -> Estimate:
    """Estimate with standard error, from the estimates that leave one block out.

    With blocks of sizes m_b, N networks and h_b = N/m_b, pseudo-values are
    h_b theta - (h_b - 1) theta_(b), and their mean with weights 1/h_b is the estimate freed of
    bias of order 1/N (Busing, Meijer and van der Leeden 1999, Statistics and Computing 9, 3).

    Parameters
    ----------
    value : array, shape (...)
        The estimate from all networks.
    without : array, shape (block, ...)
        The estimate from all networks but those of a block.
    bounds : array of int, shape (block + 1,)
    correct_bias, events, rounding
        As for :func:`jackknife`.

    Returns
    -------
    Estimate
        With a NaN for an error, and the reason ``no_spread``, where it is no more than rounding.
    """
    sizes = np.diff(bounds)
    h = (bounds[-1] / sizes).reshape(-1, *(1,) * np.ndim(value))
    with np.errstate(all="ignore"):
        # Relative to the value, lest a large number that hardly varies lose its digits.
        pseudo = (h - 1) * (value - without)
        mean = np.sum(pseudo / h, axis=0)
        residuals = (pseudo - mean) / np.sqrt(h - 1)
        stderr = np.sqrt(np.mean(residuals**2, axis=0))
        estimate = value + mean if correct_bias else value
        # A spread at the level of rounding is none: of what was summed, and of the sums.
        floor = np.maximum(1e-13 * np.abs(estimate), least_error(rounding, bounds[-1]))
        spread = stderr > floor
    found = Estimate(np.asarray(estimate, float), stderr, *doubts(residuals, events=events))
    found = found.doubted(~spread, Reason.NO_SPREAD)
    return found.doubted(~(np.isfinite(estimate) & np.isfinite(stderr)), Reason.NOT_FINITE)
