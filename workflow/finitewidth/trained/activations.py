"""Second moments of activations, of every replica with every other, in one pass over the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finitewidth.architecture import Architecture
from finitewidth.trained.networks import chunks, representations


@dataclass(frozen=True)
class Moments:
    """Means over samples of one representation; positions of a convolution count as samples.

    Attributes
    ----------
    second : tensor, shape (replica, channel, replica_, channel_), float64
        E[phi_r phi_s^T], uncentred.
    first : tensor, shape (replica, channel), float64
        E[phi_r].
    chance : tensor, shape (replica, channel, channel_), float64
        E[phi_r(x) phi_{r+1}(x')^T] over pairs of samples at random: what two networks have in
        common where their samples have nothing.
    samples : int
    """

    second: Tensor
    first: Tensor
    chance: Tensor
    samples: int

    def taken(self, centring: str) -> Moments:
        """These as they are (``uncentred``), or about the means (``centred``)."""
        return self.centred() if centring == "centred" else self

    def centred(self) -> Moments:
        """The same about the means: covariances."""
        means = self.first
        following = means.roll(-1, 0)
        return Moments(
            self.second - torch.einsum("ra,sb->rasb", means, means),
            torch.zeros_like(means),
            self.chance - torch.einsum("ra,rb->rab", means, following),
            self.samples,
        )


@torch.no_grad()
def moments(architecture: Architecture, weights: Sequence[Tensor], x: Tensor) -> list[Moments]:
    """Moments of each representation: of the images themselves, then of every hidden layer.

    Parameters
    ----------
    weights : sequence of tensors (replica, out, fan_in)
    x : tensor, shape (image, channel, row, column)

    Returns
    -------
    list of Moments, L of them
        The images count as one replica. Products are made in single precision, sums of them over
        chunks in double.
    """
    sums = [_Sum() for _ in architecture.layers]
    for part in chunks(architecture, len(weights[0]), len(x)):
        images = x[None, part]
        sums[0].add(images)
        hidden = representations(architecture, weights, images)
        for total, phi in zip(sums[1:], hidden, strict=False):
            total.add(phi)
    return [total.mean() for total in sums]


class _Sum:
    """Sums over the chunks of one representation."""

    def __init__(self):
        self.second = self.first = self.chance = 0
        self.samples = 0

    def add(self, phi: Tensor) -> None:
        replicas, _, channels = phi.shape[:3]
        flat = phi.permute(1, 3, 4, 0, 2).reshape(-1, replicas * channels)
        second = (flat.T @ flat).double()
        self.second = self.second + second.view(replicas, channels, replicas, channels)
        self.first = self.first + flat.sum(0, dtype=torch.float64).view(replicas, channels)
        # Which samples meet does not depend on what they are, only on the chunk and the replica.
        pairing = torch.Generator().manual_seed(len(flat))
        of_replica = flat.view(-1, replicas, channels)
        met = []
        for replica in range(replicas):
            order = torch.randperm(len(flat), generator=pairing).to(flat.device)
            other = of_replica[order, (replica + 1) % replicas]
            met.append(of_replica[:, replica].T @ other)
        self.chance = self.chance + torch.stack(met).double()
        self.samples += len(flat)

    def mean(self) -> Moments:
        n = self.samples
        return Moments(self.second / n, self.first / n, self.chance / n, n)
