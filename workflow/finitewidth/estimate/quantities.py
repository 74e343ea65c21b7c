"""The dataset of estimates: dimensions, long names and coordinates of every quantity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from finitewidth.bins import EDGES, PROBABILITIES
from finitewidth.estimate.errors import Estimate
from finitewidth.indices import pairs, quads

_AT_INPUT = ("layer", "input")
_AT_INPUTS = ("layer", "input", "input_")

#: Quantity -> dimensions, long name.
QUANTITIES: dict[str, tuple[tuple[str, ...], str]] = {
    "covariance": (_AT_INPUTS, "covariance of preactivations, pooled over neurons"),
    "neuron_covariance": (
        ("layer", "neuron", "neuron_", "input", "input_"),
        "covariance of preactivations, neuron by neuron",
    ),
    "cross_covariance": (
        _AT_INPUTS,
        "covariance of different neurons, pooled over recorded neurons",
    ),
    "correlation": (_AT_INPUTS, "cosine between two inputs, G_ab/sqrt(G_aa G_bb)"),
    "four_point": (
        ("layer", "pair", "pair_"),
        "connected four-point correlator of two neurons, pooled over pairs of neurons",
    ),
    "four_point_same": (("layer", "quad"), "connected four-point correlator of one neuron"),
    "intralayer": (_AT_INPUT, "covariance of the squares of two neurons"),
    "six_point": (_AT_INPUT, "connected six-point correlator of three neurons"),
    "excess_kurtosis": (_AT_INPUT, "excess kurtosis of preactivations"),
    "histogram": ((*_AT_INPUT, "bin"), "probability that z/sqrt(G) lies in [left, right)"),
    "quantile": ((*_AT_INPUT, "probability"), "quantile of z/sqrt(G)"),
    "dead_fraction": (_AT_INPUT, "probability that the whole layer is zero"),
    "log_norm_mean": (_AT_INPUT, "mean log-norm of layers that are not dead"),
    "log_norm_variance": (_AT_INPUT, "variance of the log-norm of layers that are not dead"),
    "log_norm_histogram": (
        (*_AT_INPUT, "standard_bin"),
        "probability that the standardised log-norm lies in [left, right)",
    ),
    "quadruple": (
        ("sample", *_AT_INPUT),
        "mean absolute connected correlator of random quadruples of neurons, over K^2",
    ),
}


def dataset(estimates: Mapping[str, Estimate], layers, widths, inputs: int) -> xr.Dataset:
    """Estimates with their errors, trust and coordinates.

    Parameters
    ----------
    estimates : mapping
        Quantity -> estimate with the dimensions of ``QUANTITIES``.
    layers, widths : array of int, shape (layer,)
    inputs : int

    Returns
    -------
    xarray.Dataset
        Three variables a quantity: ``<name>``, ``<name>_stderr`` and ``<name>_trusted`` (int8).
    """
    variables = {}
    for name, estimate in estimates.items():
        dims, long_name = QUANTITIES[name]
        variables[name] = (dims, estimate.value, {"long_name": long_name, "units": "1"})
        variables[f"{name}_stderr"] = (
            dims,
            estimate.stderr,
            {"long_name": f"standard error of {long_name}", "units": "1"},
        )
        variables[f"{name}_trusted"] = (
            dims,
            estimate.trusted.astype(np.int8),
            {
                "long_name": f"whether the standard error can be believed: {long_name}",
                "units": "1",
                "flag_values": np.array([0, 1], np.int8),
                "flag_meanings": "untrusted trusted",
            },
        )
    result = xr.Dataset(variables)
    every = _coordinates(layers, widths, inputs, result.sizes)
    used = {
        name: c
        for name, c in every.items()
        if (c[0] if isinstance(c, tuple) else name) in result.dims
    }
    return result.assign_coords(used)


def _coordinates(layers, widths, inputs: int, sizes: Mapping[str, int]) -> dict:
    p, q, bins = pairs(inputs), quads(inputs), len(EDGES) - 1
    return {
        "layer": np.asarray(layers),
        "width": ("layer", np.asarray(widths), {"long_name": "neurons of the layer", "units": "1"}),
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
        "bin": np.arange(bins),
        "bin_left": ("bin", EDGES[:-1]),
        "bin_right": ("bin", EDGES[1:]),
        "standard_bin": np.arange(bins),
        "standard_bin_left": ("standard_bin", EDGES[:-1]),
        "standard_bin_right": ("standard_bin", EDGES[1:]),
        "probability": PROBABILITIES,
        "sample": np.array(["ensemble", "gaussian"]),
    }
