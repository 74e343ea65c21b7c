"""One member of the config's ``trained``: its networks, what they are, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from finitewidth.architecture import Architecture, of_member
from finitewidth.trained import checkpoint
from finitewidth.trained.estimates import estimates
from finitewidth.trained.generated import generated
from finitewidth.trained.images import Labelled
from finitewidth.trained.measured import SPLITS, Replicas
from finitewidth.trained.memory import check_replicas
from finitewidth.trained.training import (
    DivergenceError,
    Settings,
    State,
    initial,
    largest_at_start,
    train,
)

_CURVES = [f"{split}_{name}" for split in SPLITS for name in ("loss", "accuracy")]


def architecture_of(member: Mapping, data: Labelled) -> Architecture:
    """The member's architecture on these images; raises ``ConfigError`` where it does not fit."""
    return of_member(member, data.train_x.shape[1:], data.classes)


def train_member(
    member: Mapping,
    data: Labelled,
    *,
    seed: int,
    device: str,
    kept: Path,
    fingerprint: str,
    on_epoch: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Train the replicas of a member (plain data), or go on where a killed job was.

    Parameters
    ----------
    kept : Path
        Where the state is kept on the way; removed where training diverges, and left for whoever
        called to remove once the result is safe.
    fingerprint : str
        Of everything that the result depends on: a state with another one is not taken up.

    Returns
    -------
    xarray.Dataset
        ``weight_<l>`` and ``start_<l>`` (replica, out_<l>, in_<l>) for each layer, and the curves
        (replica, epoch).

    Raises
    ------
    ConfigError
        Where the model does not fit the images, or its replicas do not fit in memory.
    DivergenceError
    """
    architecture = architecture_of(member, data)
    check_replicas(architecture, member, device)
    settings = _settings(member, seed)
    sets = _tensors(architecture, data, device)

    def keep(state: State) -> None:
        on_epoch(state.epoch, settings.epochs)
        if state.epoch % member["checkpoint"] == 0 and 0 < state.epoch < settings.epochs:
            checkpoint.save(state, kept, fingerprint)

    try:
        state = train(
            architecture,
            settings,
            sets["train"],
            sets["validation"],
            state=checkpoint.load(kept, fingerprint, device),
            on_epoch=keep,
        )
    except DivergenceError as error:
        kept.unlink(missing_ok=True)
        raise DivergenceError(f"{member['ensemble']}, {member['name']}: {error}") from None
    return _networks(state, initial(architecture, settings))


def _settings(member: Mapping, seed: int) -> Settings:
    names = ("replicas", "epochs", "batch", "learning_rate", "momentum", "weights", "C_W")
    stream = (seed, "trained", member["ensemble"], member["name"])
    return Settings(**{name: member[name] for name in names}, stream=stream)


def _tensors(architecture: Architecture, data: Labelled, device: str) -> dict:
    """The whole data set on the device, where it stays: images and labels, by split."""

    def on_device(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(np.ascontiguousarray(x)).to(device)
        return images.view(-1, *architecture.image), torch.from_numpy(y).to(device)

    return {
        "train": on_device(data.train_x, data.train_y),
        "validation": on_device(data.validation_x, data.validation_y),
    }


def _networks(state: State, start: list[Tensor]) -> xr.Dataset:
    variables = {}
    for number, (first, last) in enumerate(zip(start, state.weights, strict=True), 1):
        dims = ("replica", f"out_{number}", f"in_{number}")
        for name, weight, what in (("start", first, "at the start"), ("weight", last, "trained")):
            about = {"long_name": f"weights of layer {number}, {what}", "units": "1"}
            variables[f"{name}_{number}"] = (dims, weight.cpu().numpy(), about)
    for name in _CURVES:
        about = {"long_name": name.replace("_", " "), "units": "nat" if "loss" in name else "1"}
        values = np.stack([v.numpy() for v in state.curves[name]], 1)
        variables[name] = (("replica", "epoch"), values, about)
    return xr.Dataset(variables, {"epoch": np.arange(state.epoch + 1)})


def replicas_of(member: Mapping, data: Labelled, networks: xr.Dataset, device: str) -> Replicas:
    """A member's networks and images, on a device."""
    architecture = architecture_of(member, data)
    weights = {
        state: [
            torch.from_numpy(networks[f"{name}_{k}"].values).to(device)
            for k in range(1, architecture.depth + 1)
        ]
        for state, name in (("start", "start"), ("trained", "weight"))
    }
    return Replicas(architecture, weights, _tensors(architecture, data, device))


def estimate_member(
    member: Mapping,
    data: Labelled,
    networks: xr.Dataset,
    *,
    seed: int,
    device: str,
    on_step: Callable[[str], None] = lambda step: None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Estimates of a member's networks, and their covariances: :func:`estimates`."""
    replicas = replicas_of(member, data, networks, device)
    curves = {name: networks[name].values for name in _CURVES}
    on_step("largest eigenvalues at the start")
    bounds = largest_at_start(replicas.architecture, _settings(member, seed))
    return estimates(replicas, curves, bounds, on_step)


def generate_member(
    member: Mapping,
    data: Labelled,
    networks: xr.Dataset,
    *,
    seed: int,
    device: str,
    on_network: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Networks generated from the covariances of a member's replicas, and their accuracy."""
    replicas = replicas_of(member, data, networks, device)
    stream = (seed, "rainbow", member["ensemble"], member["name"])
    return generated(replicas, member["rainbow"], stream, on_network)
