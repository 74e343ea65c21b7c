"""Ladders by compiled kernels, with what becomes of their sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of, slopes_of
from finitewidth.sampling.fused.covariance import covariance_of_inputs
from finitewidth.sampling.fused.drawing import key_of
from finitewidth.sampling.fused.rung_controls import rows_of_controls
from finitewidth.sampling.fused.rung_workspace import Climbed, Rungs, by_width, steps
from finitewidth.sampling.fused.rungs import climb
from finitewidth.sampling.mlp.ladder_record import Kept
from finitewidth.sampling.mlp.width_controls import of_neurons

if TYPE_CHECKING:
    import torch

#: Neurons, and sums kept for tangent kernels, between two calls of ``on_tile``; no number depends
#: on them.
TILE, SUMS = 2**22, 2**21


def fill(
    mlps: Sequence[Perceptron],
    rates: Sequence[LearningRates] | None,
    x: np.ndarray,
    layers: Sequence[int],
    names: Sequence[str],
    kept: Kept,
    *,
    seed: int,
    name: Sequence[str],
    first: int,
    precision: str,
    on_tile: Callable[[int, int], None],
) -> None:
    """Draw the networks that ``kept`` has room for, ``first`` and following, of every rung.

    Parameters
    ----------
    mlps, rates, x, layers, precision
        As :func:`finitewidth.sampling.mlp.coupled_widths.sample_ladder` takes them.
    names : sequence of str
        The controls, if any.
    kept : Kept
        Filled.
    seed, name
        Name the stream.
    """
    last, networks, rungs = max(layers), len(kept.kernel), len(mlps)
    places = np.full(last + 1, -1)
    places[list(layers)] = np.arange(len(layers))
    x = np.ascontiguousarray(x)
    shared = covariance_of_inputs(x, mlps[0].C_b[0], mlps[0].C_W[0])
    by_neurons = of_neurons(names)
    factors, top = rows_of_controls(() if by_neurons else names, len(x))
    work = steps(len(x), rungs, precision, factors, top, rates is not None)
    beside = 0 if rates is None else 1 + len(work.places)
    neurons = last * len(x) * sum(mlp.widths[1] for mlp in mlps)
    step = max(1, min(TILE // neurons, SUMS // (rungs * last * (beside + len(x) ** 2))))
    key, plain = key_of(seed, *name, "networks"), rungs_of(mlps)
    for begin in range(0, networks, step):
        part = slice(begin, min(begin + step, networks))
        found = _room(kept, part, last, len(work.places), by_neurons)
        # As plain tuples: what numba keeps on disk must name no class of ours.
        climb(
            shared,
            places,
            key,
            first + part.start,
            first + part.start,
            first + part.stop,
            tuple(plain),
            tuple(found),
            tuple(work),
        )
        if rates is not None:
            # Imported where it is used: this alone is done by torch.
            from finitewidth.sampling.mlp.ladder_ntk import keep_tangent_kernels

            keep_tangent_kernels(mlps, rates, layers, x @ x.T, names, found, kept, part)
        elif by_neurons and isinstance(kept.drive, np.ndarray):
            widths = np.array([mlp.widths[1] for mlp in mlps])
            kept.drive[part] = found.gram / widths[:, None, None]
        on_tile(part.stop, networks)


def rungs_of(mlps: Sequence[Perceptron]) -> Rungs:
    """The ladder as compiled code reads it."""
    mlp = mlps[0]
    code = code_of(mlp.activation)
    assert code is not None
    return Rungs(
        *by_width([mlp.widths[1] for mlp in mlps]),
        np.array(mlp.C_b, float),
        np.array(mlp.C_W, float),
        code,
        *slopes_of(mlp.activation),
        mlp.is_scale_invariant,
    )


def _room(kept: Kept, part: slice, last: int, sums: int, by_neurons: bool) -> Climbed:
    """Where the networks ``part`` are recorded: parts of what is kept, and room of their own."""

    def of_part(array: np.ndarray | torch.Tensor | None) -> np.ndarray:
        return np.empty((0,) * 4, np.float32) if array is None else np.asarray(array[part])

    kernel = of_part(kept.kernel)
    shape, two = kernel.shape[:2], kernel.shape[3]
    inputs = int(np.sqrt(2 * two))
    nothing = np.empty((0,) * 4)
    return Climbed(
        kernel,
        of_part(kept.driven),
        of_part(None if by_neurons else kept.drive),
        np.empty((*shape, last - 1, two)) if by_neurons or sums else nothing,
        np.empty((*shape, last, two)) if sums else nothing,
        np.empty((*shape, last - 1, sums)) if sums else nothing,
        np.empty((*shape, last - 1, inputs)) if sums else nothing,
    )
