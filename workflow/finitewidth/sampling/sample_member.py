"""One member of a config, as plain data, sampled by whatever fits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import xarray as xr

from finitewidth.models.activations.table import check_on_tensors
from finitewidth.models.law import Law
from finitewidth.models.parameterisation import Rates
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.ntk_ways import sample_methods


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

    ``member`` is a :class:`finitewidth.planning.members.Member` as plain data; raises
    ``ValueError`` as the samplers do, ``ConfigError`` for an activation of an extension that torch
    computes otherwise.
    """
    check_on_tensors(torch, member["activation"])
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
        measured = "conditional_ntk" in member["measure"]
        rates = [Rates.of_member(member, law) for law in laws] if measured else None
        return sample_ladder(laws, x, controls=member["controls"], rates=rates, **shared)
    law = Law.of_member(member, dimension=x.shape[1])
    if "ntk_methods" in member["measure"]:
        own = {key: shared[key] for key in ("networks", "seed", "name", "on_tile")}
        outputs = member["ntk_outputs"]
        return sample_methods(law, Rates.of_member(member, law), x, outputs=outputs, **own)
    if "ntk" in member["measure"]:
        own = {key: member[key] for key in ("sampler", "record", "measure", "memory")}
        outputs = member["ntk_outputs"]
        return sample_ntk(law, Rates.of_member(member, law), x, outputs=outputs, **own, **shared)
    own = {key: member[key] for key in ("sampler", "record", "measure")}
    return sample(law, x, **own, **shared)
