"""Gradient descent on compiled kernels: a network's weights stay in cache for all its steps.

What a step does is what :class:`finitewidth.sampling.training.learners.Learners` says. A hidden
matrix is kept twice, as it is (W, for the way back) and transposed (T, for the way there), so that
both ways add whole rows to lanes and nothing is summed over lanes; both change by the same products
in the same order, and stay equal to the bit. A layer of few outputs is kept once, and its products
on the way there are summed over lanes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from finitewidth.models.activations.activation import Activation
from finitewidth.sampling.fused.activations import code_of, slopes_of
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import borrowed, load, store
from finitewidth.sampling.fused.lanes import LANES, fma, inlined
from finitewidth.sampling.fused.matrix_rows import PAIR, add_outer, combine, sum_rows
from finitewidth.sampling.fused.slopes import activate_with_slopes


def descend(
    activation: Activation,
    parameters: np.ndarray,
    widths: Sequence[int],
    with_bias: Sequence[bool],
    x: np.ndarray,
    y: np.ndarray,
    rates: tuple[Sequence[float], Sequence[float]],
    steps: int,
) -> None:
    """Take networks so many steps further, in place.

    Parameters
    ----------
    activation : Activation
        One that the kernels know (:func:`.activations.code_of`).
    parameters : array, shape (networks, parameters), float32 or float64
        Layer by layer the weights (n_l, n_{l-1}), then the biases (n_l,) where it has any.
    widths : sequence of int
        n_0 to n_L.
    with_bias : sequence of bool
        By layer, from 1 on.
    x : array, shape (inputs, n_0)
    y : array, shape (networks, inputs, n_L)
        Targets. Of the same type as the parameters, as x is.
    rates : two sequences of float
        By layer, eta lambda_W/n_{l-1} and eta lambda_b.
    steps : int
    """
    sizes = np.array(widths)
    law = (
        sizes, np.array(with_bias), np.array(rates[0], float), np.array(rates[1], float),
        code_of(activation), *slopes_of(activation),
    )  # fmt: skip
    work = _work(sizes, len(x), parameters.dtype)
    take_steps(parameters, np.ascontiguousarray(x), np.ascontiguousarray(y), law, work, steps)


def _padded(count: np.ndarray) -> np.ndarray:
    return -(-count // PAIR) * PAIR


def _work(sizes: np.ndarray, inputs: int, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """Where rows begin, and the memory of one network."""
    rows = _padded(sizes)
    ends = [
        np.concatenate([[0], np.cumsum(counts)])
        for counts in (sizes[1:] * rows[:-1], sizes[:-1] * rows[1:], rows[1:], inputs * rows)
    ]
    W, T, b, s = (np.zeros(end[-1], dtype) for end in ends)
    deltas = [np.zeros(inputs * rows.max(), dtype) for _ in range(3)]
    return (rows, *ends, W, T, b, s, np.zeros_like(s), *deltas)


@inlined
def _few(outputs):
    """Whether a layer of so many outputs is kept once."""
    return outputs < LANES


@inlined
def _copy(source, at, to, begin, count):
    whole = count // LANES * LANES
    for i in range(0, whole, LANES):
        store(to, begin + i, load(source, at + i))
    for i in range(whole, count):
        to[begin + i] = source[at + i]


@njit(error_model="numpy")
def _transpose(source, at, apart, rows, columns, to, begin, across):
    """Rows of ``source``, ``apart`` numbers apart, as columns; a few at a time, for the cache."""
    for first in range(0, columns, LANES):
        end = min(first + LANES, columns)
        for row in range(rows):
            for column in range(first, end):
                to[begin + column * across + row] = source[at + row * apart + column]


@njit(error_model="numpy")
def _fill(flat, sizes, rows, with_bias, in_W, in_T, in_b, W, T, b):
    """Bring the parameters of a network to where they are computed."""
    place = 0
    for layer in range(len(sizes) - 1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        if not _few(outputs):
            across = rows[layer + 1]
            _transpose(flat, place, inputs, outputs, inputs, T, in_T[layer], across)
        for o in range(outputs):
            _copy(flat, place, W, in_W[layer] + o * rows[layer], inputs)
            place += inputs
        if with_bias[layer]:
            _copy(flat, place, b, in_b[layer], outputs)
            place += outputs


@njit(error_model="numpy")
def _empty(flat, sizes, rows, with_bias, in_W, in_T, in_b, W, T, b):
    """Bring them back."""
    place = 0
    for layer in range(len(sizes) - 1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        if layer == 0 and not _few(outputs):
            # Nothing goes back through the first layer: it is kept as T alone.
            across = rows[layer + 1]
            _transpose(T, in_T[layer], across, inputs, outputs, flat, place, inputs)
            place += inputs * outputs
        else:
            for o in range(outputs):
                _copy(W, in_W[layer] + o * rows[layer], flat, place, inputs)
                place += inputs
        if with_bias[layer]:
            _copy(b, in_b[layer], flat, place, outputs)
            place += outputs


@cached
def take_steps(version):
    def take_steps(parameters, x, y, law, work, steps):
        """Take each network ``steps`` steps, one network after another in the same memory."""
        _ = version
        sizes, with_bias, rates_W, rates_b, code, plus, minus, at_zero = borrowed(law)
        rows, in_W, in_T, in_b, in_s, W, T, b, s, slopes, delta, before, scaled = borrowed(work)
        parameters, x, y = borrowed((parameters, x, y))
        inputs, last = len(x), len(sizes) - 1
        for a in range(inputs):
            for i in range(sizes[0]):
                s[a * rows[0] + i] = x[a, i]
        for network in range(len(parameters)):
            flat = parameters[network]
            _fill(flat, sizes, rows, with_bias, in_W, in_T, in_b, W, T, b)
            for _ in range(steps):
                for layer in range(last):
                    here, there = rows[layer], rows[layer + 1]
                    z = slopes if layer < last - 1 else delta
                    to = in_s[layer + 1] if layer < last - 1 else 0
                    if _few(sizes[layer + 1]):
                        sum_rows(
                            W, in_W[layer], here, sizes[layer + 1], s, in_s[layer], inputs, b,
                            in_b[layer], z[to:], there,
                        )  # fmt: skip
                    else:
                        combine(
                            T, in_T[layer], there, sizes[layer], s, in_s[layer], here, inputs,
                            in_b[layer], b, z, to,
                        )  # fmt: skip
                    if layer < last - 1:
                        activate_with_slopes(
                            code, plus, minus, at_zero, slopes, to, s, to, inputs * there
                        )
                        for a in range(inputs):
                            for i in range(sizes[layer + 1], there):
                                s[to + a * there + i] = slopes[to + a * there + i] = 0
                for a in range(inputs):
                    for o in range(sizes[last]):
                        delta[a * rows[last] + o] -= y[network, a, o]
                for layer in range(last - 1, -1, -1):
                    here, there = rows[layer], rows[layer + 1]
                    few = _few(sizes[layer + 1])
                    for i in range(0, inputs * there, LANES):
                        store(scaled, i, load(delta, i) * -rates_W[layer])
                    if layer > 0:
                        combine(
                            W, in_W[layer], here, sizes[layer + 1], delta, 0, there, inputs,
                            -1, b, before, 0,
                        )  # fmt: skip
                    if few or layer > 0:
                        add_outer(
                            W, in_W[layer], here, sizes[layer + 1], scaled, 0, there, s,
                            in_s[layer], inputs,
                        )  # fmt: skip
                    if not few:
                        add_outer(
                            T, in_T[layer], there, sizes[layer], s, in_s[layer], here, scaled, 0,
                            inputs,
                        )  # fmt: skip
                    if with_bias[layer]:
                        for i in range(0, there, LANES):
                            moved = load(delta, i)
                            for a in range(1, inputs):
                                moved = moved + load(delta, a * there + i)
                            at = in_b[layer] + i
                            store(b, at, fma(moved, -rates_b[layer], load(b, at)))
                    if layer > 0:
                        for i in range(0, inputs * here, LANES):
                            value = load(before, i) * load(slopes, in_s[layer] + i)
                            store(delta, i, value)
            _empty(flat, sizes, rows, with_bias, in_W, in_T, in_b, W, T, b)

    return take_steps
