"""Whether the replicas of a member fit in memory, before anything is computed."""

from __future__ import annotations

import os

import torch

from finitewidth.core.errors import ConfigError
from finitewidth.members.trained import TrainedNetworks
from finitewidth.models.optimisers.table import TABLE
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.trained.replica_axes import COMPARED


def check_replicas(architecture: ReluNetwork, member: TrainedNetworks, device: str) -> None:
    """Raise a :class:`ConfigError` if there are too many replicas; it says how many would fit."""
    available = _available(torch.device(device))
    wanted = member.replicas
    optimiser = TABLE[member.optimiser]
    if needed(architecture, wanted, member.batch, optimiser.buffers) <= available:
        return
    fit, too_many = 0, wanted
    while too_many - fit > 1:
        middle = (fit + too_many) // 2
        if needed(architecture, middle, member.batch, optimiser.buffers) <= available:
            fit = middle
        else:
            too_many = middle
    raise ConfigError.at(
        f"trained.{member.ensemble}.replicas",
        wanted,
        f"at most {fit} of these networks in the {available / 2**30:.3g} GiB that are free",
    )


def needed(architecture: ReluNetwork, replicas: int, batch: int, buffers: int = 1) -> int:
    """Bytes that training takes, or measuring, whichever is more.

    Training: weights, those of the start, gradients, what the optimiser keeps (``buffers`` times
    as much), a sum that is under way, and of a batch the
    activations with their gradients. Measuring: second moments of every replica with every other,
    before and after training, on both sets of images, two of them centred for a while; cosines of
    every pair.
    """
    training = (4 + buffers) * architecture.parameters + 3 * batch * architecture.activations
    columns = sum((replicas * n) ** 2 for n in architecture.widths[1:-1])
    cosines = replicas**2 // 2 * 4 * (architecture.depth + 1) * COMPARED**2
    return max(4 * replicas * training, 8 * (6 * columns + 2 * cosines))


def _available(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
