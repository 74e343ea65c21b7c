"""The scalar sampler of tangent kernels on compiled kernels, 16 networks side by side.

What it draws, and why that is enough, says :mod:`finitewidth.sampling.mlp.scalar_ntk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.chances import chi_square, fair_count, normal
from finitewidth.sampling.fused.conversions import counting, float64_lanes, load, store
from finitewidth.sampling.fused.drawing import key_of
from finitewidth.sampling.fused.lanes import LANES, joined, root, select

#: Networks drawn between two calls of ``on_tile``; no number depends on it.
TILE = 2**16
#: What is drawn of a layer, by its number in the counter.
_COUNT, _ONE, _OTHER, _BACK_ONE, _BACK_OTHER, _BETWEEN, _OUTPUT = range(7)


def fill_scalars(
    mlp: Perceptron,
    rates: LearningRates,
    squared_norm: float,
    kernels: dict[str, np.ndarray],
    *,
    seed: int,
    name: Sequence[str],
    first: int,
    networks: int,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Draw networks of two slopes without bias on one input, and put one output's into ``kernels``.

    Parameters
    ----------
    mlp : Perceptron
        As :func:`finitewidth.sampling.mlp.scalar_ntk.check` takes it.
    rates : LearningRates
    squared_norm : float
        |x|^2 of the input.
    kernels : dict of arrays, float64
        ``ntk``, ``output_preactivation`` and ``conditional_kernel``, one number a network.
    seed, name, first, networks, on_tile
        As of :func:`finitewidth.sampling.fused.marginal.fill`.
    """
    plus, minus = mlp.activation.slope_pair
    into = tuple(
        kernels[key].reshape(-1) for key in ("ntk", "output_preactivation", "conditional_kernel")
    )
    about = (
        squared_norm,
        np.array(mlp.widths),
        np.array(mlp.C_W, float),
        np.array(rates.lambda_b, float),
        np.array(rates.lambda_W, float),
        float(plus),
        float(minus),
        *into,
        np.zeros((4, (mlp.depth + 1) * LANES)),
    )
    key = key_of(seed, *name, "scalars")
    for begin in range(first, first + networks, TILE):
        stop = min(begin + TILE, first + networks)
        sample_scalars(key, first, begin, stop, *about)
        on_tile(stop - first, networks)


@joined
def _there(on, one, other, at, width, plus, minus, kernel, networks, key, layer):
    """A layer's counts and sums of squares on either side of the kink."""
    if plus * plus == minus * minus:
        whole = chi_square(float64_lanes(float(width)), networks, key, layer, _ONE)
        store(one, at, kernel * whole * (plus * plus))
        store(other, at, float64_lanes(0.0))
    else:
        count = fair_count(width, networks, key, layer, _COUNT)
        store(on, at, count)
        zero = float64_lanes(0.0)
        store(one, at, zero)
        store(other, at, zero)
        if plus != 0.0:
            whole = chi_square(count, networks, key, layer, _ONE)
            store(one, at, kernel * whole * (plus * plus))
        if minus != 0.0:
            whole = chi_square(float(width) - count, networks, key, layer, _OTHER)
            store(other, at, kernel * whole * (minus * minus))


@joined
def _back(on, one, other, at, width, plus, minus, output, fresh, networks, key, layer):
    """|delta|^2 at a layer, given ``fresh``, the variance of what lies across the activations."""
    up, down = load(one, at), load(other, at)
    whole = up + down
    alive = whole > 0.0
    safe = select(alive, whole, 1.0)
    along = select(alive, output / safe, 0.0)
    if plus * plus == minus * minus:
        rest = chi_square(float64_lanes(width - 1.0), networks, key, layer, _BACK_ONE)
        return select(alive, (along * output + fresh * rest) * (plus * plus), 0.0)
    count = load(on, at)
    if minus == 0.0:
        rest = chi_square(count - 1.0, networks, key, layer, _BACK_ONE)
        return select(alive, (along * output + fresh * rest) * (plus * plus), 0.0)
    if plus == 0.0:
        rest = chi_square(width - count - 1.0, networks, key, layer, _BACK_OTHER)
        return select(alive, (along * output + fresh * rest) * (minus * minus), 0.0)
    # With an empty block there is no direction between them.
    both = select(count > 0.0, select(count < float(width), root(fresh), 0.0), 0.0)
    between = normal(networks, key, layer, _BETWEEN) * both / root(safe)
    root_up, root_down = root(up), root(down)
    left = (along * root_up + between * root_down) * plus
    right = (along * root_down - between * root_up) * minus
    found = left * left + right * right
    rest = chi_square(count - 1.0, networks, key, layer, _BACK_ONE)
    found = found + fresh * rest * (plus * plus)
    rest = chi_square(width - count - 1.0, networks, key, layer, _BACK_OTHER)
    return found + fresh * rest * (minus * minus)


@cached
def sample_scalars(version):
    def sample_scalars(
        key, first, begin, stop, squared_norm, widths, C_W, lambda_b, lambda_W, plus, minus,
        ntk, outputs, kernels, work,
    ):  # fmt: skip
        """Draw the networks ``begin`` to ``stop``; the one numbered ``first`` stands first.

        Parameters
        ----------
        key : array, shape (3,), uint64
        squared_norm : float
        widths, C_W, lambda_b, lambda_W : arrays of a perceptron and its learning rates
        plus, minus : float
            The slopes.
        ntk, outputs, kernels : array of float64, of one dimension
        work : array of float64, shape (4, (L + 1) * LANES)
        """
        _ = version
        on, one, other, last = work[0], work[1], work[2], work[3]
        depth = len(widths) - 1
        for group in range(begin, stop, LANES):
            networks = counting(group)
            kernel = float64_lanes(C_W[0] / widths[0] * squared_norm)
            for layer in range(1, depth):
                at, width = layer * LANES, widths[layer]
                _there(on, one, other, at, width, plus, minus, kernel, networks, key, layer)
                kernel = (load(one, at) + load(other, at)) * (C_W[layer] / width)
            output = root(kernel) * normal(networks, key, depth, _OUTPUT)
            squared = float64_lanes(1.0)
            found = float64_lanes(0.0)
            for layer in range(depth, 0, -1):
                at, width = (layer - 1) * LANES, widths[layer - 1]
                before = float64_lanes(squared_norm)
                if layer > 1:
                    before = load(one, at) + load(other, at)
                rate = lambda_W[layer - 1] / width
                found = found + (before * rate + lambda_b[layer - 1]) * squared
                if layer > 1:
                    fresh = squared * (C_W[layer - 1] / width)
                    squared = _back(
                        on, one, other, at, width, plus, minus, output, fresh, networks, key,
                        layer - 1,
                    )  # fmt: skip
            for values, to in ((found, ntk), (output, outputs), (kernel, kernels)):
                store(last, 0, values)
                for i in range(min(LANES, stop - group)):
                    to[group - first + i] = last[i]

    return sample_scalars
