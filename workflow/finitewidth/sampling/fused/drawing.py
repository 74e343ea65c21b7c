"""Which normal is whose: numbers named by stream, network, layer, input and neuron.

A stream's name makes 80 bits of a key. The counter holds the rest: its four words are the neurons'
group of four, the network, the layer (whose highest bit asks for the words that refine single to
double precision), and 16 bits of the key beside the input. So what is drawn for a neuron does not
depend on the ensemble's size, on what is recorded, or on how the work is divided.

A group of counters makes 64 normals. Layers of up to 16 or 32 neurons have a half or a quarter of a
group each, four or two layers one group; what stands for the layer then is the number of these
layers together, and how many they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import types
from numba.extending import overload

from finitewidth.core.random import stream_words
from finitewidth.sampling.fused.conversions import counting, load, store, to_uint32
from finitewidth.sampling.fused.lanes import LANES, inlined
from finitewidth.sampling.fused.normals import pair, pair_double
from finitewidth.sampling.fused.philox import ROUNDS, words

#: Counters make four normals each; those of 16 counters stand side by side.
GROUP = 4 * LANES
_REFINED, _SIXTEEN = np.uint64(1 << 31), np.uint64(16)


def key_of(seed: int, *name: str | int) -> np.ndarray:
    """The key of a named stream: three words, the last of 16 bits, as uint64."""
    key = stream_words(seed, *name, count=3).astype(np.uint64)
    key[2] &= 0xFFFF
    return key


def draw(neurons, at, start, count, key, network, layer, which):
    """Normals of the neurons ``start`` to ``start + count``, in ``neurons`` from ``at`` on.

    For compiled code alone. ``start`` is a multiple of GROUP, and whole groups are written.

    Parameters
    ----------
    neurons : array of float32 or of float64, of one dimension
    key : array, shape (3,), uint64
    network, layer, which : int
        ``which`` is the input.
    """
    raise NotImplementedError("compiled code alone draws from counters")


@overload(draw, jit_options={"error_model": "numpy"})
def _draw(neurons, at, start, count, key, network, layer, which) -> Callable:
    return _single if neurons.dtype == types.float32 else _double


def _single(neurons, at, start, count, key, network, layer, which):
    about, last = np.uint64(layer), (key[2] << _SIXTEEN) | np.uint64(which)
    for group in range(start // GROUP, (start + count + GROUP - 1) // GROUP):
        counters = counting(group * LANES)
        a, b, c, d = words(counters, np.uint64(network), about, last, key[0], key[1], ROUNDS)
        one, two = pair(to_uint32(a), to_uint32(b))
        store(neurons, at, one)
        store(neurons, at + LANES, two)
        one, two = pair(to_uint32(c), to_uint32(d))
        store(neurons, at + 2 * LANES, one)
        store(neurons, at + 3 * LANES, two)
        at += GROUP


def _double(neurons, at, start, count, key, network, layer, which):
    about, last = np.uint64(layer), (key[2] << _SIXTEEN) | np.uint64(which)
    refined = about | _REFINED
    for group in range(start // GROUP, (start + count + GROUP - 1) // GROUP):
        counters = counting(group * LANES)
        a, b, c, d = words(counters, np.uint64(network), about, last, key[0], key[1], ROUNDS)
        e, f, g, h = words(counters, np.uint64(network), refined, last, key[0], key[1], ROUNDS)
        one, two = pair_double(to_uint32(a), to_uint32(e), to_uint32(b), to_uint32(f))
        store(neurons, at, one)
        store(neurons, at + LANES, two)
        one, two = pair_double(to_uint32(c), to_uint32(g), to_uint32(d), to_uint32(h))
        store(neurons, at + 2 * LANES, one)
        store(neurons, at + 3 * LANES, two)
        at += GROUP


@inlined
def layers_together(width):
    """How many layers of so many neurons share a group of counters."""
    if width > 2 * LANES:
        return 1
    return 2 if width > LANES else 4


@inlined
def draw_neurons(neurons, row, inputs, start, count, width, key, network, layer, shared, held):
    """Normals of the neurons ``start`` to ``start + count`` of a layer, for every input.

    Parameters
    ----------
    neurons : array, shape (inputs * row,)
        Those of one input stand behind each other, from a multiple of ``row`` on.
    width : int
        Of the layer.
    shared : array, shape (inputs * GROUP,)
        Where narrow layers keep the normals of all layers of their group.
    held : int
        What was returned last for this network, or 0.

    Returns
    -------
    int
        Which layers' normals ``shared`` now holds.
    """
    together = layers_together(width)
    if together == 1:
        for a in range(inputs):
            draw(neurons, a * row, start, count, key, network, layer, a)
        return held
    # Layers are at most a million: this is the name of no single one.
    group = (layer // together) | (together << 28)
    if group != held:
        for a in range(inputs):
            draw(shared, a * GROUP, 0, GROUP, key, network, group, a)
    part = GROUP // together
    at = (layer % together) * part
    for a in range(inputs):
        for i in range(0, part, LANES):
            store(neurons, a * row + i, load(shared, a * GROUP + at + i))
    return group
