"""Networks drawn from the covariances of a member's."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from finitewidth.data.images import Labelled
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.trained import GeneratedNetworks
from finitewidth.trained.generation.generated import generated
from finitewidth.trained.trained_member import replicas_of


def generate_member(
    member: GeneratedNetworks,
    data: Labelled,
    networks: xr.Dataset,
    *,
    seed: int,
    device: str,
    on_network: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Networks generated from the covariances of a member's replicas, and their accuracy."""
    replicas = replicas_of(member, data, networks, device)
    stream = (seed, "rainbow", member.ensemble, member.name)
    found = generated(replicas, member.rainbow, stream, on_network)
    return explained(found, attributes(member, seed=seed))
