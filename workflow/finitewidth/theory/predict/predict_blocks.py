"""The dataset of predictions of one member made of blocks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import xarray as xr

from finitewidth.quantities.description import Quantity
from finitewidth.quantities.vocabulary import DESCRIBED
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.predict_ntk import at_last, tangent_coordinates
from finitewidth.theory.predict.predict_preactivations import layer_coordinates, used, variable
from finitewidth.theory.predict.predicted_blocks import OF_LAST_LAYER, OF_LAYERS


def predict_blocks(case: BlockCase, families: Collection[str]) -> xr.Dataset:
    """Predict the estimates of one member, order by order.

    Parameters
    ----------
    case : BlockCase
    families : collection of str
        Of any kind; of those that nothing is said of, extensions' among them, there is nothing.

    Returns
    -------
    xarray.Dataset
        As :func:`~finitewidth.theory.predict.predict_preactivations.predict` makes it.

    Raises
    ------
    ValueError
        If inputs have another shape than the network takes.
    """
    variables = {}
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for name, told in OF_LAYERS.items():
            if name in families:
                for quantity, orders in told(case).items():
                    variables[quantity] = variable(_described(quantity), orders)
        for name, told in OF_LAST_LAYER.items():
            if name in families:
                for quantity, orders in told(case).items():
                    placed = {o: at_last(values, case.layers) for o, values in orders.items()}
                    variables[quantity] = variable(_described(quantity), placed)
    N = case.shape[1]
    every = layer_coordinates(case.layers, N, case.widths, case.neurons)
    every |= tangent_coordinates(case.layers, N, case.widths)
    return xr.Dataset(variables).assign_coords(used(every, variables))


def _described(quantity: str) -> Quantity:
    """A quantity with the section that says what is known of it of networks made of blocks."""
    return replace(DESCRIBED[quantity], equation="docs/theory.md 13", source="derived here")
