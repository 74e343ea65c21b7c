"""One member of a config, sampled by whatever fits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr

from finitewidth.members.stages import Sampled, SampledLadder, SampledNetworks
from finitewidth.models.activations.table import check_on_tensors
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.ntk_ways import sample_methods


def sample_member(
    member: Sampled,
    x: np.ndarray,
    *,
    seed: int,
    device: str,
    blocks: tuple[int, int],
    on_tile: Callable[[int, int], None],
) -> xr.Dataset:
    """Sample blocks ``blocks[0]`` to ``blocks[1] - 1`` of a member, on inputs x (inputs, n_0).

    Raises ``ValueError`` as the samplers do, ``ConfigError`` for an activation of an extension that
    torch computes otherwise.
    """
    check_on_tensors(torch, member.activation)
    shared: dict[str, Any] = {
        "networks": member.networks,
        "seed": seed,
        "name": (member.ensemble, member.name),
        "on_tile": on_tile,
    }
    placed: dict[str, Any] = {
        "layers": member.layers,
        "precision": member.precision,
        "device": device,
        "blocks": blocks,
    }
    if isinstance(member, SampledLadder):
        mlps = Perceptron.of_ladder(member, dimension=x.shape[1])
        measured = "conditional_ntk" in member.measure
        rates = [member.rates(mlp) for mlp in mlps] if measured else None
        return sample_ladder(mlps, x, controls=member.controls, rates=rates, **shared, **placed)
    return _networks(member, x, shared, placed)


def _networks(
    member: SampledNetworks, x: np.ndarray, shared: dict[str, Any], placed: dict[str, Any]
) -> xr.Dataset:
    mlp = Perceptron.of_member(member, dimension=x.shape[1])
    if "ntk_methods" in member.measure:
        return sample_methods(mlp, member.rates(mlp), x, outputs=member.ntk_outputs, **shared)
    recorded: dict[str, Any] = {
        "sampler": member.sampler,
        "record": member.record,
        "measure": member.measure,
    }
    if "ntk" in member.measure:
        recorded |= {"outputs": member.ntk_outputs, "memory": member.memory}
        return sample_ntk(mlp, member.rates(mlp), x, **recorded, **shared, **placed)
    return sample(mlp, x, **recorded, **shared, **placed)
