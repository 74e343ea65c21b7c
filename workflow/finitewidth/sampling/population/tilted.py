"""Members from the tilted law itself, where it is known: two slopes, no bias, one input.

There Ghat of a layer is Ghat of the one before times X = (C_W/n) sum_j sigma(g_j)^2, independent of
it (Hanin and Nica 2018). With m of the n normals positive and slopes a and b, the sum is
a^2 2 A + b^2 2 B with gamma variables A and B of shapes m/2 and (n - m)/2. Weighing a law by X^k
moves the shape of a gamma variable by k where there is one, and makes a mixture where there are
two. Members are independent, at a price that does not depend on the width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.population.growth import Members

Array = np.ndarray

#: log Gamma of the numbers of an array; SciPy's would be a long import for a few of them.
_log_gamma = np.vectorize(math.lgamma, otypes=[float])


def is_known(mlp: Perceptron, inputs: int, power: float) -> bool:
    """Whether the law weighed by Ghat^power can be drawn from, and has a finite total weight."""
    if inputs != 1 or not mlp.is_scale_invariant or mlp.weights != "normal" or not power:
        return False
    plus, minus = (slope**2 for slope in mlp.activation.slope_pair)
    if not all(mlp.C_W) or plus == minus == 0:
        return False
    if 0 in (plus, minus):
        # A layer may be dead, so that no negative power is finite.
        return power > 0
    if plus == minus:
        return all(n / 2 + power > 0 for n in mlp.widths[1:-1])
    return power > 0 and power == int(power)


def draw_tilted(
    mlp: Perceptron,
    x: Array,
    members: int,
    power: float,
    generator: np.random.Generator,
    last: int,
    keep: Callable[[int, Members], None],
) -> None:
    """As :func:`finitewidth.sampling.population.growth.grow`, where :func:`is_known`.

    Each member's weight is E[Ghat^k]/Ghat^k, so that Ghat^k is known and not measured.
    """
    first = np.log(mlp.C_W[0] / mlp.widths[0] * np.sum(x**2))
    log_kernel, log_weight = np.full(members, first), np.zeros(members)
    gains: dict[int, _Gain] = {}
    for layer in range(1, last + 1):
        half = 0.5 * log_kernel[:, None]
        keep(layer, Members(np.ones((members, 1, 1)), half, log_weight, np.arange(members)))
        if layer == last:
            return
        n = mlp.widths[layer]
        if n not in gains:
            gains[n] = _Gain(mlp.activation.slope_pair, n, power)
        scale = np.log(mlp.C_W[layer] / n)
        gain = gains[n].draw(members, generator)
        log_kernel = log_kernel + scale + gain
        log_weight = log_weight + gains[n].log_total - power * gain


class _Gain:
    """The sum of sigma(g_j)^2 over n neurons, weighed by its power ``k``.

    Attributes
    ----------
    log_total : float
        log E[sum^k] of the law that is not weighed.
    """

    def __init__(self, slopes: tuple[float, float], n: int, k: float):
        plus, minus = (slope**2 for slope in slopes)
        count = np.arange(n + 1)
        if plus == minus:
            shape = np.array([n / 2])
            logs = k * np.log(2 * plus) + _moved(shape, k)
            parts = [(logs, shape + k, np.zeros(1))]
        elif 0 in (plus, minus):
            shape, share = count[1:] / 2, _binomial(n)[1:]
            logs = share + k * np.log(2 * max(plus, minus)) + _moved(shape, k)
            parts = [(logs, shape + k, np.zeros(n))]
        else:
            parts = []
            for j in range(int(k) + 1):
                # The term of (2 plus A)^j (2 minus B)^(k - j); shape 0 is the variable 0.
                logs = _binomial(n) + _binomial(int(k))[j] + k * np.log(4)
                logs = logs + j * np.log(plus) + (k - j) * np.log(minus)
                logs = logs + _moved(count / 2, j) + _moved((n - count) / 2, k - j)
                parts.append((logs, count / 2 + j, (n - count) / 2 + k - j))
        logs, self._one, self._other = (np.concatenate(part) for part in zip(*parts, strict=True))
        highest = np.max(logs)
        self.log_total = float(highest + np.log(np.sum(np.exp(logs - highest))))
        self._edges = np.cumsum(np.exp(logs - self.log_total))
        both = (plus, minus) if minus else (plus, plus)
        self._slopes = both if plus else (minus, minus)

    def draw(self, members: int, generator: np.random.Generator) -> Array:
        """The logarithm of the sum, shape (member,)."""
        which = np.zeros(members, int)
        if len(self._edges) > 1:
            at = generator.random(members) * self._edges[-1]
            which = np.searchsorted(self._edges, at, side="right")
            which = np.minimum(which, len(self._edges) - 1)
        plus, minus = self._slopes
        total = plus * generator.standard_gamma(self._one[which])
        if self._other.any():
            total = total + minus * generator.standard_gamma(self._other[which])
        return np.log(2 * total)


def _binomial(n: int) -> Array:
    """Logarithms of the probabilities of 0 to n heads among n."""
    k = np.arange(n + 1)
    return _log_gamma(n + 1) - _log_gamma(k + 1) - _log_gamma(n - k + 1) - n * np.log(2)


def _moved(shape: Array, k: float) -> Array:
    """log E[A^k] of gamma variables of these shapes; of shape 0, which is 0, that of 0^k."""
    some = np.where(shape > 0, shape, 1 + abs(k))
    moved = _log_gamma(some + k) - _log_gamma(some)
    return np.where(shape > 0, moved, 0.0 if k == 0 else -np.inf)
