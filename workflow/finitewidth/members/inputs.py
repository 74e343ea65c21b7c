"""The input vectors of a member, as the sampler and theory take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from finitewidth.core.errors import ConfigError
from finitewidth.members.stages import Described, Trained


@dataclass(frozen=True)
class TrainingInputs:
    """Inputs of networks that are trained.

    Attributes
    ----------
    x : array, shape (inputs, n_0)
        The training inputs first.
    targets : array, shape (inputs, outputs)
        NaN at inputs that have none; those of training have.
    training : int
        How many train.
    """

    x: np.ndarray
    targets: np.ndarray
    training: int

    @property
    def y(self) -> np.ndarray:
        """Targets of the training inputs, shape (training inputs, outputs)."""
        return self.targets[: self.training]


def inputs_of(member: Described, sets: Sequence[xr.Dataset]) -> np.ndarray | TrainingInputs:
    """What a member is evaluated on, of the datasets that ``member.input_sets`` names.

    Returns
    -------
    array, shape (inputs, n_0), or TrainingInputs of networks that are trained

    Raises
    ------
    ConfigError
        Where the training inputs are of another dimension, or have no targets or as many as the
        networks have outputs.
    """
    if not isinstance(member, Trained):
        return sets[0]["x"].values
    training, others = sets
    key = f"ensembles.{member.ensemble}"
    dimensions = training.sizes["component"], others.sizes["component"]
    if dimensions[0] != dimensions[1]:
        given = f"vectors of {dimensions[1]} components"
        raise ConfigError.at(f"{key}.inputs", given, f"{dimensions[0]}, as those of training have")
    if "target" not in training or training.sizes["output"] != member.outputs:
        given = f"{training.sizes.get('output', 0)} targets a vector of {member.train.inputs}"
        raise ConfigError.at(f"{key}.outputs", member.outputs, f"as many as the {given}")
    beyond = np.full((others.sizes["input"], member.outputs), np.nan)
    if "target" in others and others.sizes["output"] == member.outputs:
        beyond = others["target"].values
    x = np.concatenate([training["x"].values, others["x"].values])
    targets = np.concatenate([training["target"].values, beyond])
    return TrainingInputs(x, targets, training.sizes["input"])
