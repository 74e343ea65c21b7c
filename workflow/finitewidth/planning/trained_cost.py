"""What jobs about trained networks take; as ``cost.py``, with prices from the same benchmark."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from finitewidth.config.model_trained import DataSet
from finitewidth.planning.cost import Cost, MiB

if TYPE_CHECKING:
    from finitewidth.planning.trained_members import TrainedMember

#: Images of a set, those to train on and all of them, where nothing else is known of it.
_IMAGES = {"digits": (1437, 1797), "cifar10": (50_000, 60_000), "array": (10_000, 12_000)}
#: Places that a filter is applied at, near enough.
_PLACES = 16
#: Nanoseconds a count, by stage.
PRICES: dict[str, dict[str, float]] = {
    "train": {"products": 0.015, "steps": 1.3e6},
    "measure": {"member": 0.57e9, "moments": 0.3},
    "generate": {"member": 0.085e9, "products": 0.035, "decompositions": 0.65},
}


def images(data: DataSet) -> tuple[int, int]:
    """Training images of a set of the config, and all of its images."""
    train, total = _IMAGES[data.kind]
    if data.kind == "cifar10":
        train, total = data.train or train, (data.train or train) + (data.validation or 10_000)
    return train, total


def products(member: TrainedMember) -> int:
    """Multiplications that one image takes in one network."""
    if member.mlp:
        return sum(a * b for a, b in itertools.pairwise(member.mlp))
    assert member.cnn is not None
    weights = sum(a * b for a, b in itertools.pairwise(member.cnn.channels))
    return weights * _PLACES * member.cnn.kernel**2


def training(member: TrainedMember, data: DataSet) -> Cost:
    """What training a member's replicas takes."""
    return Cost(_seconds("train", member, data), _memory(member, data), 2 * _weights(member))


def measuring(member: TrainedMember, data: DataSet) -> Cost:
    """What spectra, rank truncation and alignment of the replicas take."""
    moments = 8 * 6 * sum((member.replicas * n) ** 2 for n in member.hidden) / MiB
    memory = _memory(member, data) + moments
    return Cost(_seconds("measure", member, data), memory, 1.0 + moments / 6)


def generating(member: TrainedMember, data: DataSet) -> Cost:
    """What drawing networks from covariances, and trying them, takes."""
    return Cost(_seconds("generate", member, data), _memory(member, data), 0.5)


def _seconds(stage: str, member: TrainedMember, data: DataSet) -> float:
    counted = counts(stage, member, data)
    return 1e-9 * sum(price * counted[name] for name, price in PRICES[stage].items())


def counts(stage: str, member: TrainedMember, data: DataSet) -> dict[str, float]:
    """How often each of the things that cost is done."""
    train, total = images(data)
    one, widths = products(member), member.hidden
    if stage == "train":
        return {
            "member": 1.0,
            "products": 3 * member.replicas * member.epochs * train * one,
            "steps": member.epochs * train / member.batch,
        }
    if stage == "measure":
        places = 1 if member.mlp else _PLACES
        return {
            "member": 1.0,
            "moments": total * places * sum((member.replicas * n) ** 2 for n in widths),
        }
    rainbow = member.rainbow
    ways = len(rainbow.widen) + len(rainbow.covariance) + len(rainbow.layers)
    drawn = member.replicas * rainbow.networks * ways
    return {
        "member": 1.0,
        "products": drawn * total * one * max(rainbow.widen),
        "decompositions": drawn * sum(n**3 for n in widths),
    }


def predicting(member: TrainedMember) -> Cost:
    """What theory of a member's networks takes."""
    return Cost(0.4, 100.0, 0.5)


def _weights(member: TrainedMember) -> float:
    """MiB of the weights of all replicas."""
    return 4 * member.replicas * products(member) / MiB


def _memory(member: TrainedMember, data: DataSet) -> float:
    """MiB of images and of activations of a set."""
    columns = sum(member.hidden) * (_PLACES if member.cnn else 1)
    return 4 * images(data)[1] * (1024 + 2 * columns) / MiB + 6 * _weights(member)
