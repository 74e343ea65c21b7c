"""A ladder as compiled code reads it, what it records, and the memory that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.sampling.fused.drawing import GROUP
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.fused.networks import ROW
from finitewidth.sampling.fused.rung_sums import places_of_sums
from finitewidth.sampling.fused.sums import STEP


class Rungs(NamedTuple):
    """A ladder as compiled code reads it."""

    widths: np.ndarray  #: int64, (rung,)
    ordered: np.ndarray  #: the widths, ascending
    ranks: np.ndarray  #: the place of each rung among them
    C_b: np.ndarray  #: float64, (L,)
    C_W: np.ndarray  #: float64, (L,)
    code: int  #: of the activation
    plus: float  #: its slopes, where it has two, and that at 0
    minus: float
    at_zero: float
    is_scale_invariant: bool


class Climbed(NamedTuple):
    """What is recorded, (network, rung, ...) each; what is not asked for has the length 0.

    ``sums`` and ``scale`` are of every hidden layer below the last recorded one.
    """

    kernel: np.ndarray  #: (network, rung, recorded layer, pair), float64
    driven: np.ndarray  #: (network, rung, hidden layer, pair), float32
    drive: np.ndarray  #: (network, rung, hidden layer, control of normals), float32
    gram: np.ndarray  #: sums of s_a s_b, (network, rung, hidden layer, pair), float64
    kernels: np.ndarray  #: of every layer, (network, rung, layer, pair), float64
    sums: np.ndarray  #: for tangent kernels, at unit scale, (network, rung, hidden layer, sum)
    scale: np.ndarray  #: of the layer's neurons, (network, rung, hidden layer, input)


class Steps(NamedTuple):
    """What a ladder needs while it is computed."""

    normals: np.ndarray  #: a row of normals an input, float32 or float64
    shared: np.ndarray  #: normals of narrow layers that share counters
    neurons: np.ndarray  #: a row of neurons an input
    active: np.ndarray  #: the same, for sigma of them
    slopes: np.ndarray  #: the same, for sigma'
    rows: np.ndarray  #: of controls
    gram: np.ndarray  #: float64, (rung, input, input)
    factor: np.ndarray  #: (rung, input, input)
    logs: np.ndarray  #: logarithms of scales, of every rung and input
    diagonals: np.ndarray  #: the same, for a layer's own
    scales: np.ndarray  #: the scales themselves
    products: np.ndarray  #: (rung, sums of two activations * LANES)
    tangents: np.ndarray  #: (rung, sums for tangent kernels * LANES)
    tangent_rows: np.ndarray
    places: np.ndarray  #: which rows make a sum for tangent kernels
    factors: np.ndarray  #: which rows make a control
    control_sums: np.ndarray  #: lane by lane
    control_totals: np.ndarray  #: (control, place of a rung)


def steps(
    inputs: int, rungs: int, precision: str, factors: np.ndarray, top: int, tangent: bool
) -> Steps:
    """Memory for one network of so many rungs."""
    two, padded = len(pairs(inputs)), -(-rungs * inputs // LANES) * LANES
    places = places_of_sums(inputs) if tangent else np.empty((0, 2), int)
    square = np.zeros((rungs, inputs, inputs))

    def neurons(rows: int) -> np.ndarray:
        return np.zeros(rows * ROW, precision)

    return Steps(
        neurons(inputs),
        np.zeros(inputs * GROUP, precision),
        neurons(inputs),
        neurons(inputs if tangent else 0),
        neurons(inputs if tangent else 0),
        neurons(inputs * top + 2 if len(factors) else 0),
        square,
        square.copy(),
        np.zeros(padded),
        np.zeros(padded),
        np.ones(padded),
        np.zeros((rungs, two * LANES)),
        np.zeros((rungs, len(places) * LANES)),
        np.zeros((2 * inputs + 2 * inputs**2) * STEP if tangent else 0),
        places,
        factors,
        np.zeros(len(factors) * LANES),
        np.zeros((len(factors), rungs)),
    )


def by_width(widths: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Widths of rungs, these ascending, and the place of each rung among them."""
    order = np.argsort(widths, kind="stable")
    ranks = np.empty(len(widths), int)
    ranks[order] = np.arange(len(widths))
    return np.array(widths), np.array(widths)[order], ranks
