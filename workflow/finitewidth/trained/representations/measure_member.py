"""What a member's networks are: estimates, and covariances."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from finitewidth.data.images import Labelled
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.trained import TrainedNetworks
from finitewidth.trained.representations.replica_estimates import estimates
from finitewidth.trained.trained_member import CURVES, replicas_of, settings_of
from finitewidth.trained.training.epochs import largest_at_start


def measure_member(
    member: TrainedNetworks,
    data: Labelled,
    networks: xr.Dataset,
    *,
    seed: int,
    device: str,
    on_step: Callable[[str], None] = lambda step: None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Estimates of a member's networks, and their covariances: :func:`estimates`."""
    replicas = replicas_of(member, data, networks, device)
    curves = {name: networks[name].values for name in CURVES}
    on_step("largest eigenvalues at the start")
    bounds = largest_at_start(replicas.architecture, settings_of(member, seed))
    about = attributes(member, seed=seed)
    found = estimates(replicas, curves, bounds, on_step)
    return explained(found[0], about), explained(found[1], about)
