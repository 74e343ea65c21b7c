"""Sweeps over width of independent members, extrapolated in 1/n like ladders.

Tangent kernels' tensors of order 1/n are measured in members of one width each. Where an ensemble
sweeps the width, and its members differ in nothing else, they are put together as the rungs of a
ladder whose widths are independent, and :mod:`finitewidth.comparison.extrapolate` fits the same
expansion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from finitewidth.comparison.extrapolate import agree, extrapolate
from finitewidth.members.stages import Tabulated, TabulatedLadder
from finitewidth.quantities.vocabulary import FROM_SWEEPS, LEAST_MOVING, LEAST_RUNGS, MOVING


def groups(members: Sequence[tuple[Tabulated, Mapping]]) -> list[list[int]]:
    """Places of the members that differ in their width alone, narrow ones first.

    ``members`` are pairs of a description and its swept keys; groups of fewer widths than a fit
    takes are left out.
    """
    found: dict[tuple, list[int]] = {}
    for place, (about, swept) in enumerate(members):
        if "width" not in swept or isinstance(about, TabulatedLadder) or about.hidden:
            continue
        rest = tuple((key, value) for key, value in swept.items() if key != "width")
        found.setdefault((about.ensemble, rest), []).append(place)
    every = (sorted(g, key=lambda place: members[place][0].width) for g in found.values())
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
        One a member, as ``docs/files.md`` describes them.

    Returns
    -------
    estimates, theory : xarray.Dataset
        The coefficients of ``vocabulary.COEFFICIENTS`` that belong to quantities of
        ``vocabulary.FROM_SWEEPS``. A coefficient is left out if theory's first order is not the
        same at every width, as with learning rates that grow with the width. What kernels' motion
        enters is fitted over widths of ``vocabulary.LEAST_MOVING`` or more.
    """
    wide = [k for k, n in enumerate(width) if n >= LEAST_MOVING]
    kinds: list[tuple[Sequence[str], list[int]]] = [(_STILL, list(range(len(width))))]
    if len(wide) >= LEAST_RUNGS:
        kinds.append((MOVING, wide))
    found: list[xr.Dataset] = []
    told: list[xr.Dataset] = []
    for sources, at in kinds:
        one, other = _extrapolated(
            sources,
            np.array([width[k] for k in at]),
            [estimates[k] for k in at],
            [theory[k] for k in at],
        )
        found.append(one)
        told.append(other)
    both = (xr.merge(each, compat="no_conflicts", join="outer") for each in (found, told))
    return next(both), next(both)


#: What may be fitted over narrow networks, too.
_STILL = tuple(name for name in FROM_SWEEPS if name not in MOVING)


def _extrapolated(
    sources: Sequence[str],
    n: np.ndarray,
    estimates: Sequence[xr.Dataset],
    theory: Sequence[xr.Dataset],
) -> tuple[xr.Dataset, xr.Dataset]:
    """The same for some quantities, of which every width counts."""
    held: dict[str, tuple] = {}
    limits: dict[str, tuple] = {}
    known: dict[str, tuple] = {}
    for source in sources:
        if not all(source in one for one in (*estimates, *theory)):
            continue
        infinite, first = (
            np.stack([t[source].sel(order=order).values for t in theory])
            for order in ("infinite_width", "1/n")
        )
        coefficient = (first - infinite) * n.reshape(-1, *(1,) * (first.ndim - 1))
        if not (agree(infinite) and agree(coefficient)) or np.isnan(coefficient).all():
            continue
        measured = estimates[-1][source]
        dims = ("rung", *measured.dims)
        for part in ("", "_stderr", "_reason", "_diagnostic"):
            values = np.stack([e[source + part].values for e in estimates])
            held[source + part] = (dims, values, estimates[-1][source + part].attrs)
        # Widths that have their random numbers for themselves.
        apart = np.eye(len(n)).reshape(len(n), len(n), *(1,) * measured.ndim)
        square = np.where(apart > 0, held[f"{source}_stderr"][1] ** 2, 0.0)
        held[f"{source}_rungs"] = (("rung", "rung_", *measured.dims), square)
        limits[source] = (("order", *dims), infinite[None])
        attrs = theory[-1][source].attrs
        about = {"long_name": f"coefficient of 1/n in {attrs['long_name']}", "units": "1"}
        value = coefficient[-1:]
        name = f"{source}_1"
        known[name] = (("order", *measured.dims), value, about | {"equation": attrs["equation"]})
        # The coefficient itself is what theory gives, up to the error of quasi-random points.
        points = theory[-1].get(f"{source}_points")
        error = 0.0 if points is None else points.values * n[-1]
        nothing = np.where(np.isnan(value), np.nan, error)
        known[f"{name}_neglected"] = (("order", *measured.dims), nothing)
    if not held:
        return xr.Dataset(), xr.Dataset()
    every = {dim for variable in held.values() for dim in variable[0]}
    coords = {
        name: coordinate.variable
        for name, coordinate in estimates[-1].coords.items()
        if name != "width" and set(coordinate.dims) <= every
    }
    ladder = xr.Dataset(held, coords).assign_coords(width=("rung", n))
    limit = xr.Dataset(limits, coords | {"order": ["infinite_width"]})
    return extrapolate(ladder, limit), xr.Dataset(known, coords | {"order": ["1/n"]})
