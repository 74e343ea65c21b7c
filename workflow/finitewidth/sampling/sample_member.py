"""One member of a config, sampled by whatever fits it.

What computes by torch is imported where it is used: to import torch takes a second, and most
members are drawn without.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.extensions.loaded import entry_of
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.inputs import TrainingInputs
from finitewidth.members.stages import (
    Population,
    Sampled,
    SampledLadder,
    SampledNetworks,
    SampledTraining,
)
from finitewidth.models.activations.table import check_on_tensors
from finitewidth.models.architecture import Architecture
from finitewidth.models.block_network import architecture_of
from finitewidth.models.own_network import OwnShape
from finitewidth.models.own_networks import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk

#: How datasets of one member are merged: xarray's own defaults will change.
_TOGETHER: dict[str, Any] = {"compat": "no_conflicts", "join": "outer"}


def compile_ahead() -> None:
    """Compile what studies draw by in single precision, unless it is there: for an installation,
    so that no job of a first run has to."""
    mlp = Perceptron.uniform_width("relu", dimension=1, width=1, depth=2)
    x = np.ones((1, 1))
    sample(mlp, x, networks=1, seed=0)
    sample_ladder([mlp], x, networks=1, seed=0)
    rates = LearningRates.named("ntk", mlp)
    for sampler in ("marginal", "scalar"):
        sample_ntk(mlp, rates, x, networks=1, seed=0, sampler=sampler)


def sample_member(
    member: Sampled,
    x: np.ndarray | TrainingInputs,
    *,
    seed: int,
    device: str,
    blocks: tuple[int, int],
    islands: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None],
) -> xr.Dataset:
    """Sample blocks ``blocks[0]`` to ``blocks[1] - 1`` of a member, on inputs x (inputs, n_0).

    Beside them islands ``islands[0]`` to ``islands[1] - 1`` of its populations, where it has any;
    all of them where left out.

    A member that is trained takes its inputs with their targets. Attributes say what was drawn.
    Raises ``ValueError`` as the samplers do, ``ConfigError`` for an activation of an extension that
    torch computes otherwise.
    """
    for activation in member.activations:
        if entry_of("ACTIVATIONS", activation):
            check_on_tensors(import_module("torch"), activation)
    found = _drawn(member, x, seed, device, blocks, islands, on_tile)
    return explained(found, attributes(member, seed=seed))


def _drawn(
    member: Sampled,
    x: np.ndarray | TrainingInputs,
    seed: int,
    device: str,
    blocks: tuple[int, int],
    islands: tuple[int, int] | None,
    on_tile: Callable[[int, int], None],
) -> xr.Dataset:
    shared: dict[str, Any] = {
        "networks": member.networks,
        "seed": seed,
        "name": (member.ensemble, member.name),
        "on_tile": on_tile,
    }
    if isinstance(member, SampledTraining):
        from finitewidth.sampling.training.training_ensemble import sample_training

        assert isinstance(x, TrainingInputs)
        mlp = Perceptron.of_member(member, dimension=x.x.shape[1])
        about: dict[str, Any] = {"precision": member.precision, "device": device, "blocks": blocks}
        about["sampler"] = member.sampler
        return sample_training(mlp, member.rates(mlp), x, member.train, **about, **shared)
    assert isinstance(x, np.ndarray)
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
        found = sample_ladder(mlps, x, controls=member.controls, rates=rates, **shared, **placed)
    elif isinstance(member.network, OwnShape):
        # Modules of somebody's own want torch.
        from finitewidth.sampling.own_modules import sample_modules

        return sample_modules(
            get(member.network.own),
            member.width,
            x,
            record=member.record,
            measure=member.measure,
            outputs=member.ntk_outputs,
            **shared,
            **placed,
        )
    elif member.network is not None:
        network = architecture_of(member, x.shape[1])
        found = _networks(member, network, x, shared, placed)
        if member.population is None:
            return found
        from finitewidth.sampling.population.network_populations import sample_network_populations

        grown = _about_populations(member, member.population, islands)
        more = sample_network_populations(network, x, member.population, seed=seed, **grown)
        return found.merge(more, **_TOGETHER)
    else:
        mlps = [Perceptron.of_member(member, dimension=x.shape[1])]
        found = _networks(member, mlps[0], x, shared, placed)
    if member.population is None:
        return found
    asked = member.population
    about = {"seed": seed, **_about_populations(member, asked, islands)}
    if asked.tangents and not isinstance(member, SampledLadder):
        from finitewidth.sampling.population.tangent_populations import sample_tangent_populations

        own = member.rates(mlps[0])
        more = sample_tangent_populations(mlps[0], own, x, asked, **about)
        found = found.merge(more, **_TOGETHER)
    if asked.orders:
        from finitewidth.sampling.population.populations import sample_populations

        ladder = isinstance(member, SampledLadder)
        kept: dict[str, Any] = {"layers": member.layers, "of_neurons": not ladder}
        found = found.merge(sample_populations(mlps, x, asked, **kept, **about), **_TOGETHER)
    return found


def _about_populations(
    member: SampledNetworks | SampledLadder, asked: Population, islands: tuple[int, int] | None
) -> dict[str, Any]:
    return {
        "networks": member.networks,
        "name": (member.ensemble, member.name),
        "precision": member.precision,
        "islands": islands or (0, asked.islands),
    }


def _networks(
    member: SampledNetworks,
    network: Architecture | Perceptron,
    x: np.ndarray,
    shared: dict[str, Any],
    placed: dict[str, Any],
) -> xr.Dataset:
    if "ntk_methods" in member.measure and isinstance(network, Perceptron):
        from finitewidth.sampling.ntk_ways import sample_methods

        rates = member.rates(network)
        return sample_methods(network, rates, x, outputs=member.ntk_outputs, **shared)
    recorded: dict[str, Any] = {
        "sampler": member.sampler,
        "record": member.record,
        "measure": member.measure,
    }
    if "ntk" in member.measure:
        recorded |= {"outputs": member.ntk_outputs, "memory": member.memory}
        return sample_ntk(network, member.rates(network), x, **recorded, **shared, **placed)
    return sample(network, x, **recorded, **shared, **placed)
