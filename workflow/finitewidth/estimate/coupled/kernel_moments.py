"""Moments of the conditional kernel over the networks of each rung of a ladder.

Products of expectations are taken over different networks, so that no estimate is biased (see
:mod:`finitewidth.estimate.preactivations.moments`). They do not change when a constant is
subtracted from the kernel, nor does their expectation when controls are, whose own is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.core.reasons import Reason
from finitewidth.estimate.coupled.control_choice import ROUNDING, choose, safe_order
from finitewidth.estimate.coupled.controls import adjusted
from finitewidth.estimate.coupled.driven_layers import Chain, chains, units
from finitewidth.estimate.coupled.ladder import Ladder
from finitewidth.estimate.errors.cumulant_errors import FIRM, KernelLaw, widened
from finitewidth.estimate.errors.jackknife import Estimate, Sums, block_sums, from_replicates
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead, thinness
from finitewidth.estimate.errors.mean_errors import by_law, widened_mean
from finitewidth.estimate.preactivations.moments import of_three, of_two
from finitewidth.estimate.preactivations.pooled import symmetric_places
from finitewidth.estimate.samples import Samples

Array = np.ndarray

#: Neurons are drawn in single precision: the rest that controls leave is known to this share only.
_ROUNDING = 2.0**-24
#: Networks count as equal if their kernels differ by at most so many roundings.
_ROUNDINGS = 4
#: Weight of the look ahead by the log-spread for cumulants without controls. They have a look ahead
#: of their own; this one speaks where kernels are far from gamma variables.
_FAR = 0.1


@dataclass(frozen=True)
class Moments:
    """An estimate of each rung, and how those of two rungs vary together.

    Attributes
    ----------
    estimate : Estimate, shape (rung, layer, ...)
    rungs : array, shape (rung, rung, layer, ...)
        Covariances of the estimates.
    order : array of int, of the estimate's shape
        Of the controls that were subtracted; 0 for none.
    """

    estimate: Estimate
    rungs: Array
    order: Array

    @property
    def estimator(self) -> str:
        """How the variance was reduced, in words."""
        return words(self.order)

    def doubted(self, flat: Array) -> Moments:
        """The same without an error where nothing varies, shape of the estimate."""
        return replace(self, estimate=self.estimate.doubted(flat, Reason.NO_SPREAD))


def kernel_moments(samples: Samples, kernel: Array, bounds: Array) -> dict[str, Moments]:
    """Mean, covariance and third cumulant of the conditional kernel.

    Parameters
    ----------
    samples : Samples
        Controls are taken from here, if there are any.
    kernel : array, shape (network, rung, layer, pair)
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    dict of Moments
        ``kernel_mean``, shape (rung, layer, pair), ``kernel_covariance``, shape (rung, layer, pair,
        pair), and ``kernel_third``, shape (rung, layer, input).
    """
    pair_list = pairs(samples.size("input"))
    same = np.flatnonzero(pair_list[:, 0] == pair_list[:, 1])
    first, second = np.triu_indices(len(pair_list))
    unit = units(kernel, pair_list)
    least = kernel.min(axis=0)
    # Exactly 0 where nothing varies, as in the first layer.
    center = np.where(kernel.max(axis=0) == least, least, kernel.mean(axis=0)) / unit
    parts, orders = [], []
    for rung, chain in enumerate(chains(samples, pair_list)):
        targets = _targets(kernel[:, rung], unit[rung], center[rung], first, second, same)
        targets, most = choices(chain, samples.layers, targets)
        orders.append(most)
        split = np.cumsum([len(pair_list), len(first)])
        parts.append(block_sums(_features(targets, split, first, second, same), bounds))
    sums = joined(parts)

    def mean(s: Sums, count: Array) -> Array:
        return s["x"] / count + center

    def covariance(s: Sums, count: Array) -> Array:
        product = of_two(s["x"][..., first], s["x"][..., second], s["x x"], count)
        return s["xx"] / count - product

    def third(s: Sums, count: Array) -> Array:
        x, two = s["x"][..., same], s["xx"][..., first == second][..., same]
        once = of_two(two, x, s["xx x"], count)
        return s["xxx"] / count - 3 * once + 2 * of_three(x, s["x x same"], s["x x x"], count)

    safe = bearable(samples, orders)
    own = unit[..., same]
    found = {
        "kernel_mean": moments_of(sums, bounds, mean, unit, safe, 1),
        "kernel_covariance": moments_of(
            sums, bounds, covariance, unit[..., first] * unit[..., second], safe, 2
        ),
        "kernel_third": moments_of(sums, bounds, third, own**3, safe, 3),
    }
    flat = is_flat(samples, kernel, unit)
    for name, of in (
        ("kernel_mean", flat),
        ("kernel_covariance", flat[..., first] | flat[..., second]),
        ("kernel_third", flat[..., same]),
    ):
        found[name] = found[name].doubted(of)
    # Controls take most of such a spread away, and the rest is judged by itself.
    thin = np.reshape([thinness(n) for n in samples.widths], (-1, 1, 1))
    factors = {
        "kernel_mean": pair_list,
        "kernel_covariance": np.hstack([pair_list[first], pair_list[second]]),
        "kernel_third": np.tile(np.arange(len(same))[:, None], 6),
    }
    for name, index in factors.items():
        power = index.shape[1] // 2
        plain, estimate, rungs = found[name].order == 0, found[name].estimate, found[name].rungs
        law = KernelLaw.of(kernel[..., same], samples.widths, samples.layers, power).over(index)
        if power > 1:
            estimate, rungs = widened(estimate, rungs, law, power, samples.networks, plain)
        else:
            estimate, rungs = widened_mean(estimate, rungs, law, samples.networks, plain)
        if power > 1 or not by_law(samples.networks):
            ahead = np.max(skewness_ahead(kernel[..., same], power, thin)[..., index], axis=-1)
            weight = np.where(plain, 1.0 if power == 1 else _FAR, 0.0)
            estimate = doubt_unseen(estimate, weight * ahead)
        found[name] = replace(found[name], estimate=estimate, rungs=rungs)
    found["kernel_covariance"] = _square(found["kernel_covariance"], first, second)
    return found


def is_flat(samples: Samples, values: Array, unit: Array) -> Array:
    """Where values (network, ...) vary from network to network by rounding alone, (...)."""
    return np.std(values, axis=0) <= _ROUNDINGS * samples.rounding * unit


def _targets(
    kernel: Array, unit: Array, center: Array, first: Array, second: Array, same: Array
) -> Callable[[slice], Array]:
    """Deviations of the kernel, their products and their cubes, shape (network, layer, target)."""

    def targets(at: slice) -> Array:
        x = kernel[at] / unit - center
        return np.concatenate([x, x[..., first] * x[..., second], x[..., same] ** 3], axis=-1)

    return targets


def _features(
    targets: Callable[[slice], Array], split: Array, first: Array, second: Array, same: Array
) -> Callable[[slice], dict[str, Array]]:
    """What is summed over networks: the targets, and products that U-statistics leave out."""

    def features(at: slice) -> dict[str, Array]:
        x, xx, xxx = np.split(targets(at), split, axis=-1)
        own = x[..., same]
        return {
            "x": x,
            "xx": xx,
            "xxx": xxx,
            "x x": x[..., first] * x[..., second],
            "xx x": xx[..., first == second][..., same] * own,
            "x x same": own**2,
            "x x x": own**3,
        }

    return features


def choices(
    chain: Chain | None, layers: Sequence[int] | Array, targets: Callable
) -> tuple[Callable[[slice], Array], int]:
    """The targets plain and less controls, (network, choice, layer, target), and the last order."""
    found, order = adjusted(chain, layers, targets) if chain else (None, 0)
    return found or (lambda at: targets(at)[:, None]), order


def bearable(samples: Samples, orders: Sequence[int]) -> list[int]:
    """Of each rung the highest order of controls, up to that fitted, that its networks can bear."""
    return [
        safe_order(int(width), samples.networks, order)
        for width, order in zip(samples.widths, orders, strict=True)
    ]


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """Sums of each rung side by side, shape (block, choice, rung, layer, ...); a rung of fewer
    choices has its first, the plain one, again."""
    most = max(values.shape[1] for part in parts for values in part.values())

    def padded(values: Array) -> Array:
        return values[:, [k if k < values.shape[1] else 0 for k in range(most)]]

    return {name: np.stack([padded(part[name]) for part in parts], axis=2) for name in parts[0]}


def moments_of(
    sums: Sums, bounds: Array, estimator: Callable, unit: Array, safe: Sequence[int], power: int
) -> Moments:
    """Jackknife over blocks of networks, the same blocks for every rung.

    ``sums`` are those of :func:`joined`; ``safe`` and ``power`` are for
    :func:`finitewidth.estimate.coupled.control_choice.choose`, which picks one of them for each
    number.
    """
    counts = np.diff(bounds)[:, None, None, None, None].astype(float)
    totals = {name: values.sum(axis=0) for name, values in sums.items()}
    value = estimator(totals, counts.sum(axis=0))
    without = estimator({k: totals[k] - v for k, v in sums.items()}, counts.sum(axis=0) - counts)
    h = bounds[-1] / counts
    pseudo = (h - 1) * (value - without)
    residuals = (pseudo - np.sum(pseudo / h, axis=0)) / np.sqrt(h - 1)
    order = choose(residuals, np.array(safe), power)
    spread = np.sqrt(np.mean(residuals[:, 0] ** 2, axis=0))
    value = np.take_along_axis(value, order[None], 0)[0]
    without, residuals = (
        np.take_along_axis(part, order[None, None], 1)[:, 0] for part in (without, residuals)
    )
    estimate = from_replicates(value, without, bounds)
    rungs = np.einsum("br...,bs...->rs...", residuals, residuals) / len(residuals)
    # Of what varies, controls may leave nothing, not even rounding.
    spanned = (order > 0) & (estimate.reason == Reason.NO_SPREAD)
    floor = np.where(spanned | (estimate.stderr > 0), _ROUNDING * np.abs(value), 0)
    here = np.arange(len(value))
    rungs[here, here] += floor**2
    # What rounding leaves has tails, but none beyond the floor.
    settled = (estimate.stderr < ROUNDING * spread) & ~np.isin(estimate.reason, FIRM)
    stderr = np.where(spanned, floor, np.hypot(estimate.stderr, floor))
    whole = replace(estimate, stderr=stderr).doubted(settled | spanned, Reason.NONE)
    return Moments(whole.times(unit), rungs * unit * unit[:, None], order)


def _square(moments: Moments, first: Array, second: Array) -> Moments:
    """From the distinct entries of a symmetric matrix to all of them."""
    place = symmetric_places(first, second)
    return Moments(
        moments.estimate.take((..., place)), moments.rungs[..., place], moments.order[..., place]
    )


def words(orders: Array) -> str:
    """How the variance was reduced."""
    text = "mean over networks of conditional kernels"
    used = sorted({int(order) for order in orders.flat if order})
    if not used:
        return text
    which = " or ".join(map(str, used))
    return f"{text} less martingale controls of order {which}, cross-fitted"


def of_ladder(ladder: Ladder) -> dict[str, Moments]:
    """The family ``kernel_moments``."""
    return kernel_moments(ladder.samples, ladder.kernel, ladder.bounds)
