"""What jobs about trained networks take; as ``cost.py``, with prices from the same benchmark."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from finitewidth.cost import Cost, MiB

#: Images of a set, those to train on and all of them, where nothing else is known of it.
_IMAGES = {"digits": (1437, 1797), "cifar10": (50_000, 60_000), "array": (10_000, 12_000)}
#: Places that a filter is applied at, near enough.
_PLACES = 16
#: Nanoseconds a multiplication of training, of measuring and of generating; seconds a replica.
_TRAIN, _MEASURE, _GENERATE, _REPLICA = 0.1, 0.1, 0.1, 0.1


def images(data) -> tuple[int, int]:
    """Training images of a set of the config, and all of its images."""
    train, total = _IMAGES[data.kind]
    if data.kind == "cifar10":
        train, total = data.train or train, (data.train or train) + (data.validation or 10_000)
    return train, total


def products(member) -> int:
    """Multiplications that one image takes in one network."""
    if member.mlp:
        return sum(a * b for a, b in itertools.pairwise(member.mlp))
    weights = sum(a * b for a, b in itertools.pairwise(member.cnn["channels"]))
    return weights * _PLACES * member.cnn["kernel"] ** 2


def training(member, data) -> Cost:
    """What training a member's replicas takes."""
    work = 3 * member.replicas * member.epochs * images(data)[0] * products(member)
    return Cost(0.5 + 1e-9 * _TRAIN * work, _memory(member, data), 2 * _weights(member))


def measuring(member, data) -> Cost:
    """What spectra, clipping and alignment of the replicas take."""
    ranks = sum(_widths(member))
    work = member.replicas * images(data)[1] * (products(member) + ranks**2)
    moments = 8 * 6 * sum((member.replicas * n) ** 2 for n in _widths(member)) / MiB
    seconds = 1.0 + _REPLICA * member.replicas**2 + 1e-9 * _MEASURE * work
    return Cost(seconds, _memory(member, data) + moments, 1.0 + moments / 6)


def generating(member, data) -> Cost:
    """What drawing networks from covariances, and trying them, takes."""
    rainbow: Mapping = member.rainbow
    drawn = member.replicas * rainbow["networks"] * len(rainbow["widen"]) * 3
    work = drawn * images(data)[1] * products(member) * max(rainbow["widen"])
    return Cost(1.0 + 1e-9 * _GENERATE * work, _memory(member, data), 0.5)


def predicting(member) -> Cost:
    """What theory of a member's networks takes."""
    return Cost(1.0, 100.0, 0.5)


def _widths(member) -> list[int]:
    return member.mlp[1:-1] if member.mlp else member.cnn["channels"][1:]


def _weights(member) -> float:
    """MiB of the weights of all replicas."""
    return 4 * member.replicas * products(member) / MiB


def _memory(member, data) -> float:
    """MiB of images and of activations of a set."""
    columns = sum(_widths(member)) * (_PLACES if member.cnn else 1)
    return 4 * images(data)[1] * (1024 + 2 * columns) / MiB + 6 * _weights(member)
