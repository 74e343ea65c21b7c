"""The dataset of a named set of input vectors. Plans are made without it, and without xarray."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from finitewidth.data.inputs import vectors
from finitewidth.data.targets import targets


def dataset(name: str, spec: Mapping, seed: int) -> xr.Dataset:
    """One entry of the config's ``inputs``: ``x`` (input, component), ``target`` (input, output).

    ``target`` is there where the entry has targets. Attributes are the name of the entry
    (``inputs``), its kind and the seed. Raises ``ConfigError`` as
    :func:`finitewidth.data.inputs.vectors` and :func:`finitewidth.data.targets.targets` do.
    """
    x = vectors(name, spec, seed)
    variables = {"x": (("input", "component"), x, {"long_name": "input vectors", "units": "1"})}
    if (y := targets(name, spec, x, seed)) is not None:
        about = {"long_name": "targets of training", "units": "1"}
        variables["target"] = (("input", "output"), y, about)
    return xr.Dataset(variables, attrs={"inputs": name, "kind": spec["kind"], "seed": seed})
