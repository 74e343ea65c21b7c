"""The two ways in which a matrix is drawn for a forward and a backward pass.

Without its weights: forwards, S~^T = Q R and outputs sqrt(C_W/fan-in) R^T T + b with T normal, what
the weights do to the span of S~. Backwards, with all derivatives stacked as rows of U,

    U W = sqrt(C_W/fan-in) (U T^T Q^T + root(U U^T) Xi (1 - Q Q^T)), Xi normal and fresh:

what W does off that span is independent of the forward pass, and U depends on it through later
matrices only. So each matrix is used once, in the reverse order of drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from finitewidth.models.layers.layer import Map
from finitewidth.sampling.gaussian_rows import semidefinite_factor
from finitewidth.sampling.layers.draws import Tile, draw_weights, multiplied
from finitewidth.sampling.layers.patches import Seen, matrix_of
from finitewidth.sampling.requirements import require_normal


class Drawn(Protocol):
    """A matrix that was drawn.

    Attributes
    ----------
    seen : tensor, shape (networks or 1, rows, fan-in)
        What it multiplied.
    outputs : tensor, shape (networks, rows, fan-out)
    """

    @property
    def seen(self) -> torch.Tensor:
        """What it multiplied."""

    @property
    def outputs(self) -> torch.Tensor:
        """What came out."""

    def back(self, back: torch.Tensor) -> torch.Tensor:
        """Derivatives by what it multiplied, (networks, outputs, rows, fan-in), of those by what
        came out."""


@dataclass(frozen=True)
class KeptWeights:
    """A matrix with its weights, (networks, fan-out, fan-in)."""

    seen: torch.Tensor
    outputs: torch.Tensor
    weights: torch.Tensor

    def back(self, back: torch.Tensor) -> torch.Tensor:
        """See :meth:`Drawn.back`."""
        return back @ self.weights[:, None]


@dataclass(frozen=True)
class KeptBasis:
    """What a matrix does to what it multiplied, and to nothing else until it is gone back through.

    Attributes
    ----------
    basis : tensor, shape (networks or 1, fan-in, k)
        Q.
    within : tensor, shape (networks, k, fan-out)
        T.
    scale : float
        sqrt(C_W/fan-in).
    """

    seen: torch.Tensor
    outputs: torch.Tensor
    basis: torch.Tensor
    within: torch.Tensor
    scale: float
    tile: Tile

    def back(self, back: torch.Tensor) -> torch.Tensor:
        """See :meth:`Drawn.back`; draws what the matrix does off the span of Q."""
        networks, outputs, rows, _ = back.shape
        flat = back.flatten(1, 2)
        basis = self.basis.expand(networks, -1, -1)
        gram = torch.bmm(flat.double(), flat.double().mT)
        root = semidefinite_factor(gram).to(flat.dtype)
        fresh = torch.empty(
            networks, flat.shape[1], basis.shape[1], dtype=flat.dtype, device=flat.device
        )
        off = torch.bmm(root, self.tile.streams.normal_(fresh))
        along = torch.bmm(flat, self.within.mT) - torch.bmm(off, basis)
        return (self.scale * (off + torch.bmm(along, basis.mT))).view(networks, outputs, rows, -1)


def kept_weights(layer: Map, given: Seen, tile: Tile, name: str) -> Drawn:
    """Draw the weights; ``name`` is that of their memory."""
    seen = matrix_of(given)
    weights, biases = draw_weights(layer, tile, name)
    return KeptWeights(seen, multiplied(seen, weights, biases), weights)


def kept_basis(layer: Map, given: Seen, tile: Tile, name: str) -> Drawn:
    """Draw what the weights do to what they multiply; ``ValueError`` for weights not normal."""
    require_normal(layer.weights)
    seen = matrix_of(given)
    basis, triangle = torch.linalg.qr(seen.mT.double())
    basis, triangle = basis.to(tile.dtype), triangle.to(tile.dtype)
    networks, scale = tile.streams.networks, math.sqrt(layer.C_W / layer.fan_in)
    shape = (networks, basis.shape[2], layer.fan_out)
    within = tile.streams.normal_(tile.workspace(name, shape, tile.dtype, tile.device))
    outputs = torch.bmm((scale * triangle.mT).expand(networks, -1, -1), within)
    if layer.C_b:
        biases = torch.empty(networks, 1, layer.fan_out, dtype=tile.dtype, device=tile.device)
        outputs += tile.streams.normal_(biases, math.sqrt(layer.C_b))
    return KeptBasis(seen, outputs, basis, within, scale, tile)
