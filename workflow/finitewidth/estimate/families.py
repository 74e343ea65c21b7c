"""From samples to estimates: every family of quantities, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.core.reasons import Reason
from finitewidth.estimate.dataset import dataset
from finitewidth.estimate.errors.jackknife import BLOCKS, Estimate, block_bounds, stack
from finitewidth.estimate.errors.not_finite import lost_networks
from finitewidth.estimate.ntk.ntk_estimates import at_last_layer, estimate_ntk
from finitewidth.estimate.population.beside import Beside, flags
from finitewidth.estimate.population.tangents import TangentsBeside
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.samples import Samples
from finitewidth.quantities.held import Sizes, apart, estimated, try_out
from finitewidth.quantities.vocabulary import DESCRIBED, FROM_NTK, OF_LAYERS

Estimates = dict[str, Estimate]


#: Families that are estimated layer by layer. Tests of normality stand in a file of their own.
BY_LAYER = {f.name: f for f in OF_LAYERS if f.name != "normality"}


def estimate(
    samples: Sequence[xr.Dataset],
    families: Collection[str],
    *,
    seed: int,
    ensemble: str,
    member: str,
    neurons: int = 4,
    blocks: int = BLOCKS,
    isotropic: bool = False,
) -> xr.Dataset:
    """Estimate families of quantities from an ensemble's samples.

    Parameters
    ----------
    samples : sequence of xarray.Dataset
        The shards; together they hold the networks 0 to N-1, each once. The result does not depend
        on how the networks are divided among them.
    families : collection of str
        Of ``BY_LAYER``, and of ``vocabulary.FROM_NTK``: these stand at the last recorded layer, and
        are NaN at the others.
    seed, ensemble, member
        Name the random streams of the quadruples of neurons and of their Gaussian control.
    neurons : int
        How many recorded neurons ``neuron_covariance`` takes, at most.
    blocks : int
        Blocks of networks of the jackknife, at most.
    isotropic : bool
        Whether the last layer's weights and biases are Gaussian, which lets the tensors of tangent
        kernels have smaller errors (:func:`finitewidth.estimate.ntk.ntk_estimates.estimate_ntk`).

    Returns
    -------
    xarray.Dataset
        As :func:`finitewidth.estimate.dataset.dataset` makes it. What a layer cannot tell,
        because its numbers left the range of floating point or it is too narrow, is NaN.

    Raises
    ------
    ValueError
        In one sentence: for an unknown family, a variable that the samples lack, missing or
        repeated networks, fewer than 50 networks, or fewer than four neurons for quadruples.
    """
    ensemble_samples = Samples(samples)
    _check(ensemble_samples, families)
    bounds = block_bounds(ensemble_samples.networks, blocks)
    layers = []
    for place in range(len(ensemble_samples.layers)):
        layer = Layer(ensemble_samples, place, bounds, neurons, (seed, ensemble, member))
        more = apart(layer.sizes, neuron=ensemble_samples.size("neuron"))
        found: Estimates = {}
        with np.errstate(all="ignore"):
            for name, family in BY_LAYER.items():
                if name in families:
                    found |= estimated(family, layer, layer.sizes)
                    if place == 0 and more:
                        try_out(family, partial(_other_axes, layer, more))
        layers.append(_with_the_dead(found, layer) if found and layer.dead else found)
    joined = {
        name: stack([found[name] for found in layers], DESCRIBED[name].dims.index("layer"))
        for name in layers[0]
    }
    beside = _beside(ensemble_samples, bounds)
    if beside is not None:
        # One width is a ladder of one rung.
        joined = {
            name: beside.put(name, e.take(None), "plain networks").take(0)
            for name, e in joined.items()
        }
    tangents = [family for family in families if family in FROM_NTK]
    found = estimate_ntk(ensemble_samples, tangents, bounds, isotropic=isotropic)
    found, grown = _with_populations(found, ensemble_samples, bounds)
    for name, estimate in found.items():
        joined[name] = at_last_layer(estimate, ensemble_samples.layers)
    result = dataset(
        joined,
        ensemble_samples.layers,
        ensemble_samples.widths,
        ensemble_samples.size("input"),
    ).assign(lost_networks(ensemble_samples, joined))
    if beside is not None:
        result = result.assign(beside.variables(("layer",)))
    last = ensemble_samples.layers == ensemble_samples.layers.max()
    result = result.assign(
        {
            f"{name}_estimator": ("layer", *flags(name, ["plain networks", words], last))
            for name, words in grown.items()
        }
    )
    if "ntk_methods" not in families:
        return result
    about = {"long_name": "multiplications that each way takes for a network", "units": "1"}
    result["way_operations"] = ("way", ensemble_samples.values("operations")[0], about)
    return result.assign_coords(way=ensemble_samples.coordinate("way"))


def _other_axes(layer: Layer, more: Mapping[str, int]) -> tuple[Layer, Sizes]:
    other = replace(layer, samples=layer.samples.again(**more))
    return other, other.sizes


def _beside(samples: Samples, bounds: np.ndarray) -> Beside | None:
    populations, inputs = samples.populations, samples.size("input")
    if populations is None:
        return None
    a, b = pairs(inputs).T

    def kernel(_: int, layer: int) -> np.ndarray:
        return samples.of_layer("kernel", layer)[:, a, b]

    return Beside(populations, kernel, bounds, inputs)


def _with_populations(
    found: Estimates, samples: Samples, bounds: np.ndarray
) -> tuple[Estimates, dict[str, str]]:
    """Estimates of tangent kernels with those of populations, and how these were estimated."""
    populations = samples.populations
    if populations is None or "population_tangent_spread" not in populations or not found:
        return found, {}
    own = np.einsum("niiab->nab", samples.values("ntk"), dtype=float) / samples.size("output")
    a, b = pairs(samples.size("input")).T
    return TangentsBeside(populations, own[:, a, b], bounds).put(found)


def _with_the_dead(found: Estimates, layer: Layer) -> Estimates:
    """The same where every network is dead: that is why nothing varies, or 0 is divided by 0."""
    return {
        name: e.doubted(
            np.isin(e.reason, (Reason.NO_SPREAD, Reason.NOT_FINITE)),
            Reason.DEAD,
            layer.samples.networks,
        )
        for name, e in found.items()
    }


def _check(samples: Samples, families: Collection[str]) -> None:
    for family in families:
        if family in FROM_NTK:
            continue
        if family not in BY_LAYER:
            allowed = ", ".join((*BY_LAYER, *FROM_NTK))
            raise ValueError(f"unknown family {family!r}; allowed are {allowed}")
        needed = BY_LAYER[family].records
        if family == "log_norm" and "log_norm" not in samples:
            needed = ("kernel",)
        for variable in needed:
            if variable not in samples:
                raise ValueError(
                    f"the family {family} needs the variable {variable}, which the samples lack"
                )
