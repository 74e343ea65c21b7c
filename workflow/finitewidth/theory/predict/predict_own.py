"""The dataset of what an extension's theory says of its own network."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from finitewidth.core.errors import one_of
from finitewidth.models.own_network import OwnCase, OwnShape
from finitewidth.models.own_networks import get, refused
from finitewidth.quantities.held import ORDERS, sizes
from finitewidth.quantities.vocabulary import DESCRIBED, FAMILIES
from finitewidth.theory.predict.predict_ntk import tangent_coordinates
from finitewidth.theory.predict.predict_preactivations import layer_coordinates, used, variable

#: Orders of the expansion in 1/n, one after another.
_EXPANSION = ("infinite_width", "1/n", "1/n^2")


def predict_own(
    shape: OwnShape,
    width: int,
    x: np.ndarray,
    layers: Sequence[int],
    families: Collection[str],
    neurons: int,
) -> xr.Dataset:
    """What the network's own theory says, order by order, and what each leaves out.

    An order leaves out what the next one adds, ``exact`` nothing; of the last nothing is known.

    Parameters
    ----------
    shape : OwnShape
    width : int
    x : ndarray, shape (inputs, n_0)
    layers : sequence of int
    families : collection of str
    neurons : int
        How many neurons ``neuron_covariance`` has.

    Returns
    -------
    xarray.Dataset
        As :func:`~finitewidth.theory.predict.predict_preactivations.predict` makes it; without a
        theory of coordinates alone.

    Raises
    ------
    ConfigError
        In one sentence, where the theory gives something else than its quantity is.
    """
    own = get(shape.own)
    names = tuple(q for family in families for q in FAMILIES[family].names)
    each = tuple(shape.sizes[k - 1] for k in layers)
    found: Mapping = {}
    if own.theory is not None:
        case = OwnCase(width, tuple(layers), each, x, names)
        try:
            found = own.theory(case)
        except Exception as error:
            given = f"whose theory raises {type(error).__name__}: {error}"
            raise refused(own.name, given, "one that can be run") from error
    if not isinstance(found, Mapping):
        raise refused(own.name, f"whose theory gives a {type(found).__name__}", "a mapping")
    expected = {"layer": len(layers), "neuron": neurons, **sizes(len(x))}
    variables: dict[str, xr.Variable] = {}
    for quantity, orders in found.items():
        if quantity not in names:
            # Of families that are not estimated it may tell, too.
            if quantity in DESCRIBED:
                continue
            raise refused(own.name, f"whose theory tells of {quantity!r}", one_of(names))
        told = _orders(own.name, quantity, orders, expected)
        about = replace(DESCRIBED[quantity], equation="docs/own-networks.md", source="")
        variables[quantity] = variable(about, told)
        variables[f"{quantity}_neglected"] = variable(about, _neglected(told))
        variables[f"{quantity}_neglected"].attrs = {
            "long_name": f"what an order leaves out of the {about.meaning}", "units": "1",
        }  # fmt: skip
    every = layer_coordinates(layers, len(x), each, neurons)
    every |= tangent_coordinates(layers, len(x), each)
    # Figures ask which layers and orders there are, of what nothing is known, too.
    always = {name: every[name] for name in ("order", "layer")}
    return xr.Dataset(variables).assign_coords(always | used(every, variables))


def _orders(
    name: str, quantity: str, orders: object, expected: Mapping[str, int]
) -> dict[str, np.ndarray]:
    if not isinstance(orders, Mapping) or not orders:
        raise refused(name, f"whose theory of {quantity} has no orders", f"some of {_ORDERS}")
    dims = DESCRIBED[quantity].dims
    wanted = tuple(expected.get(d.rstrip("_"), expected.get(d, -1)) for d in dims)
    told = {}
    for order, values in orders.items():
        if order not in ORDERS:
            raise refused(name, f"whose theory of {quantity} has the order {order!r}", _ORDERS)
        try:
            array = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise refused(name, f"whose theory of {quantity} is no array", "numbers") from error
        if array.shape != wanted:
            given = f"whose theory of {quantity} has an array of shape {array.shape}"
            raise refused(name, given, f"{wanted}, ({', '.join(dims)})")
        told[order] = array
    return told


_ORDERS = ", ".join(ORDERS)


def _neglected(told: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {order: np.full_like(values, np.nan) for order, values in told.items()}
    if "exact" in found:
        found["exact"] = np.zeros_like(found["exact"])
    known = [order for order in _EXPANSION if order in told]
    for order, after in itertools.pairwise(known):
        found[order] = np.abs(told[after] - told[order])
    return found
