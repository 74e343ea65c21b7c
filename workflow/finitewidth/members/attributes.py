"""Datasets that say what they are: attributes of a member's, and a name and unit for everything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from finitewidth.members.stages import Described, Drawn, Named
from finitewidth.members.trained import TrainedNetworks
from finitewidth.members.words import network
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron

#: What coordinates are, by their names; and variables that are no quantities.
MEANINGS = {
    "network": "index of the network in its ensemble",
    "layer": "layer l, 1 is the first one of preactivations",
    "width": "neurons of the layer, or of the hidden layers of a rung",
    "rung": "place of a width in its ladder",
    "input": "index of an input vector",
    "input_": "index of a second input vector",
    "input__": "index of a third input vector",
    "component": "component of an input vector",
    "neuron": "index of a recorded neuron",
    "neuron_": "index of a second recorded neuron",
    "output": "index of an output",
    "output_": "index of a second output",
    "output__": "index of a third output",
    "pair": "index of a pair of inputs a <= b",
    "pair_": "index of a second pair of inputs",
    "pair_a": "input a of a pair",
    "pair_b": "input b of a pair",
    "couple": "index of a couple of inputs (a, b) in their order",
    "couple_": "index of a second couple of inputs",
    "couple_a": "input a of a couple",
    "couple_b": "input b of a couple",
    "quad": "index of a quadruple of inputs",
    **{f"quad_{letter}": f"input {letter} of a quadruple" for letter in "abcd"},
    "bin": "index of a bin of a histogram",
    "bin_left": "left edge of a bin",
    "bin_right": "right edge of a bin",
    "standard_bin": "index of a bin of a histogram in standard deviations",
    "standard_bin_left": "left edge of a bin in standard deviations",
    "standard_bin_right": "right edge of a bin in standard deviations",
    "probability": "probability that a quantile belongs to",
    "order": "order of theory",
    "sample": "what was tested: the ensemble, or exactly Gaussian numbers",
    "test": "test of normality",
    "group": "index of a group of networks",
    "rank": "place of an eigenvalue, 1 is the largest",
    "rank_a": "place of an eigenvalue of a first network, 1 is the largest",
    "rank_b": "place of an eigenvalue of a second network, 1 is the largest",
    "moment": "time, or step, of training",
    "position": "place of an input on its line",
    "target": "target that an output is trained towards",
    "is_training": "1 where an input is trained on",
    "overlap": "x_a . x_b / n_0 of the inputs",
    "way": "way of computing a tangent kernel",
    "statistic": "what is told of times",
    "driven": "layer whose neurons are driven",
    "control": "function of normals that serves as a control",
    "island": "index of an island of networks",
    "members": "networks of an island",
    "power": "power of the kernel that an island was grown by",
    "population_rung": "rung of the ladder that an island belongs to",
    "exact": "1 where an island was drawn from the law itself",
    "epoch": "epochs of training that are done",
    "replica": "index of a trained network",
    "state": "before or after training",
    "split": "which images",
    "centring": "whether means were taken off",
    "basis": "whose eigenvectors",
    "aligned": "whether networks were aligned before",
    "drawn": "layers that were drawn anew",
    "source": "where their covariances are from",
    "widening": "widths in units of the reference's",
}
#: Swept keys that are dimensions where members are put together.
_SWEPT = {
    "activation": "activation between layers",
    "input_set": "name of the set of input vectors",
    "width": "neurons of a hidden layer, n",
    "depth": "layers of weights, L",
    "C_W": "variance of a weight times its fan-in",
    "C_b": "variance of a bias",
}


def swept_meaning(key: str) -> str:
    """What a swept key is, in words."""
    return _SWEPT.get(key, f"key {key} of the study file")


def explained(found: xr.Dataset, attributes: Mapping[str, Any]) -> xr.Dataset:
    """The same dataset with these attributes, and with a name and a unit for all that it holds.

    What has them keeps them. All numbers are in units of 1 but for times.
    """
    for name, variable in found.variables.items():
        known = MEANINGS.get(str(name))
        if known:
            variable.attrs.setdefault("long_name", known)
        if "long_name" in variable.attrs:
            variable.attrs.setdefault("units", "1")
    return found.assign_attrs(attributes)


def attributes(about: Named, *, seed: int | None = None, **more: Any) -> dict[str, Any]:
    """What a member's networks are and how they were drawn, as attributes of its datasets.

    ``swept`` is a JSON object of the swept keys with the member's values. None is left out.
    """
    found: dict[str, Any] = {"ensemble": about.ensemble, "member": about.name}
    if isinstance(about, Described | TrainedNetworks):
        found |= network(about) | {"weights": about.weights}
    if isinstance(about, Described):
        found |= {"init": about.init, "inputs": about.inputs, "networks": about.networks}
        found["swept"] = json.dumps(about.swept, sort_keys=False)
    if isinstance(about, Drawn):
        found["sampler"] = about.sampler
    if isinstance(about, TrainedNetworks):
        found |= {"data": about.data, "replicas": about.replicas, "widen": about.widen}
    found |= {"seed": seed, **more}
    return {key: value for key, value in found.items() if value is not None}


def attributes_of(
    network: Perceptron | Architecture, ensemble: str = "ensemble", member: str = "only"
) -> dict[str, Any]:
    """The same of networks that are no member of a study file."""
    found: dict[str, Any] = {"ensemble": ensemble, "member": member}
    if isinstance(network, Perceptron):
        hidden = network.widths[1:-1]
        alike = len(set(hidden)) < 2
        found["network"] = "perceptron" if alike else f"perceptron {_written(network.widths[1:])}"
        found["activation"] = network.activation_name
        each = {"C_b": network.C_b, "C_W": network.C_W}
        found |= {key: of[0] for key, of in each.items() if len(set(of)) == 1}
        found |= {"width": max(hidden, default=network.widths[1]), "weights": network.weights}
    else:
        places = "attention, " if len(network.shape) == 2 else "convolutions, "
        maps = f"{places if network.has_places else ''}dense maps"
        found["network"] = f"{len(network.layers)} layers of {maps}, blocks and norms"
        found["width"] = max(network.result_widths[1:])
        laws = {one.weights for one in network.maps}
        found |= {"weights": laws.pop()} if len(laws) == 1 else {}
    return found | {"depth": len(network.result_widths) - 1}


def _written(widths: Sequence[int]) -> str:
    return "-".join(map(str, widths))


#: Of samples, what estimates of them say too.
INHERITED = (
    "ensemble", "member", "network", "activation", "depth", "width", "C_b", "C_W", "weights",
    "init", "inputs", "networks", "swept", "sampler", "seed",
)  # fmt: skip


def inherited(samples: xr.Dataset) -> dict[str, Any]:
    """Attributes of samples that are true of what is estimated of them."""
    return {key: samples.attrs[key] for key in INHERITED if key in samples.attrs}
