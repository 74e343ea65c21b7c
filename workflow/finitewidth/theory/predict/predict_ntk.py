"""The datasets of predictions of tangent kernels, of a member and of a ladder of widths."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.held import sizes
from finitewidth.quantities.vocabulary import DESCRIBED, OF_LAST_LAYER
from finitewidth.theory.mlp.kernel import check_layers
from finitewidth.theory.mlp_ntk import ntk_chain, ntk_exact, ntk_vertex
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.predict import predicted_ntk
from finitewidth.theory.predict.predict_preactivations import (
    ORDERS,
    functions,
    shared_coordinates,
    used,
    variable,
)


def predict_ntk(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    layers: Sequence[int],
    families: Collection[str],
) -> xr.Dataset:
    """Predict the tangent-kernel estimates of one member, order by order.

    Parameters
    ----------
    mlp : Perceptron
    rates : LearningRates
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        The recorded layers. The tangent kernel is that of the last layer of the network, and NaN
        at others.
    families : collection of str
        Names of those in ``quantities/tangent_kernels.py`` that theory knows of.

    Raises
    ------
    ValueError
        If a family or a layer does not exist, the last layer is not among them, or x has another
        shape.
    """
    predictions = functions(OF_LAST_LAYER, families)
    layers = check_layers(mlp, layers)
    if mlp.depth not in layers:
        raise ValueError(f"the tangent kernel is that of layer {mlp.depth}, not among {layers}")
    case = predicted_ntk.TangentCase(mlp, rates, np.asarray(x, dtype=float))
    variables = {}
    for prediction in predictions:
        for quantity, orders in prediction(case, sizes(case.inputs)).items():
            placed = {order: at_last(values, layers) for order, values in orders.items()}
            variables[quantity] = variable(DESCRIBED[quantity], placed)
    every = tangent_coordinates(layers, case.inputs, [mlp.widths[layer] for layer in layers])
    return xr.Dataset(variables).assign_coords(used(every, variables))


def tangent_coordinates(layers: Sequence[int], inputs: int, widths: Sequence[int]) -> dict:
    """Coordinates of tangent kernels, ``widths`` of each of the layers."""
    N = inputs
    couple = np.array(list(np.ndindex(N, N)))
    return shared_coordinates(layers, N) | {
        "width": ("layer", list(widths)),
        "couple": np.arange(N**2),
        "couple_": np.arange(N**2),
        "couple_a": ("couple", couple[:, 0]),
        "couple_b": ("couple", couple[:, 1]),
        "rank": np.arange(1, N + 1),
    }


def at_last(values: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """``values`` at the last of the layers, NaN at others."""
    result = np.full((len(layers), *values.shape), np.nan)
    result[int(np.argmax(layers))] = values
    return result


def predict_ntk_ladder(
    mlps: Sequence[Perceptron], rates: Sequence[LearningRates], x: np.ndarray, layers: Sequence[int]
) -> xr.Dataset:
    """Predict the mean tangent kernel of a ladder's rungs, and its coefficients in 1/n.

    Parameters
    ----------
    mlps, rates : sequence
        One a rung.
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        The recorded layers.

    Returns
    -------
    xarray.Dataset
        ``ntk_mean`` (order, rung, layer, pair), ``ntk_mean_1`` (order, layer, pair). The latter is
        left out where rates grow with the width: there is no infinite width to expand about.
    """
    x = np.asarray(x, dtype=float)
    layers, N = check_layers(mlps[0], layers), len(x)
    n = np.array([mlp.widths[1] for mlp in mlps])[:, None, None]
    shared = len(set(rates)) == 1
    if shared:
        theta, first = (values[None] for values in _first_order(mlps[0], rates[0], x, layers))
        theta, first = theta.repeat(len(mlps), 0), first * n[0] / n
    else:
        each = [_first_order(mlp, own, x, layers) for mlp, own in zip(mlps, rates, strict=True)]
        theta, first = map(np.stack, zip(*each, strict=True))
    a, b = pairs(N).T
    early = (np.array(layers) <= 2)[:, None]
    # Gates of one input are fair whatever it is; and the first layer is exactly Gaussian.
    closed = (a == b) if mlps[0].activation.slopes is not None else np.zeros(len(a), dtype=bool)
    known = early | closed
    exact = np.where(known, theta, np.nan)
    if closed.any():
        # Dead layers, which pass nothing back, are of no order in 1/n.
        own = [ntk_exact.mean(*one, x, layers) for one in zip(mlps, rates, strict=True)]
        exact[..., closed] = own
    orders = {"infinite_width": theta, "1/n": theta + first, "exact": exact}
    variables = {"ntk_mean": variable(DESCRIBED["ntk_mean"], orders)}
    if shared:
        none = {"exact": np.where(known & ~np.isnan(theta[0]), 0.0, np.nan)}
        coefficients = {"1/n": first[0] * n[0]} | none
        variables |= {
            "ntk_mean_1": variable(DESCRIBED["ntk_mean_1"], coefficients),
            "ntk_mean_2": variable(DESCRIBED["ntk_mean_2"], none),
        }
    every = shared_coordinates(layers, N) | {
        "rung": np.arange(len(mlps)),
        "width": ("rung", n.ravel()),
        "order": np.array(ORDERS),
    }
    return xr.Dataset(variables).assign_coords(used(every, variables))


def _first_order(mlp: Perceptron, rates: LearningRates, x: np.ndarray, layers: list[int]) -> tuple:
    """Infinite width and H1, which holds its power of 1/n: (layer, pair) each."""
    a, b = pairs(len(x)).T
    theta = infinite_width_ntk(mlp, rates, x, layers)[:, a, b]
    first = np.full(theta.shape, np.nan)
    if 1 < len(x) <= predicted_ntk.MOST_INPUTS:
        first = ntk_vertex.first_order(mlp, rates, x, layers).H1[:, a, b]
    first[:, a == b] = ntk_chain.first_order(mlp, rates, x, layers).H1
    return theta, first
