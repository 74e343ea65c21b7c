"""The dataset of estimates: every quantity as it is described, with its error and coordinates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from finitewidth.core import reasons
from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.core.indices import pairs, quads
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.quantities.vocabulary import DESCRIBED


def dataset(
    estimates: Mapping[str, Estimate],
    layers: np.ndarray,
    widths: np.ndarray,
    inputs: int,
    width_along: str = "layer",
) -> xr.Dataset:
    """Estimates with their errors, trust and coordinates.

    Parameters
    ----------
    estimates : mapping
        Quantity -> estimate with the dimensions that ``quantities`` gives it.
    layers : array of int, shape (layer,)
    widths : array of int
        Neurons of each layer, or of each rung of a ladder.
    inputs : int
    width_along : str
        ``layer`` or ``rung``.

    Returns
    -------
    xarray.Dataset
        Five variables a quantity: ``<name>``, ``<name>_stderr``, ``<name>_trusted`` (int8), and
        why not: ``<name>_reason`` (int8) and ``<name>_diagnostic`` (float32).
    """
    result = variables(estimates)
    every = _coordinates(layers, inputs, result.sizes)
    about = {"long_name": "neurons of the layer", "units": "1"}
    every["width"] = (width_along, np.asarray(widths), about)
    used = {
        name: c
        for name, c in every.items()
        if (c[0] if isinstance(c, tuple) else name) in result.dims
    }
    return result.assign_coords(used)


def variables(estimates: Mapping[str, Estimate]) -> xr.Dataset:
    """Estimates with their errors and trust, without coordinates."""
    found: dict = {}
    for name, estimate in estimates.items():
        dims, long_name = DESCRIBED[name].dims, DESCRIBED[name].meaning
        found[name] = (dims, estimate.value, {"long_name": long_name, "units": "1"})
        found[f"{name}_stderr"] = (
            dims,
            estimate.stderr,
            {"long_name": f"standard error of {long_name}", "units": "1"},
        )
        why = estimate.reason, estimate.diagnostic
        found |= reasons.variables(name, dims, *why, of=long_name)
    return xr.Dataset(found)


def _coordinates(layers: np.ndarray, inputs: int, sizes: Mapping[Hashable, int]) -> dict:
    p, q, bins = pairs(inputs), quads(inputs), len(EDGES) - 1
    couples = np.arange(inputs**2)
    return {
        "layer": np.asarray(layers),
        "rung": np.arange(sizes.get("rung", 0)),
        "input": np.arange(inputs),
        "input_": np.arange(inputs),
        "neuron": np.arange(sizes.get("neuron", 0)),
        "neuron_": np.arange(sizes.get("neuron", 0)),
        "pair": np.arange(len(p)),
        "pair_": np.arange(len(p)),
        "pair_a": ("pair", p[:, 0]),
        "pair_b": ("pair", p[:, 1]),
        "quad": np.arange(len(q)),
        **{f"quad_{letter}": ("quad", q[:, k]) for k, letter in enumerate("abcd")},
        "couple": couples,
        "couple_": couples,
        "couple_a": ("couple", couples // inputs),
        "couple_b": ("couple", couples % inputs),
        "rank": np.arange(1, inputs + 1),
        "bin": np.arange(bins),
        "bin_left": ("bin", EDGES[:-1]),
        "bin_right": ("bin", EDGES[1:]),
        "standard_bin": np.arange(bins),
        "standard_bin_left": ("standard_bin", EDGES[:-1]),
        "standard_bin_right": ("standard_bin", EDGES[1:]),
        "probability": PROBABILITIES,
        "sample": np.array(["ensemble", "gaussian"]),
    }
