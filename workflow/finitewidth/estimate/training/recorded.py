"""What was recorded of an ensemble in training, as its estimators see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.rounding import of_products
from finitewidth.estimate.errors.jackknife import Estimate, Sums, block_sums, jackknife
from finitewidth.estimate.preactivations.moments import of_two
from finitewidth.estimate.samples import Samples

Array = np.ndarray


def root_mean_square(values: Array, axes: int = 2) -> Array:
    """Over starts and signs, the first ``axes`` axes."""
    return np.sqrt(np.mean(np.square(values), axis=tuple(range(axes))))


@dataclass(frozen=True)
class Recorded:
    """Starts, each trained as it was drawn and mirrored: the mean of both is one independent value.

    Attributes
    ----------
    samples : Samples
    bounds : array of int, shape (block + 1,)
        Blocks of starts of the jackknife.
    pairs : array of int, shape (pair, 2)
        Inputs between which tangent kernels were recorded.
    targets : array, shape (output, input)
        NaN where there is none.
    """

    samples: Samples
    bounds: Array
    pairs: Array
    targets: Array

    def values(self, name: str) -> Array:
        """A variable, shape (network, sign, moment, ...)."""
        return self.samples.values(name)

    @cached_property
    def start(self) -> Array:
        """Root mean square of what predictions of the start would be if they were not centred,
        shape (output, input): what is subtracted from such numbers is known no better."""
        return root_mean_square(self.samples.values("start"), 1)

    def mean(self, values: Array, known: Array | float = 0.0) -> Estimate:
        """Mean over starts and signs of ``values`` (network, sign, ...), in the shape that is left.

        Errors are those of means over both signs: what is odd in the start cancels in them.
        ``known`` are sizes, of a shape that broadcasts to what is left, of the numbers that the
        values are differences of: these are rounded, and not the differences.
        """
        both = values.mean(axis=1)
        shape = both.shape[1:]
        flat = both.reshape(len(both), -1)
        sums = block_sums(lambda at: {"x": flat[at]}, self.bounds)
        size = np.maximum(root_mean_square(values), known).ravel()
        found = jackknife(
            sums, self.bounds, lambda s, count: s["x"] / count, rounding=self.rounding * size
        )
        return found.take(np.arange(flat.shape[1]).reshape(shape))

    def square_of_mean(self, values: Array, known: Array) -> Estimate:
        """E[x]^2 without bias: the mean of products of different starts, in the shape left."""
        shape, both = values.shape[2:], values.mean(axis=1)
        flat = both.reshape(len(both), -1)

        def estimator(s: Sums, count: Array) -> Array:
            return of_two(s["u"], s["u"], s["uu"], count)

        sums = block_sums(lambda at: {"u": flat[at], "uu": flat[at] ** 2}, self.bounds)
        size = root_mean_square(values)
        size = (size * np.maximum(size, known)).ravel()
        found = jackknife(sums, self.bounds, estimator, rounding=self.rounding * size)
        return found.take(np.arange(flat.shape[1]).reshape(shape))

    def covariance(self, first: Array, second: Array, known: tuple[Array, Array]) -> Estimate:
        """Cov of two variables (network, sign, ...) of one shape, in the shape that is left.

        Without bias: a product of means is that of different starts. ``known`` are sizes as for
        :meth:`mean`.
        """
        shape = first.shape[2:]
        x, y = (self._centred(values) for values in (first, second))

        def features(at: slice) -> Sums:
            u, v = x[at].mean(axis=1), y[at].mean(axis=1)
            return {"same": (x[at] * y[at]).mean(axis=1), "u": u, "v": v, "uv": u * v}

        def estimator(s: Sums, count: Array) -> Array:
            return s["same"] / count - of_two(s["u"], s["v"], s["uv"], count)

        sizes = [root_mean_square(values) for values in (x, y)]
        # A number of size m is known to m times the rounding, however little it varies.
        m = [
            np.maximum(root_mean_square(v), k).ravel()
            for v, k in zip((first, second), known, strict=True)
        ]
        rounding = of_products(self.rounding, sizes[0] * m[1], sizes[1] * m[0])
        sums = block_sums(features, self.bounds)
        found = jackknife(sums, self.bounds, estimator, rounding=rounding)
        return found.take(np.arange(x.shape[2]).reshape(shape))

    @property
    def rounding(self) -> float:
        """What numbers are known to, relative to their size."""
        return self.samples.rounding

    @staticmethod
    def _centred(values: Array) -> Array:
        """(network, sign, number) less the mean: a small spread of large numbers keeps its
        digits."""
        flat = values.reshape(*values.shape[:2], -1)
        return flat - flat.mean(axis=(0, 1))
