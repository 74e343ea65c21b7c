"""Ladders: one perceptron at several widths, on common random numbers.

A rung of width n builds its layers from the first n columns of the normals that the widest rung
draws, so that what the widths have in common cancels in their differences. Kept are the conditional
kernels Ghat, which hold all that a layer can tell of the ones before it (the neurons of the next
layer are drawn from them and from nothing else), and, as controls, means of functions of the
normals whose expectations are known to be 0.

On a processor compiled kernels draw them (:mod:`.compiled_ladder`), else torch
(:mod:`.torch_ladder`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.blocks import block_size
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.mlp import compiled_ladder
from finitewidth.sampling.mlp.ladder_record import Kept, dataset
from finitewidth.sampling.mlp.width_controls import controls_of
from finitewidth.sampling.shard import Shard


def sample_ladder(
    mlps: Sequence[Perceptron],
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    controls: bool = True,
    rates: Sequence[LearningRates] | None = None,
    precision: str = "float32",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    compiled: bool = True,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample networks of several widths from common normals.

    Parameters
    ----------
    mlps : sequence of Perceptron
        One a rung, the same but for the hidden widths; the hidden layers of each are equally wide.
        Weights must be normal.
    x : array, shape (inputs, n_0)
    networks : int
        Networks of each rung in the whole ladder.
    seed, name
        They name the random streams, as for a single ensemble.
    layers : sequence of int, optional
        Layers to record, from 1 to L; all of them where left out.
    controls : bool
        Whether to record what estimators reduce their variance with.
    rates : sequence of LearningRates, optional
        One a rung: tangent kernels are recorded, averaged over the backward pass.
    precision : str
        Of neurons; kernels are summed and kept in float64.
    blocks : (int, int), optional
        First block and one past the last: a shard. All of them where left out.
    compiled : bool
        Without, nothing is drawn by compiled kernels: a processor draws as a GPU does, by torch. So
        it does for an activation that the kernels do not know.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes the samples of a ladder.

    Raises
    ------
    ValueError
        For rungs that differ in more than their width or have weights that are not normal, inputs
        of the wrong dimension or not finite, and layers that do not exist.
    """
    x = np.asarray(x, dtype=np.float64)
    widths = _check(mlps, x)
    layers = tuple(layers or range(1, mlps[0].depth + 1))
    if not all(1 <= layer <= mlps[0].depth for layer in layers):
        raise ValueError(f"layers {layers} must lie from 1 to the depth, {mlps[0].depth}")
    shard = Shard.of(block_size("marginal", max(widths)), blocks, networks, seed, name)
    names, about = controls_of(mlps[0], x, tangent=rates is not None) if controls else ((), {})
    tangent = rates is not None
    kept = Kept.empty(len(shard), len(mlps), layers, len(x), len(names), tangent)
    if compiled and device == "cpu" and code_of(mlps[0].activation) is not None:
        compiled_ladder.fill(
            mlps,
            rates,
            x,
            layers,
            names,
            kept,
            seed=seed,
            name=name,
            first=shard.begin,
            precision=precision,
            on_tile=on_tile,
        )
    else:
        # Imported where it is used: to import torch takes a second.
        from finitewidth.sampling.mlp import torch_ladder

        torch_ladder.fill(
            mlps,
            rates,
            x,
            layers,
            names,
            kept,
            shard,
            precision=precision,
            device=device,
            on_tile=on_tile,
        )
    found = dataset(
        kept, np.arange(shard.begin, shard.end), widths, np.array(layers), names, len(x)
    )
    return found.assign_coords(about).assign_attrs(precision=precision)


def _check(mlps: Sequence[Perceptron], x: np.ndarray) -> list[int]:
    """The widths of the rungs, from 1 on; raises as :func:`sample_ladder` does."""
    first = mlps[0]
    if x.ndim != 2 or x.shape[1] != first.widths[0]:
        raise ValueError(
            f"inputs of shape {x.shape} do not fit a network of {first.widths[0]} inputs"
        )
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    for mlp in mlps:
        if mlp.weights != "normal":
            raise ValueError(f"a ladder needs normal weights, not {mlp.weights} ones")
        if (mlp.activation_name, mlp.depth) != (first.activation_name, first.depth) or (
            (mlp.C_b, mlp.C_W) != (first.C_b, first.C_W)
        ):
            raise ValueError("the rungs of a ladder may differ in their width alone")
        if len(set(mlp.widths[1:-1])) > 1:
            raise ValueError(f"the hidden layers of a rung must be equally wide, not {mlp.widths}")
    return [mlp.widths[1] for mlp in mlps]
