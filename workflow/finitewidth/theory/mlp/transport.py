"""Numerically exact finite-width moments for any activation on one input: its law, transported.

On one input and with normal weights the conditional variance is a Markov chain,

    Ghat' = C_b + C_W (1/n) sum_j sigma(z_j)^2,   z_j independent N(0, Ghat),

from Ghat^(1) = C_b + C_W |x|^2/n_0 (PDLT section 4.1). Its law is carried from layer to layer as
weights on nodes in log Ghat that integrate functions of it: Gauss rules say where one step leads
from a node (:mod:`finitewidth.theory.mlp.square_means`), local polynomials bring the weights back
to nodes. Everything is done at two resolutions, whose difference is the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import check_layers, variances
from finitewidth.theory.mlp.square_means import MeanRules, Resolution

_FINE, _COARSE = Resolution(24, 14, 13), Resolution(17, 10, 11)
# Width in log g of a panel of nodes. Functions of log g have their singularities at a distance of
# pi from the real axis, so that 13 nodes are enough for 1e-13.
_PANEL = 1.0
# More of them are not taken in: log g is spread over hundreds, and moments leave a float's range.
_PANELS = 300
# Share of the probability, of E[Ghat^4] and of E[1/Ghat], below which a target is dropped.
_DROP = 1e-15
# log(Ghat/K) below which nodes are moved up to it: only a layer that is dead is so small.
_FLOOR = -70.0
# Errors above this share of the number's natural size make it NaN.
_RELIABLE = 1e-3


class Moments(NamedTuple):
    """Of Ghat on one input; all of one shape."""

    mean: np.ndarray  #: E[Ghat]
    shift: np.ndarray  #: E[Ghat] - K, K the infinite-width kernel
    variance: np.ndarray  #: Var Ghat
    third: np.ndarray  #: third cumulant
    fourth: np.ndarray  #: E[Ghat^4]
    inverse_mean: np.ndarray  #: E[1/Ghat]
    log_mean: np.ndarray  #: E[log Ghat]
    log_variance: np.ndarray  #: Var log Ghat


class Transported(NamedTuple):
    """What was found, of shape (len(layers), N) or (len(mlps), len(layers), N) throughout."""

    values: Moments  #: NaN where the error is not small against the number
    errors: Moments  #: estimates of the absolute errors


def transport(mlp: Perceptron, x: np.ndarray, layers: Sequence[int]) -> Transported:
    """Moments of Ghat at the widths of ``mlp``, every input on its own: shapes (len(layers), N).

    Parameters
    ----------
    mlp : Perceptron
        Any activation; weights must be normal.
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Raises
    ------
    ValueError
        If the weights are not normal, a layer does not exist, or x has another shape.
    """
    found = transport_ladder([mlp], x, layers)
    return Transported(*(Moments(*(field[0] for field in part)) for part in found))


def transport_ladder(
    mlps: Sequence[Perceptron], x: np.ndarray, layers: Sequence[int]
) -> Transported:
    """:func:`transport` of several, at little more than the cost of the narrowest.

    Returns
    -------
    Transported
        Shapes (len(mlps), len(layers), N).

    Raises
    ------
    ValueError
        As :func:`transport`, and if the activations differ.
    """
    if len({mlp.activation_name for mlp in mlps}) != 1:
        raise ValueError("the rungs of a ladder share one activation")
    if any(mlp.weights != "normal" for mlp in mlps):
        raise ValueError("the chain of conditional variances needs normal weights")
    kernels = [variances(mlp, x, range(1, max(check_layers(mlp, layers)) + 1)) for mlp in mlps]
    with np.errstate(all="ignore"):
        (fine, lost), (coarse, _) = (
            _all(mlps, kernels, layers, resolution) for resolution in (_FINE, _COARSE)
        )
        size, rounding = _sizes(Moments(*fine))
        # Where convergence is slow the finer resolution is off by more than the difference.
        errors = 2 * np.abs(fine - coarse) + lost + rounding
        values = np.where(errors <= _RELIABLE * size, fine, np.nan)
    return Transported(Moments(*values), Moments(*errors))


def _sizes(found: Moments) -> tuple[np.ndarray, np.ndarray]:
    """What errors are held against, each field in its own units, and what rounding can do to it.

    The shift may be zero or small, and so may the third cumulant and log Ghat: they are held
    against the mean and against standard deviations.
    """
    eps = 16 * np.finfo(float).eps
    mean, variance, log_variance = found.mean, found.variance, found.log_variance
    rounding = [
        eps * mean,
        eps * mean,
        eps * mean * np.sqrt(variance) + (eps * mean) ** 2,
        eps * mean * variance + (eps * mean) ** 3,
        2 * eps * found.fourth,
        eps * found.inverse_mean,
        eps * (1 + np.abs(found.log_mean)),
        eps * np.sqrt(log_variance) + eps**2,
    ]
    size = [
        mean,
        mean,
        variance,
        np.maximum(np.abs(found.third), variance**1.5),
        found.fourth,
        found.inverse_mean,
        np.sqrt(log_variance),
        log_variance,
    ]
    bounds = np.stack(rounding)
    return np.maximum(np.stack(size), bounds / _RELIABLE), bounds


def _all(
    mlps: Sequence[Perceptron],
    kernels: Sequence[np.ndarray],
    layers: Sequence[int],
    resolution: Resolution,
) -> tuple[np.ndarray, np.ndarray]:
    """Moments and bounds of what they lost, both (8, len(laws), len(layers), N)."""
    rules = MeanRules(mlps[0].activation, resolution)
    shape = (8, len(mlps), len(layers), kernels[0].shape[1])
    values, lost = np.full(shape, np.nan), np.full(shape, np.nan)
    for r, (mlp, K) in enumerate(zip(mlps, kernels, strict=True)):
        for a in range(shape[-1]):
            for layer, floor, weight, g in _chain(mlp, K[:, a], rules):
                at = [k for k, wanted in enumerate(layers) if wanted == layer]
                if at:
                    moments = _moments(weight, g, K[layer - 1, a])
                    bounds = _lost(moments, weight, g, K[layer - 1, a], floor)
                    values[:, r, at, a] = moments[:, None]
                    lost[:, r, at, a] = bounds[:, None]
    return values, lost


def _chain(mlp: Perceptron, K: np.ndarray, rules: MeanRules) -> Iterator:
    """For each layer its number, the floor under g, weights (M,) and g (M,): the law of one input.

    ``K`` is the infinite-width kernel of the layers, (depth,). Ends before the last of them where
    the law has become too wide to be followed.
    """
    floor = K[K > 0].min(initial=np.inf) * np.exp(_FLOOR)
    yield 1, floor, np.ones(1), K[:1]
    nodes, p = _Nodes(rules, floor), None
    for layer in range(2, len(K) + 1):
        n, C_b, C_W = mlp.widths[layer - 1], mlp.C_b[layer - 1], mlp.C_W[layer - 1]
        if p is None:
            y, weight = rules.rules(K[layer - 2 : layer - 1], n)
            g, weight = C_b + C_W * y[0], weight[0]
        else:
            g, weight = nodes.step(p, n, C_b, C_W)
        yield layer, floor, weight, g
        if layer == len(K) or not np.isfinite(K[layer - 1]):
            return
        # Where K is 0 every network is zero, and the law begins anew with the next bias.
        p = nodes.take(g, weight) if K[layer - 1] > 0 else None
        if nodes.too_many:
            return


def _moments(weight: np.ndarray, g: np.ndarray, K: float) -> np.ndarray:
    """The fields of :class:`Moments`, (8,), of a law on g, (M,), with weights (M,).

    All in deviations from K, so that a narrow law loses no digits.
    """
    scale = K if K > 0 else 1.0
    off, log = (g - K) / scale, np.log(g / scale)
    shift, log_mean = weight @ off, weight @ log
    rest, relative = off - shift, (g / scale) ** 2
    square = rest * rest
    return np.array(
        [
            K + scale * shift,
            scale * shift,
            scale**2 * (weight @ square),
            scale**3 * (weight @ (square * rest)),
            scale**4 * (weight @ (relative * relative)),
            weight @ (1 / g),
            np.log(scale) + log_mean,
            weight @ (log - log_mean) ** 2,
        ]
    )


def _lost(
    moments: np.ndarray, weight: np.ndarray, g: np.ndarray, K: float, floor: float
) -> np.ndarray:
    """How much :func:`_moments` may be off, (8,): bounds for the targets that are dropped or lie
    under the floor."""
    mean, _, variance, _, fourth, inverse, _, log_variance = moments
    dropped = abs(1 - weight.sum())
    # Targets are dropped where hardly any of the law is: within ten standard deviations.
    far, log_far = 10 * np.sqrt(variance), 10 * np.sqrt(log_variance)
    low = g <= floor
    w, log = np.abs(weight[low]), np.log(g[low] / K)
    return np.array(
        [
            dropped * mean,
            dropped * far,
            dropped * far**2,
            dropped * far**3,
            dropped * fourth,
            dropped * inverse + w @ (1 / g[low]),
            dropped * log_far + w @ np.abs(log),
            dropped * log_far**2 + w @ log**2,
        ]
    )


class _Nodes:
    """Panels of nodes in log g, taken in as a law reaches them, and one step from each node."""

    def __init__(self, rules: MeanRules, floor: float):
        q = rules.resolution.panel
        angle = (np.arange(q) + 0.5) * np.pi / q
        self._rules, self._floor = rules, floor
        self._unit = -np.cos(angle)
        self._barycentric = (-1.0) ** np.arange(q) * np.sin(angle)
        self._panels = np.zeros(0, dtype=int)
        self._last: tuple = ()
        self._g = np.zeros(0)

    @property
    def too_many(self) -> bool:
        """Whether the law is spread too far to be followed in reasonable time."""
        return len(self._panels) > _PANELS

    def step(self, p: np.ndarray, n: int, C_b: float, C_W: float) -> tuple[np.ndarray, np.ndarray]:
        """Where a law with weights p, (Q,), on the nodes is one layer on: g and weights, (M,)."""
        now = n, C_b, C_W, len(self._panels)
        if now != self._last:
            logs = _PANEL * (self._panels[:, None] + (1 + self._unit) / 2)
            y, self._share = self._rules.rules(np.exp(logs.ravel()), n)
            self._last, self._g = now, C_b + C_W * y.ravel()
            self._places = self._place(self._g)
        return self._g, (p[:, None] * self._share).ravel()

    def take(self, g: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weights on the nodes, (Q,), that stand for a law on g, (M,), with weights (M,)."""
        panel, coefficients = self._places if g is self._g else self._place(g)
        size, relative = np.abs(weight), np.maximum(g, self._floor) / (np.abs(weight) @ g)
        kept = np.zeros(len(g), dtype=bool)
        for share in (size, size * (relative * relative) ** 2, size / relative):
            kept |= share > _DROP * share.sum()
        self._panels = np.union1d(self._panels, panel[kept])
        place = np.searchsorted(self._panels, panel).clip(max=len(self._panels) - 1)
        weight = np.where(self._panels[place] == panel, weight, 0.0)
        q = len(self._unit)
        return np.bincount(
            (place[:, None] * q + np.arange(q)).ravel(),
            (weight[:, None] * coefficients).ravel(),
            len(self._panels) * q,
        )

    def _place(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The panel of each g, (M,), and the values there of its Lagrange polynomials, (M, q)."""
        logs = np.log(np.maximum(g, self._floor)) / _PANEL
        panel = np.floor(logs).astype(int)
        gap = (2 * (logs - panel) - 1)[:, None] - self._unit
        # At a node all others drop out.
        value = self._barycentric / np.where(gap == 0, 1e-300, gap)
        return panel, value / value.sum(axis=1, keepdims=True)
