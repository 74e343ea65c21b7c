"""The patches that a convolution's matrix multiplies, and their Gram matrix without them.

A patch holds a place's numbers as often as patches reach it, so that the Gram matrix of patches is
a sum over shifts of the Gram matrix of places: k^2 times less to compute, and to hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.layer import Shape
from finitewidth.sampling.gaussian_rows import gram_of
from finitewidth.sampling.record import Workspace


@dataclass(frozen=True)
class Patches:
    """What the matrix of a convolution multiplies: a patch for each input and place.

    Attributes
    ----------
    layer : Convolution
    values : tensor, shape (networks, rows, channels)
        What comes into the layer, a row an input at a place.
    size : (channels, rows, columns)
        Of one input there.
    """

    layer: Convolution
    values: torch.Tensor
    size: Shape

    @property
    def rows(self) -> int:
        """How many patches there are of a network."""
        _, high, wide = self.layer.shape_after(self.size)
        return self._inputs * high * wide

    @property
    def _inputs(self) -> int:
        return self.values.shape[1] // (self.size[1] * self.size[2])

    def matrix(self) -> torch.Tensor:
        """The patches, (networks, rows, fan-in), in the order (channel, row, column)."""
        networks, _, channels = self.values.shape
        by_channel = self.values.reshape(networks * self._inputs, -1, channels).transpose(1, 2)
        images = padded(self.layer, by_channel.reshape(-1, *self.size))
        seen = functional.unfold(images, self.layer.kernel, stride=self.layer.stride)
        return seen.transpose(1, 2).reshape(networks, self.rows, self.layer.fan_in)

    def gram(self, workspace: Workspace) -> torch.Tensor:
        """Sums over the fan-in of products of two patches, float64, (networks, rows, rows)."""
        gram, inputs = gram_of(self.values, workspace), self._inputs
        _, *sizes = self.size
        places = (inputs, *sizes)
        gram = gram.view(len(gram), *places, *places)
        _, *after = self.layer.shape_after(self.size)
        for axis in (0, 1):
            gram = self._along(gram, axis, after[axis])
        return gram.reshape(len(gram), self.rows, self.rows)

    def _along(self, gram: torch.Tensor, axis: int, size: int) -> torch.Tensor:
        """Both patches' sum over their rows (axis 0) or columns (axis 1)."""
        one, other = 2 + axis, 5 + axis
        now = gram.shape[one]
        wide, step = self.layer.kernel[axis], self.layer.stride
        total: torch.Tensor | None = None
        for shift in range(wide):
            at = torch.arange(size) * step + shift - self.layer.margins[axis]
            inside = torch.ones_like(at, dtype=torch.bool)
            if self.layer.circular:
                at = at % now
            else:
                inside = (at >= 0) & (at < now)
            part = gram
            if size != now or not torch.equal(at, torch.arange(size)):
                places = at.clamp(0, now - 1).to(gram.device)
                part = part.index_select(one, places).index_select(other, places)
            if not inside.all():
                mask = inside.to(gram)
                part = part.mul_(mask.view(-1, *[1] * (part.ndim - one - 1)))
                part = part.mul_(mask.view(-1, *[1] * (part.ndim - other - 1)))
            total = part if total is None else total + part if total is gram else total.add_(part)
        assert total is not None
        return total


#: What a matrix multiplies: rows of numbers as they are, or patches.
Seen = torch.Tensor | Patches


def rows_in(seen: Seen) -> int:
    """How many rows a network's matrix multiplies."""
    return seen.rows if isinstance(seen, Patches) else seen.shape[1]


def matrix_of(seen: Seen) -> torch.Tensor:
    """The rows themselves, (networks, rows, fan-in)."""
    return seen.matrix() if isinstance(seen, Patches) else seen


def squares_of(seen: Seen, workspace: Workspace) -> torch.Tensor:
    """Sums over the fan-in of products of two rows, float64, (networks, rows, rows)."""
    return seen.gram(workspace) if isinstance(seen, Patches) else gram_of(seen, workspace)


def padded(layer: Convolution, images: torch.Tensor) -> torch.Tensor:
    """Images (..., rows, columns) with what the layer puts beside them."""
    high, wide = layer.margins
    if not high and not wide:
        return images
    kind = "circular" if layer.circular else "constant"
    return functional.pad(images, (wide, wide, high, high), mode=kind)


def folded(layer: Convolution, patches: torch.Tensor, size: Shape) -> torch.Tensor:
    """Sums over the patches (many, fan-in, places) that a place stands in: (many, *size)."""
    _, rows, columns = size
    high, wide = layer.margins
    whole = (rows + 2 * high, columns + 2 * wide)
    images = functional.fold(patches, whole, layer.kernel, stride=layer.stride)
    inner = images[..., high : high + rows, wide : wide + columns]
    if not layer.circular or not (high or wide):
        return inner
    found = torch.zeros_like(inner)
    down = (torch.arange(whole[0]) - high) % rows
    along = (torch.arange(whole[1]) - wide) % columns
    by_row = found.new_zeros(*images.shape[:-2], rows, whole[1])
    by_row.index_add_(-2, down.to(images.device), images)
    return found.index_add_(-1, along.to(images.device), by_row)
