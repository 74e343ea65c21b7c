"""Second moments of activations, of every replica with every other, in one pass over the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finitewidth.models.relu_network import ReluNetwork
from finitewidth.trained.training.networks import chunks, representations

#: Columns that products are made of at least.
_COLUMNS = 256


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
def moments(architecture: ReluNetwork, weights: Sequence[Tensor], x: Tensor) -> list[Moments]:
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

    def __init__(self) -> None:
        self.second = self.first = self.chance = torch.zeros(())
        self.samples = 0

    def add(self, phi: Tensor) -> None:
        replicas, _, channels = phi.shape[:3]
        flat = phi.permute(1, 3, 4, 0, 2).reshape(-1, replicas, channels)
        if not self.samples:
            shape = (replicas, channels, replicas, channels)
            self.second = torch.zeros(shape, dtype=torch.float64, device=flat.device)
        # Each pair of replicas once, what is below the diagonal being a transpose; several replicas
        # of few channels at a time, as narrow products are slow.
        few = max(1, _COLUMNS // channels)
        for first in range(0, replicas, few):
            some = slice(first, first + few)
            found = flat[:, some].flatten(1).T @ flat[:, first:].flatten(1)
            shape = (-1, channels, replicas - first, channels)
            self.second[some, :, first:] += found.view(shape)
        self.first = self.first + flat.sum(0).double()
        self.chance = self.chance + self._met(flat).double()
        self.samples += len(flat)

    @staticmethod
    def _met(flat: Tensor) -> Tensor:
        """Products of each replica with the next one on other samples."""
        # Which samples meet does not depend on what they are, only on the chunk and the replica.
        pairing = torch.Generator().manual_seed(len(flat))
        replicas = flat.shape[1]
        met = []
        for replica in range(replicas):
            order = torch.randperm(len(flat), generator=pairing).to(flat.device)
            other = flat[:, (replica + 1) % replicas].index_select(0, order)
            met.append(flat[:, replica].T @ other)
        return torch.stack(met)

    def mean(self) -> Moments:
        n = self.samples
        second = self.second / n
        for replica in range(1, len(second)):
            second[replica, :, :replica] = second[:replica, :, replica].permute(2, 0, 1)
        return Moments(second, self.first / n, self.chance / n, n)
