"""The dataset of predictions of one member: the names and dimensions of its estimates."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from finitewidth.bins import EDGES, PROBABILITIES
from finitewidth.indices import pairs, quads
from finitewidth.law import Law
from finitewidth.theory import predicted_laws, predicted_moments, predicted_tests
from finitewidth.theory.case import Case
from finitewidth.theory.kernel import check_layers
from finitewidth.theory.quantities import QUANTITIES
from finitewidth.vocabulary import SAMPLES, TESTS

#: The coordinate ``order``.
ORDERS = ("infinite_width", "1/n", "1/n^2", "double_scaling", "exact")

_FAMILIES = {
    "covariance": predicted_moments.covariance,
    "four_point": predicted_moments.four_point,
    "six_point": predicted_moments.six_point,
    "kurtosis": predicted_moments.kurtosis,
    "distribution": predicted_laws.distribution,
    "log_norm": predicted_laws.log_norm,
    "quadruple": predicted_moments.quadruple,
    "normality": predicted_tests.normality,
}


def predict(
    law: Law,
    x: np.ndarray,
    layers: Sequence[int],
    families: Collection[str],
    neurons: int = 4,
    networks: int | None = None,
) -> xr.Dataset:
    """Predict the estimates of one member, order by order.

    Parameters
    ----------
    law : Law
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        The recorded layers, numbered from 1.
    families : collection of str
        Of covariance, four_point, six_point, kurtosis, distribution, log_norm, quadruple and
        normality.
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
    unknown = sorted(set(families) - set(_FAMILIES))
    if unknown:
        raise ValueError(
            f"unknown families {', '.join(unknown)}; allowed are {', '.join(_FAMILIES)}"
        )
    x = np.asarray(x, dtype=float)
    case = Case(law, x, check_layers(law, layers), neurons, networks)
    variables = {}
    for name, function in _FAMILIES.items():
        if name in families:
            for quantity, orders in function(case).items():
                variables[quantity] = _variable(quantity, orders)
    return xr.Dataset(variables).assign_coords(_coordinates(case, variables))


def _variable(quantity: str, orders: dict[str, np.ndarray]) -> xr.Variable:
    about = QUANTITIES[quantity]
    shape = next(iter(orders.values())).shape
    values = np.full((len(ORDERS), *shape), np.nan)
    for order, array in orders.items():
        values[ORDERS.index(order)] = array
    attributes = {
        "long_name": about.long_name,
        "units": "1",
        "equation": about.equation,
        "references": about.references,
    }
    return xr.Variable(("order", *about.dims), values, attributes)


def _coordinates(case: Case, variables: dict[str, xr.Variable]) -> dict:
    N = len(case.x)
    p, q = pairs(N), quads(N)
    width = [case.law.widths[layer] for layer in case.layers]
    every = {
        "order": np.array(ORDERS),
        "layer": np.array(case.layers),
        "width": ("layer", width, {"long_name": "neurons of the layer", "units": "1"}),
        "input": np.arange(N),
        "input_": np.arange(N),
        "neuron": np.arange(case.neurons),
        "neuron_": np.arange(case.neurons),
        "pair": np.arange(len(p)),
        "pair_": np.arange(len(p)),
        "pair_a": ("pair", p[:, 0]),
        "pair_b": ("pair", p[:, 1]),
        "quad": np.arange(len(q)),
        **{f"quad_{letter}": ("quad", q[:, k]) for k, letter in enumerate("abcd")},
        "bin": np.arange(len(EDGES) - 1),
        "bin_left": ("bin", EDGES[:-1]),
        "bin_right": ("bin", EDGES[1:]),
        "standard_bin": np.arange(len(EDGES) - 1),
        "standard_bin_left": ("standard_bin", EDGES[:-1]),
        "standard_bin_right": ("standard_bin", EDGES[1:]),
        "probability": PROBABILITIES,
        "sample": np.array(SAMPLES),
        "test": np.array(TESTS),
    }
    used = {dim for variable in variables.values() for dim in variable.dims}
    return {
        name: value
        for name, value in every.items()
        if (value[0] if isinstance(value, tuple) else name) in used
    }
