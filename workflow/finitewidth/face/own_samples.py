"""Samples made by somebody's own code, brought to the shape that estimators read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs, quads
from finitewidth.core.words import check_words
from finitewidth.members.attributes import explained
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS

#: What may be given, with the dimensions of each; see :func:`finitewidth.estimate`.
SHAPES = {
    "preactivation": ("network", "layer", "input", "neuron"),
    "kernel": ("network", "layer", "input", "input_"),
    "quartic": ("network", "layer", "quad"),
    "sextic": ("network", "layer", "input"),
    "gradient": ("network", "layer", "input"),
    "jacobian": ("network", "layer", "input", "singular"),
    "entropy": ("network", "layer", "input"),
    "log_norm": ("network", "layer", "input"),
    "ntk": ("network", "output", "output_", "input", "input_"),
    "output_preactivation": ("network", "output", "input"),
    "conditional_kernel": ("network", "pair"),
}
#: Neurons that are kept of each layer, as samplers keep them.
_KEPT = 8


def of_arrays(given: Mapping[str, Any], layers: Any = None, width: Any = None) -> xr.Dataset:
    """A dataset of samples of arrays, or tensors, of the shapes ``SHAPES``.

    Sums over neurons that are not given are taken over those that are: then these have to be all of
    a layer. Raises ``ValueError`` in one sentence, where names or shapes do not fit.
    """
    if not check_words("samples", list(given), SHAPES):
        raise ValueError(f"samples: given none, allowed are {', '.join(SHAPES)}")
    arrays = {name: _array(name, values) for name, values in given.items()}
    sizes: dict[str, int] = {}
    for name, values in arrays.items():
        for dimension, size in zip(SHAPES[name], values.shape, strict=True):
            alike = dimension.rstrip("_")
            if sizes.setdefault(alike, size) != size:
                raise ValueError(
                    f"samples: {name} has {size} along {dimension}, where the arrays before have"
                    f" {sizes[alike]}; it is of shape ({', '.join(SHAPES[name])})"
                )
    if "preactivation" in arrays:
        if width is None:
            arrays = _sums(arrays["preactivation"]) | arrays
            width = sizes["neuron"]
        arrays["preactivation"] = arrays["preactivation"][..., :_KEPT].astype(np.float32)
    count = sizes.get("layer", 1)
    numbers = np.arange(1, count + 1) if layers is None else np.atleast_1d(layers)
    if numbers.shape != (count,):
        raise ValueError(f"layers: given {len(numbers)} of them, where the samples have {count}")
    if width is None:
        raise ValueError(
            "width: given nothing, allowed are the neurons of each layer, which kernels and tangent"
            " kernels alone do not tell"
        )
    inputs = sizes.get("input", 0)
    coords: dict[str, Any] = {
        "network": np.arange(sizes["network"]),
        "layer": numbers,
        "width": ("layer", np.broadcast_to(np.asarray(width), (count,)).astype(int)),
        "input": np.arange(inputs),
    }
    a, b = pairs(inputs).T
    if "conditional_kernel" in arrays:
        coords |= {"pair_a": ("pair", a), "pair_b": ("pair", b)}
    if "quartic" in arrays:
        columns = zip("abcd", quads(inputs).T, strict=True)
        coords |= {f"quad_{letter}": ("quad", column) for letter, column in columns}
    variables = {name: (SHAPES[name], values) for name, values in arrays.items()}
    return explained(xr.Dataset(variables, coords), {})


def check_samples(first: xr.Dataset) -> None:
    """Raise ``ValueError`` in one sentence where a dataset is none of samples."""
    for name in ("network", "layer", "width"):
        if name not in first.coords:
            raise ValueError(
                f"samples: the coordinate {name} is missing, allowed are samples of fw.sample, or"
                " arrays by name"
            )
    known = {
        "conditional_kernel",
        "ntk",
        "kernel",
        "log_norm",
        "preactivation",
        "gradient",
        "jacobian",
        "entropy",
    }
    if not known & set(first.data_vars):
        words = ", ".join(sorted(known))
        raise ValueError(f"samples: given a dataset without samples, allowed are {words}")


def _array(name: str, given: Any) -> np.ndarray:
    # A tensor may have a graph, and stand on a GPU.
    for method in ("detach", "cpu"):
        given = getattr(given, method)() if hasattr(given, method) else given
    values = np.asarray(given)
    if values.dtype.kind not in "iuf":
        raise ValueError(f"samples: {name} holds {values.dtype}, allowed are numbers")
    if values.ndim != len(SHAPES[name]) or 0 in values.shape:
        raise ValueError(
            f"samples: {name} is of shape {values.shape}, allowed is ({', '.join(SHAPES[name])})"
        )
    return values


def _sums(z: np.ndarray) -> dict[str, np.ndarray]:
    """Means over all neurons of products of two, four and six, as samplers record them."""
    inputs = z.shape[2]
    kernel, sextic = np.zeros((*z.shape[:3], inputs)), np.zeros(z.shape[:3])
    few = inputs <= FOUR_POINT_MOST_INPUTS
    index = quads(inputs)
    quartic = np.zeros((*z.shape[:2], len(index) if few else 0))
    # Network by network: double precision for all of them at once may be more than there is.
    for place, one in enumerate(z):
        one = one.astype(float)
        kernel[place] = one @ one.swapaxes(1, 2) / z.shape[3]
        sextic[place] = np.mean(one**6, axis=2)
        if few:
            a, b, c, d = (one[:, column] for column in index.T)
            quartic[place] = np.mean(a * b * c * d, axis=2)
    return {"kernel": kernel, "sextic": sextic} | ({"quartic": quartic} if few else {})
