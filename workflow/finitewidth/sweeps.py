"""Sweeps over width of members that have random numbers of their own, extrapolated as ladders are.

Tangent kernels' tensors of order 1/n are measured in members of one width each. Where an ensemble
sweeps the width, and its members differ in nothing else, they are put together as the rungs of a
ladder whose widths are independent, and :mod:`finitewidth.extrapolate` fits the same expansion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from finitewidth.extrapolate import extrapolate
from finitewidth.vocabulary import COEFFICIENTS, FROM_SWEEPS, LEAST_RUNGS

#: Coefficients of 1/n that widths give differ by rounding alone where theory has the expansion.
_ROUNDING = 1e-6


def groups(members: Sequence[tuple[Mapping, Mapping]]) -> list[list[int]]:
    """Places of the members that differ in their width alone, narrow ones first.

    ``members`` are pairs of a description and its swept keys; groups of fewer widths than a fit
    takes are left out.
    """
    found: dict[tuple, list[int]] = {}
    for place, (about, swept) in enumerate(members):
        if "width" not in swept or about["ladder"] or about["hidden"]:
            continue
        rest = tuple((key, value) for key, value in swept.items() if key != "width")
        found.setdefault((about["ensemble"], rest), []).append(place)
    every = (sorted(g, key=lambda place: members[place][0]["width"]) for g in found.values())
    return [g for g in every if len(g) >= LEAST_RUNGS]


def extrapolate_sweep(
    width: Sequence[int], estimates: Sequence[xr.Dataset], theory: Sequence[xr.Dataset]
) -> tuple[xr.Dataset, xr.Dataset]:
    """Coefficients of 1/n fitted over members of several widths, and what theory says of them.

    Parameters
    ----------
    width : sequence of int
        Of the hidden layers, one a member; members are independent of each other.
    estimates, theory : sequence of xarray.Dataset
        One a member, as ``docs/architecture.md`` describes them.

    Returns
    -------
    estimates, theory : xarray.Dataset
        The coefficients of ``vocabulary.COEFFICIENTS`` that belong to quantities of
        ``vocabulary.FROM_SWEEPS``. Those are left out of which theory does not have one and the
        same first order at every width, as of rates that grow with the width.
    """
    n = np.asarray(width)
    rung = xr.Variable("rung", np.arange(len(n)))
    held, limits, known = {}, {}, {}
    for source in FROM_SWEEPS:
        if not all(source in one for one in (*estimates, *theory)):
            continue
        infinite, first = (
            _stacked([t[source].sel(order=order, drop=True) for t in theory], rung)
            for order in ("infinite_width", "1/n")
        )
        coefficient = (first - infinite) * xr.DataArray(n, dims="rung")
        if not (_agree(infinite) and _agree(coefficient)) or coefficient.isnull().all():
            continue
        for part in ("", "_stderr", "_reason", "_diagnostic"):
            held[source + part] = _stacked([e[source + part] for e in estimates], rung)
        square = held[f"{source}_stderr"] ** 2
        apart = xr.DataArray(np.eye(len(n)), dims=("rung", "rung_"))
        # A width whose error is not known has no share in the others' either.
        held[f"{source}_rungs"] = xr.where(apart > 0, square, 0.0)
        limits[source] = infinite.expand_dims(order=["infinite_width"])
        name = next(c for c, (of, power) in COEFFICIENTS.items() if (of, power) == (source, 1))
        attrs = theory[0][source].attrs
        about = {"long_name": f"coefficient of 1/n in {attrs['long_name']}", "units": "1"}
        value = coefficient.isel(rung=-1, drop=True).expand_dims(order=["1/n"])
        known[name] = value.assign_attrs(about | {"equation": attrs["equation"]})
        known[f"{name}_neglected"] = value.where(value.isnull(), 0.0)
    if not held:
        return xr.Dataset(), xr.Dataset()
    ladder = xr.Dataset(held).assign_coords(width=("rung", n))
    return extrapolate(ladder, xr.Dataset(limits)), xr.Dataset(known)


def _stacked(values: Sequence[xr.DataArray], rung: xr.Variable) -> xr.DataArray:
    # The width stands at each layer of a member, and along the rungs here.
    return xr.concat([v.drop_vars("width", errors="ignore") for v in values], rung)


def _agree(values: xr.DataArray) -> bool:
    """Whether every width has the same, or none has any."""
    first = values.isel(rung=0)
    size = float(np.abs(first).max()) if bool(first.notnull().any()) else 0.0
    same = np.isclose(values, first, rtol=_ROUNDING, atol=_ROUNDING * size, equal_nan=True)
    return bool(np.all(same))
