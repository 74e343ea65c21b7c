"""Replicas of one architecture, and the axes along which numbers of them stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from finitewidth.models.relu_network import ReluNetwork

STATES = ("start", "trained")
SPLITS = ("train", "validation")
CENTRINGS = ("uncentred", "centred")
BASES = ("activations", "weights")
#: Eigenvectors of two replicas, compared before one is turned onto the other, and after.
ALIGNED = ("as they are", "aligned")
#: Leading eigenvectors that two replicas are compared by.
COMPARED = 50


@dataclass(frozen=True)
class Replicas:
    """Networks of one architecture before and after training, and the images they saw.

    Attributes
    ----------
    architecture : ReluNetwork
    weights : mapping
        ``start`` and ``trained``: a list of tensors (replica, out, fan_in) each.
    images : mapping
        ``train`` and ``validation``: tensors (image, channel, row, column) and (image,).
    """

    architecture: ReluNetwork
    weights: Mapping[str, list[Tensor]]
    images: Mapping[str, tuple[Tensor, Tensor]]

    @property
    def count(self) -> int:
        """How many replicas."""
        return len(self.weights["trained"][0])

    @property
    def ranks(self) -> int:
        """The most eigenvalues that anything here has: the length of the dimension ``rank``."""
        layers = self.architecture.layers
        return max(max(layer.channels, min(layer.out, layer.fan_in)) for layer in layers)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of replicas."""
        return list(combinations(range(self.count), 2))


def own(second: Tensor) -> np.ndarray:
    """Each replica's own second moments, shape (replica, n, n), of (replica, n, replica_, n_)."""
    return torch.einsum("rarb->rab", second).cpu().numpy()
