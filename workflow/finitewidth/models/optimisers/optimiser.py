"""What an optimiser is: tensors that it keeps, and a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Optimiser:
    """How weights move, given gradients of the loss by them.

    Attributes
    ----------
    buffers : int
        Tensors of the size of the weights that it keeps, 0 at the start; the first is what
        gradients are added into.
    kept : callable
        ``kept(momentum)``: the share of the first that is left when a gradient is added to it.
        With 0 it holds the last gradient alone.
    step_ : callable
        ``step_(torch, weights, buffers, learning_rate, momentum, number)`` moves ``weights``, a
        list of tensors, in place, and may change ``buffers``, as many lists of tensors of the same
        shapes. ``number`` counts steps from 1. Every number has to move by itself, since tensors
        hold the weights of many networks. It takes torch as an argument so that the table can be
        read without importing it.
    """

    buffers: int
    kept: Callable[[float], float]
    step_: Callable
