"""The dataset of predictions of one member: the names and dimensions of its estimates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
import xarray as xr

from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.core.indices import pairs, quads
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.description import Family, Quantity
from finitewidth.quantities.held import ORDERS, Sizes, predicted, sizes
from finitewidth.quantities.vocabulary import DESCRIBED, OF_LAYERS, SAMPLES, TESTS
from finitewidth.theory.mlp.kernel import check_layers
from finitewidth.theory.predict.case import Case, Orders


def predict(
    mlp: Perceptron,
    x: np.ndarray,
    layers: Sequence[int],
    families: Collection[str],
    neurons: int = 4,
    networks: int | None = None,
) -> xr.Dataset:
    """Predict the estimates of one member, order by order.

    Parameters
    ----------
    mlp : Perceptron
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        The recorded layers, numbered from 1.
    families : collection of str
        Names of those in ``quantities/preactivations.py``.
    neurons : int
        How many neurons ``neuron_covariance`` has.
    networks : int, optional
        Size of the ensemble; the family ``quadruple`` measures its sampling noise.

    Returns
    -------
    xarray.Dataset
        Each variable has the leading dimension ``order``; NaN where an order says nothing.

    Raises
    ------
    ValueError
        If a family or a layer does not exist, x has another shape, or ``quadruple`` is asked for
        without ``networks``.
    """
    predictions = functions(OF_LAYERS, families)
    x = np.asarray(x, dtype=float)
    case = Case(mlp, x, check_layers(mlp, layers), neurons, networks)
    expected = sizes(len(x), layer=len(case.layers), neuron=neurons, sample=2)
    variables = {}
    for prediction in predictions:
        for quantity, orders in prediction(case, expected).items():
            variables[quantity] = variable(DESCRIBED[quantity], orders)
    widths = [mlp.widths[layer] for layer in case.layers]
    every = layer_coordinates(case.layers, len(x), widths, neurons)
    return xr.Dataset(variables).assign_coords(used(every, variables))


def functions(
    known: Sequence[Family], families: Collection[str]
) -> list[Callable[[object, Sizes], dict[str, Orders]]]:
    """The functions that predict ``families``, in the order of the ``known`` ones.

    Each takes a case, and the sizes of dimensions (:func:`finitewidth.quantities.held.predicted`).

    Raises ``ValueError`` for names of others.
    """
    told = {family.name: family for family in known if family.theory}
    if unknown := sorted(set(families) - set(told)):
        raise ValueError(f"unknown families {', '.join(unknown)}; allowed are {', '.join(told)}")
    return [partial(predicted, family) for name, family in told.items() if name in families]


def variable(about: Quantity, orders: Orders, known: Sequence[str] = ORDERS) -> xr.Variable:
    """One quantity with the dimension ``order`` of the ``known`` ones, NaN where one is missing."""
    missing = np.full(next(iter(orders.values())).shape, np.nan)
    values = np.stack([orders.get(order, missing) for order in known])
    attributes = {
        "long_name": about.meaning,
        "units": "1",
        "equation": about.equation,
        "references": about.source,
    }
    return xr.Variable(("order", *about.dims), values, attributes)


def shared_coordinates(layers: Sequence[int], inputs: int) -> dict:
    """Coordinates of members and ladders alike, whether a dataset has their dimension or not."""
    p = pairs(inputs)
    return {
        "order": np.array(ORDERS),
        "layer": np.array(layers),
        "input": np.arange(inputs),
        "input_": np.arange(inputs),
        "pair": np.arange(len(p)),
        "pair_": np.arange(len(p)),
        "pair_a": ("pair", p[:, 0]),
        "pair_b": ("pair", p[:, 1]),
        "standard_bin": np.arange(len(EDGES) - 1),
        "standard_bin_left": ("standard_bin", EDGES[:-1]),
        "standard_bin_right": ("standard_bin", EDGES[1:]),
    }


def used(coordinates: dict, variables: dict[str, xr.Variable]) -> dict:
    """Those of the coordinates whose dimension some variable has."""
    dims = {dim for variable in variables.values() for dim in variable.dims}
    return {
        name: value
        for name, value in coordinates.items()
        if (value[0] if isinstance(value, tuple) else name) in dims
    }


def layer_coordinates(
    layers: Sequence[int], inputs: int, widths: Sequence[int], neurons: int
) -> dict:
    """Coordinates of members of one width, ``widths`` of each of the layers."""
    q = quads(inputs)
    return shared_coordinates(layers, inputs) | {
        "width": ("layer", list(widths), {"long_name": "neurons of the layer", "units": "1"}),
        "neuron": np.arange(neurons),
        "neuron_": np.arange(neurons),
        "quad": np.arange(len(q)),
        **{f"quad_{letter}": ("quad", q[:, k]) for k, letter in enumerate("abcd")},
        "bin": np.arange(len(EDGES) - 1),
        "bin_left": ("bin", EDGES[:-1]),
        "bin_right": ("bin", EDGES[1:]),
        "probability": PROBABILITIES,
        "sample": np.array(SAMPLES),
        "test": np.array(TESTS),
    }
