"""The dataset of predictions of a ladder: one perceptron at several widths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities import coupled
from finitewidth.quantities.held import sizes
from finitewidth.quantities.vocabulary import DESCRIBED, OF_LADDERS
from finitewidth.theory.mlp.kernel import check_layers
from finitewidth.theory.predict import predicted_kernels
from finitewidth.theory.predict.case import Case, Orders, Rung
from finitewidth.theory.predict.predict_preactivations import (
    functions,
    shared_coordinates,
    used,
    variable,
)


def predict_ladder(
    mlps: Sequence[Perceptron],
    x: np.ndarray,
    layers: Sequence[int],
    families: Collection[str],
    exact: Mapping[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """Predict the estimates of a ladder, order by order.

    Parameters
    ----------
    mlps : sequence of Perceptron
        One a rung, the same but for the width of their hidden layers (and of the last); normal
        weights.
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        The recorded layers, numbered from 1.
    families : collection of str
        Names of those in ``quantities/coupled.py``, but ntk_mean.
    exact : mapping, optional
        What a caller knows exactly of each input alone: arrays (rung, layer, input) by the names of
        quantities, but the histogram and the coefficients; kernel moments fill their diagonals.
        They stand where nothing exact is known here.

    Returns
    -------
    xarray.Dataset
        Each variable has the leading dimension ``order``; NaN where an order says nothing. The
        coefficients of the expansion in 1/n are those at which every rung is expanded.

    Raises
    ------
    ValueError
        If a family or a layer does not exist, x has another shape, the rungs differ in more than
        their widths, weights are not normal, or ``exact`` has other names or shapes.
    """
    predictions = functions(OF_LADDERS, families)
    _check_rungs(mlps)
    x = np.asarray(x, dtype=float)
    layers = check_layers(mlps[0], layers)
    reference = Case(mlps[0], x, layers, neurons=0, networks=None)
    rungs = [Rung(mlp, x, layers, 0, None, reference) for mlp in mlps]
    expected = sizes(len(x), layer=len(layers))
    found: dict[str, Orders] = {}
    for prediction in predictions:
        found |= _stack([prediction(rung, expected) for rung in rungs])
    for name, values in _checked(exact or {}, (len(rungs), *reference.shape)).items():
        if name in found:
            _complete(found[name]["exact"], values)
    if "kernel_moments" in families:
        found |= predicted_kernels.coefficients(reference)
    variables = {name: variable(DESCRIBED[name], orders) for name, orders in found.items()}
    width = [mlp.widths[1] for mlp in mlps]
    every = shared_coordinates(layers, len(x)) | {
        "rung": np.arange(len(mlps)),
        "width": ("rung", width, {"long_name": "neurons of the hidden layers", "units": "1"}),
    }
    return xr.Dataset(variables).assign_coords(used(every, variables))


def _check_rungs(mlps: Sequence[Perceptron]) -> None:
    if not mlps:
        raise ValueError("a ladder has one rung at least")
    for mlp in mlps:
        if mlp.weights != "normal":
            raise ValueError("the weights of a ladder are normal")
        if len(set(mlp.widths[1:-1])) > 1:
            raise ValueError(f"the hidden layers of a rung are equally wide, not {mlp.widths[1:]}")
        widths = (mlp.widths[0], *mlps[0].widths[1:])
        if replace(mlp, widths=widths) != mlps[0]:
            raise ValueError("the rungs of a ladder differ in their widths alone")


def _stack(rungs: list[dict[str, Orders]]) -> dict[str, Orders]:
    """Every array with a leading dimension rung."""
    return {
        name: {order: np.stack([rung[name][order] for rung in rungs]) for order in orders}
        for name, orders in rungs[0].items()
    }


def _checked(exact: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    allowed = [
        name
        for family in coupled.FAMILIES
        if family.theory
        for name in family.names
        if name != "log_kernel_histogram"
    ]
    for name, values in exact.items():
        if name not in allowed:
            raise ValueError(f"nothing exact is taken of {name}; allowed are {', '.join(allowed)}")
        if np.shape(values) != shape:
            raise ValueError(
                f"exact values of {name} are of shape (rung, layer, input) = {shape},"
                f" not {np.shape(values)}"
            )
    return {name: np.asarray(values, dtype=float) for name, values in exact.items()}


def _complete(known: np.ndarray, values: np.ndarray) -> None:
    """Put ``values`` (R, T, N) where ``known``, on inputs or pairs of them, is NaN."""
    inputs = values.shape[-1]
    place = np.arange(inputs)
    if known.shape[-1] != inputs or known.ndim > values.ndim:
        # Pairs (a, a) among all pairs, in the order of finitewidth.core.indices.pairs.
        place = place * inputs - place * (place - 1) // 2
    at: tuple[slice | np.ndarray, ...] = (
        slice(None),
        slice(None),
        *(place,) * (known.ndim - 2),
    )
    known[at] = np.where(np.isnan(known[at]), values, known[at])
