"""One member of a config, as plain data, estimated by whatever fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from finitewidth.estimate.estimates import estimate
from finitewidth.estimate.ladder import estimate_ladder


def estimate_member(member: Mapping, samples: Sequence[xr.Dataset], *, seed: int) -> xr.Dataset:
    """Estimates of a member from its shards; raises ``ValueError`` as the estimators do.

    ``member`` has the keys ``ensemble``, ``name``, ``ladder`` and ``estimate`` of a
    :class:`finitewidth.members.Member`.
    """
    names = {"seed": seed, "ensemble": member["ensemble"], "member": member["name"]}
    function = estimate if member["ladder"] is None else estimate_ladder
    # Tests of normality stand in a file of their own.
    families = [family for family in member["estimate"] if family != "normality"]
    return function(samples, families, **names)
