"""One member of a config, as plain data, estimated by whatever fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate


def estimate_member(member: Mapping, samples: Sequence[xr.Dataset], *, seed: int) -> xr.Dataset:
    """Estimates of a member from its shards; raises ``ValueError`` as the estimators do.

    ``member`` has the keys ``ensemble``, ``name``, ``ladder``, ``weights`` and ``estimate``
    of a :class:`finitewidth.planning.members.Member`.
    """
    names = {"seed": seed, "ensemble": member["ensemble"], "member": member["name"]}
    # Tests of normality stand in a file of their own.
    families = [family for family in member["estimate"] if family != "normality"]
    if member["ladder"] is not None:
        return estimate_ladder(samples, families, **names)
    return estimate(samples, families, isotropic=member["weights"] == "normal", **names)
