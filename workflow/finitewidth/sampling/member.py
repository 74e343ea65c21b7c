"""One member of a config, as plain data, sampled by whatever fits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from finitewidth.law import Law
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.ladder import sample_ladder


def sample_member(
    member: Mapping,
    x: np.ndarray,
    *,
    seed: int,
    device: str,
    blocks: tuple[int, int],
    on_tile: Callable[[int, int], None],
) -> xr.Dataset:
    """Sample blocks ``blocks[0]`` to ``blocks[1] - 1`` of a member, on inputs x (inputs, n_0).

    ``member`` is a :class:`finitewidth.members.Member` as plain data; raises ``ValueError`` as the
    samplers do.
    """
    shared = {
        "networks": member["networks"],
        "seed": seed,
        "name": (member["ensemble"], member["name"]),
        "layers": member["layers"],
        "precision": member["precision"],
        "device": device,
        "blocks": blocks,
        "on_tile": on_tile,
    }
    if member["ladder"] is not None:
        laws = Law.of_ladder(member, dimension=x.shape[1])
        return sample_ladder(laws, x, controls=member["controls"], **shared)
    law = Law.of_member(member, dimension=x.shape[1])
    own = {key: member[key] for key in ("sampler", "record", "measure")}
    return sample(law, x, **own, **shared)
