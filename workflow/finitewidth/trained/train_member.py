"""A member's networks: trained, or taken up where a killed job left them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from torch import Tensor

from finitewidth.data.images import Labelled
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.trained import TrainedNetworks
from finitewidth.trained.memory import check_replicas
from finitewidth.trained.trained_member import (
    CURVES,
    architecture_of,
    settings_of,
    tensors_of,
)
from finitewidth.trained.training import checkpoint
from finitewidth.trained.training.epochs import DivergenceError, State, initial, train


def train_member(
    member: TrainedNetworks,
    data: Labelled,
    *,
    seed: int,
    device: str,
    kept: Path,
    fingerprint: str,
    every: int = 1,
    on_epoch: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Train the replicas of a member, or go on where a killed job was.

    Parameters
    ----------
    kept : Path
        Where the state is kept on the way; removed where training diverges, and left for whoever
        called to remove once the result is safe.
    fingerprint : str
        Of everything that the result depends on: a state with another one is not taken up.
    every : int
        Epochs after which the state is kept.

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
    # A batch has no more images than there are.
    batch = min(member.batch, len(data.train_x))
    check_replicas(architecture, replace(member, batch=batch), device)
    settings = settings_of(member, seed)
    sets = tensors_of(architecture, data, device)

    def keep(state: State) -> None:
        on_epoch(state.epoch, settings.epochs)
        if state.epoch % every == 0 and 0 < state.epoch < settings.epochs:
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
        raise DivergenceError(f"{member.ensemble}, {member.name}: {error}") from None
    found = _networks(state, initial(architecture, settings))
    return explained(found, attributes(member, seed=seed))


def _networks(state: State, start: list[Tensor]) -> xr.Dataset:
    variables: dict[str, tuple] = {}
    for number, (first, last) in enumerate(zip(start, state.weights, strict=True), 1):
        dims = ("replica", f"out_{number}", f"in_{number}")
        for name, weight, what in (("start", first, "at the start"), ("weight", last, "trained")):
            about = {"long_name": f"weights of layer {number}, {what}", "units": "1"}
            variables[f"{name}_{number}"] = (dims, weight.cpu().numpy(), about)
    for name in CURVES:
        about = {"long_name": name.replace("_", " "), "units": "nat" if "loss" in name else "1"}
        values = np.stack([v.numpy() for v in state.curves[name]], 1)
        variables[name] = (("replica", "epoch"), values, about)
    return xr.Dataset(variables, {"epoch": np.arange(state.epoch + 1)})
