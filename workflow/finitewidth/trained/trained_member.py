"""One member of the config's ``trained``, as what trains, measures and generates it needs it."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from finitewidth.data.images import Labelled
from finitewidth.members.trained import TrainedNetworks
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.trained.replica_axes import SPLITS, Replicas
from finitewidth.trained.training.epochs import Settings

CURVES = [f"{split}_{name}" for split in SPLITS for name in ("loss", "accuracy")]


def architecture_of(member: TrainedNetworks, data: Labelled) -> ReluNetwork:
    """The member's architecture on these images; raises ``ConfigError`` where it does not fit."""
    sizes = data.train_x.shape[1:], data.classes
    return trained_architecture(member, *sizes, C_W=member.C_W, weights=member.weights)


def settings_of(member: TrainedNetworks, seed: int) -> Settings:
    """How it is trained, and the stream that its starts and orders are drawn from."""
    return Settings(
        replicas=member.replicas,
        epochs=member.epochs,
        batch=member.batch,
        learning_rate=member.learning_rate,
        momentum=member.momentum,
        stream=(seed, "trained", member.ensemble, member.name),
        optimiser=member.optimiser,
    )


def tensors_of(architecture: ReluNetwork, data: Labelled, device: str) -> dict:
    """The whole data set on the device, where it stays: images and labels, by split."""

    def on_device(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(np.ascontiguousarray(x)).to(device)
        return images.view(-1, *architecture.image), torch.from_numpy(y).to(device)

    return {
        "train": on_device(data.train_x, data.train_y),
        "validation": on_device(data.validation_x, data.validation_y),
    }


def replicas_of(
    member: TrainedNetworks, data: Labelled, networks: xr.Dataset, device: str
) -> Replicas:
    """A member's networks and images, on a device."""
    architecture = architecture_of(member, data)
    weights = {
        state: [
            torch.from_numpy(networks[f"{name}_{k}"].values).to(device)
            for k in range(1, architecture.depth + 1)
        ]
        for state, name in (("start", "start"), ("trained", "weight"))
    }
    return Replicas(architecture, weights, tensors_of(architecture, data, device))
