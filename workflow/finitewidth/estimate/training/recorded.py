"""What was recorded of an ensemble in training, as its estimators see it."""

from __future__ import annotations

from collections.abc import Callable
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
    training : array of bool, shape (input,)
        Which inputs networks are trained on.
    step_error : float
        What steps of gradient flow are off by, relative to predictions.
    """

    samples: Samples
    bounds: Array
    pairs: Array
    targets: Array
    training: Array
    step_error: float = 0.0

    def values(self, name: str) -> Array:
        """A variable, shape (network, sign, moment, ...)."""
        return self.samples.values(name)

    @cached_property
    def start(self) -> Array:
        """Root mean square of what predictions of the start would be if they were not centred,
        shape (output, input): what is subtracted from such numbers is known no better."""
        return root_mean_square(self.samples.values("start"), 1)

    def mean(
        self, values: Array, known: Array | float = 0.0, control: Array | None = None
    ) -> Estimate:
        """Mean over starts and signs of ``values`` (network, sign, ...), in the shape that is left.

        Errors are those of means over both signs: what is odd in the start cancels in them.
        ``known`` are sizes, of a shape that broadcasts to what is left, of the numbers that the
        values are differences of: these are rounded, and not the differences. ``control``
        (network, ...) is of mean 0 and goes with the values.
        """
        both = values.mean(axis=1)
        size = np.maximum(root_mean_square(values), known).ravel()
        return self._controlled(both, control, {}, lambda s, count: 0.0, self.rounding * size)

    def _controlled(
        self,
        values: Array,
        control: Array | None,
        more: Sums,
        less: Callable[[Sums, Array], Array | float],
        rounding: Array,
    ) -> Estimate:
        """Mean of ``values`` (network, ...), and ``less`` taken off, of sums of ``more``.

        The control counts as much as leaves the least variance (of values regressed on it), which
        is next to 1 in wide networks. The bias that this adds, of order 1/networks, is taken off.
        """
        shape = values.shape[1:]
        every = {"x": values, **more}
        if control is not None:
            every |= {"k": control, "kk": control**2, "xk": values * control}
        flat = {name: each.reshape(len(each), -1) for name, each in every.items()}

        def estimator(s: Sums, count: Array) -> Array:
            mean = s["x"] / count - less(s, count)
            if control is None:
                return mean
            spread = s["kk"] - s["k"] ** 2 / count
            slope = (s["xk"] - s["x"] * s["k"] / count) / spread
            return mean - np.where(spread > 0, slope, 0.0) * s["k"] / count

        sums = block_sums(lambda at: {name: each[at] for name, each in flat.items()}, self.bounds)
        found = jackknife(
            sums, self.bounds, estimator, correct_bias=control is not None, rounding=rounding
        )
        return found.take(np.arange(flat["x"].shape[1]).reshape(shape))

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

    def control(self, a: Array, b: Array, mean: str) -> Array:
        """A control of products of predictions at inputs a and b, of mean 0 whatever the width:
        what infinite width makes of the start less the mean of that given all layers but the last.

        ``mean`` is the variable that holds that mean. Shape (network, moment, output, len(a)).
        """
        z = self.samples.values("wide_prediction")
        return z[..., a] * z[..., b] - self.samples.values(mean)[:, :, None]

    @staticmethod
    def left(values: Array, control: Array) -> Array:
        """What a control leaves of the standard deviation of values (network, ...), a share."""
        x, k = (v - v.mean(axis=0) for v in (values, control))
        with np.errstate(all="ignore"):
            along = np.sum(x * k, axis=0) ** 2 / (np.sum(x**2, axis=0) * np.sum(k**2, axis=0))
        return np.sqrt(np.clip(1 - np.nan_to_num(along), 0, 1))

    def covariance(
        self, first: Array, second: Array, known: tuple[Array, Array], control: Array
    ) -> Estimate:
        """Cov of two variables (network, sign, ...) of one shape, in the shape that is left.

        Without bias: a product of means is that of different starts. ``known`` are sizes as for
        :meth:`mean`, ``control`` (network, ...) is of mean 0 and goes with products of the two.
        """
        shape = first.shape[2:]
        x, y = (self._centred(values) for values in (first, second))
        u, v = x.mean(axis=1), y.mean(axis=1)
        sizes = [root_mean_square(values) for values in (x, y)]
        # A number of size m is known to m times the rounding, however little it varies.
        m = [
            np.maximum(root_mean_square(v), k).ravel()
            for v, k in zip((first, second), known, strict=True)
        ]
        found = self._controlled(
            (x * y).mean(axis=1),
            control.reshape(len(control), -1),
            {"u": u, "v": v, "uv": u * v},
            lambda s, count: of_two(s["u"], s["v"], s["uv"], count),
            of_products(self.rounding, sizes[0] * m[1], sizes[1] * m[0]),
        )
        return found.take(np.arange(x.shape[2]).reshape(shape))

    @property
    def rounding(self) -> float:
        """What numbers are known to, relative to their size: by their precision, or by the steps
        that gradient flow is computed in."""
        return max(self.samples.rounding, self.step_error)

    @staticmethod
    def _centred(values: Array) -> Array:
        """(network, sign, number) less the mean: a small spread of large numbers keeps its
        digits."""
        flat = values.reshape(*values.shape[:2], -1)
        return flat - flat.mean(axis=(0, 1))
