"""What compiled code reads and keeps of networks whose tangent kernels it computes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import slopes_of
from finitewidth.sampling.fused.drawing import GROUP
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.fused.networks import ROW


class TangentMlp(NamedTuple):
    """A perceptron with learning rates as compiled code reads it; indices are layers, 0 to L."""

    widths: np.ndarray  #: int64, (L + 1,)
    C_b: np.ndarray  #: float64, (L,)
    C_W: np.ndarray  #: float64, (L,)
    lambda_b: np.ndarray  #: float64, (L,)
    lambda_W: np.ndarray  #: float64, (L,)
    code: int  #: of the activation; negative for one that the kernels do not know
    plus: float  #: its slopes, where it has two
    minus: float
    at_zero: float  #: and that at 0
    is_scale_invariant: bool
    outputs: int  #: whose tangent kernel is computed


class Kept(NamedTuple):
    """What the way back needs of the way there; of several networks, one after the other.

    Rows of neurons of layer l stand in places ``starts[l]`` on, input after input, ``rows[l]``
    apart.
    """

    starts: np.ndarray  #: int64, (L + 1,)
    rows: np.ndarray  #: int64, (L + 1,): a width, to whole groups of neurons
    drawn: np.ndarray  #: (network, place), float32 or float64: what drives each layer
    active: np.ndarray  #: the same, sigma(z)
    slopes: np.ndarray  #: the same, sigma'(z)
    sums: np.ndarray  #: (network, L + 1, input, input), of products of activations at their scale
    scales: np.ndarray  #: (network, L + 1, input), of the activations
    spans: np.ndarray  #: (network, L + 1, input, input): takes the layer's activations to Q
    gram: np.ndarray  #: (network, input, input): covariance of the layer that comes next
    diagonals: np.ndarray  #: (network, lanes): squared scales that inputs gain at each layer


class Room(NamedTuple):
    """What a network needs while it is computed."""

    neurons: np.ndarray  #: float32 or float64, a row an input, for recording
    sums: np.ndarray  #: float64, lane by lane, of products of activations
    factor: np.ndarray  #: (input, input)
    back: np.ndarray  #: float32 or float64, a row of neurons for each output and input
    biases: np.ndarray  #: float32 or float64: what biases are drawn by
    on_span: np.ndarray  #: float64, lane by lane: of derivatives and what was drawn
    squares: np.ndarray  #: float64, lane by lane: of derivatives
    gram: np.ndarray  #: (row, row): of derivatives at unit scale
    root: np.ndarray  #: (row, row), its factor
    mixed: np.ndarray  #: (row, input)
    row_scales: np.ndarray  #: (row,)


def tangent_mlp(
    mlp: Perceptron, rates: LearningRates, code: int | None, outputs: int
) -> TangentMlp:
    """The perceptron as compiled code reads it."""
    return TangentMlp(
        np.array(mlp.widths),
        np.array(mlp.C_b, float),
        np.array(mlp.C_W, float),
        np.array(rates.lambda_b, float),
        np.array(rates.lambda_W, float),
        -1 if code is None else code,
        *slopes_of(mlp.activation),
        mlp.is_scale_invariant,
        outputs,
    )


def kept(mlp: Perceptron, inputs: int, outputs: int, precision: str, networks: int) -> Kept:
    """Memory for so many networks at once. Of the last layer only what drives the outputs is."""
    depth = mlp.depth
    widths = np.array([0, *mlp.widths[1:-1], min(outputs, mlp.widths[-1])])
    rows = -(-widths // GROUP) * GROUP
    starts = np.concatenate([[0], np.cumsum(rows * inputs)])
    small = (networks, depth + 1, inputs)
    return Kept(
        starts[:-1],
        rows,
        np.zeros((networks, starts[-1]), precision),
        np.zeros((networks, starts[-2]), precision),
        np.zeros((networks, starts[-2]), precision),
        np.zeros((*small, inputs)),
        np.ones(small),
        np.zeros((*small, inputs)),
        np.zeros((networks, inputs, inputs)),
        np.zeros((networks, -(-(depth + 1) * inputs // LANES) * LANES)),
    )


def room(mlp: Perceptron, inputs: int, outputs: int, precision: str) -> Room:
    """Memory for one network."""
    rows = inputs * outputs
    widest = -(-max((0, *mlp.widths[1:-1])) // GROUP) * GROUP
    return Room(
        np.zeros(inputs * ROW, precision),
        np.zeros(inputs * inputs * LANES),
        np.zeros((inputs, inputs)),
        np.zeros(rows * widest, precision),
        np.zeros(-(-rows // GROUP) * GROUP, precision),
        np.zeros(rows * inputs * LANES),
        np.zeros(rows * rows * LANES),
        np.zeros((rows, rows)),
        np.zeros((rows, rows)),
        np.zeros((rows, inputs)),
        np.zeros(rows),
    )
