"""The dataset of estimates: dimensions, long names and coordinates of every quantity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from finitewidth.core import reasons
from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.core.indices import pairs, quads
from finitewidth.estimate.errors.jackknife import Estimate

_AT_INPUT = ("layer", "input")
_AT_INPUTS = ("layer", "input", "input_")
_AT_RUNG = ("rung", "layer", "input")
_AT_PAIRS = ("layer", "pair", "pair_")
_AT_COUPLES = ("layer", "couple", "couple_")

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
        _AT_PAIRS,
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
    "kernel_mean": (("rung", "layer", "pair"), "mean of the conditional kernel"),
    "kernel_covariance": (
        ("rung", "layer", "pair", "pair_"),
        "covariance of two conditional kernels",
    ),
    "kernel_third": (_AT_RUNG, "third cumulant of the conditional kernel"),
    "ntk_mean": (("rung", "layer", "pair"), "mean of the tangent kernel"),
    "inverse_kernel_mean": (_AT_RUNG, "mean of the inverse of the conditional kernel"),
    "log_kernel_mean": (_AT_RUNG, "mean logarithm of conditional kernels that are not zero"),
    "log_kernel_variance": (
        _AT_RUNG,
        "variance of the logarithm of conditional kernels that are not zero",
    ),
    "log_kernel_histogram": (
        (*_AT_RUNG, "standard_bin"),
        "probability that the standardised logarithm lies in [left, right)",
    ),
    "ntk": (_AT_INPUTS, "mean tangent kernel of one output"),
    "ntk_variance": (_AT_PAIRS, "covariance of two tangent kernels of one output"),
    "ntk_second_moment": (
        _AT_INPUT,
        "second moment of the tangent kernel over its mean squared",
    ),
    "ntk_A": (_AT_PAIRS, "covariance of the tangent kernels of two outputs, A/n"),
    "ntk_B": (_AT_COUPLES, "second moment of the tangent kernel between two outputs, B/n"),
    "ntk_D": (_AT_PAIRS, "covariance of conditional kernel and tangent kernel, D/n"),
    "ntk_F": (
        _AT_COUPLES,
        "correlator of two outputs and the tangent kernel between them, F/n",
    ),
    "dntk_P": (
        _AT_COUPLES,
        "correlator of an output and the differential of its tangent kernel, P/n",
    ),
    "dntk_Q": (
        _AT_COUPLES,
        "correlator of an output and the differential of another's tangent kernel, Q/n",
    ),
    "ntk_eigenvalue": (("layer", "rank"), "mean eigenvalue of the tangent kernel over the inputs"),
    "way_deviation": (
        ("layer", "way"),
        "largest deviation of a tangent kernel from the contracted Jacobian, over its size",
    ),
    "ntk_log_condition": (
        ("layer",),
        "mean logarithm of the condition number of the tangent kernel over the inputs",
    ),
}


def dataset(
    estimates: Mapping[str, Estimate], layers, widths, inputs: int, width_along: str = "layer"
) -> xr.Dataset:
    """Estimates with their errors, trust and coordinates.

    Parameters
    ----------
    estimates : mapping
        Quantity -> estimate with the dimensions of ``QUANTITIES``.
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
    variables = {}
    for name, estimate in estimates.items():
        dims, long_name = QUANTITIES[name]
        variables[name] = (dims, estimate.value, {"long_name": long_name, "units": "1"})
        variables[f"{name}_stderr"] = (
            dims,
            estimate.stderr,
            {"long_name": f"standard error of {long_name}", "units": "1"},
        )
        why = estimate.reason, estimate.diagnostic
        variables |= reasons.variables(name, dims, *why, of=long_name)
    result = xr.Dataset(variables)
    every = _coordinates(layers, inputs, result.sizes)
    about = {"long_name": "neurons of the layer", "units": "1"}
    every["width"] = (width_along, np.asarray(widths), about)
    used = {
        name: c
        for name, c in every.items()
        if (c[0] if isinstance(c, tuple) else name) in result.dims
    }
    return result.assign_coords(used)


def _coordinates(layers, inputs: int, sizes: Mapping[str, int]) -> dict:
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
