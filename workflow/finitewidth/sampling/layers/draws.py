"""The two ways in which what comes out of a random matrix is drawn: with its weights, or without.

Without: given what the matrix multiplies, S~ (a row an input and place), what comes out is
independent over neurons, and Gaussian over rows with covariance C_b + C_W/fan-in S~ S~^T, for every
layer whose matrix is fresh (Les Houches lectures, arXiv 2309.01592, Lemma 4.4, of vectors; it holds
of patches by the same proof).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from finitewidth.models.layers.attention import Heads
from finitewidth.models.layers.layer import Map
from finitewidth.sampling.gaussian_rows import correlate
from finitewidth.sampling.layers.heads import heads_of_root
from finitewidth.sampling.layers.many_rows import FEW_ROWS, correlate_many, factor_of
from finitewidth.sampling.layers.patches import Seen, matrix_of, rows_in, squares_of
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.requirements import require_normal
from finitewidth.sampling.streams import Streams

#: Share of its variance below which a row, given those before it, is known to fewer than eight
#: digits from sums in double precision.
NEARLY = 1e-8


@dataclass(frozen=True)
class Tile:
    """The networks that are drawn together: from what, in which memory and precision."""

    streams: Streams
    workspace: Workspace
    dtype: torch.dtype
    device: torch.device


def with_weights(layer: Map, seen: Seen, tile: Tile) -> torch.Tensor:
    """Draw the matrix, and multiply by it: shape (networks, rows, fan-out)."""
    weights, biases = draw_weights(layer, tile, "weights")
    return multiplied(matrix_of(seen).to(tile.dtype), weights, biases)


def multiplied(
    seen: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor | None
) -> torch.Tensor:
    """What weights (networks, fan-out, fan-in) make of ``seen`` (networks, rows, fan-in)."""
    z = torch.bmm(weights, seen.transpose(1, 2).expand(len(weights), -1, -1))
    if biases is not None:
        z += biases[:, :, None]
    return z.transpose(1, 2)


def without_weights(layer: Map, seen: Seen, tile: Tile) -> torch.Tensor:
    """Draw the outputs alone: shape (networks, rows, fan-out).

    From the root of the Gram matrix in float64 sums, with pivots. In double precision from a basis
    of what the matrix multiplies (:func:`by_basis`) where rows nearly depend on each other, whose
    differences the Gram matrix has lost; a GPU, which would have to be waited for to tell, always
    takes that there. Where rows are as many as numbers in each, weights are no more numbers than
    any basis has, and are drawn. Of heads of more dimensions than rows, as many numbers come out as
    there are rows (`heads.py`).

    Raises
    ------
    ValueError
        For weights of another law than the normal one: their sum is not Gaussian.
    """
    require_normal(layer.weights)
    rows = rows_in(seen)
    if isinstance(layer, Heads) and rows < layer.head_dim:
        root = root_of(layer, seen, tile).to(tile.dtype)
        return heads_of_root(layer, root, rows, tile.streams, tile.workspace)
    if rows >= layer.fan_in:
        return with_weights(layer, seen, tile)
    gram = layer.C_b + layer.C_W / layer.fan_in * squares_of(seen, tile.workspace)
    if _wants_basis(gram, tile):
        return by_basis(layer, seen, tile)
    shape = (tile.streams.networks, rows, layer.fan_out)
    normals = tile.streams.normal_(tile.workspace("normals", shape, tile.dtype, tile.device))
    if rows > FEW_ROWS:
        return correlate_many(gram, normals, tile.workspace)
    return correlate(gram, normals, tile.workspace)


def _wants_basis(gram: torch.Tensor, tile: Tile) -> bool:
    exact = tile.dtype == torch.float64 and gram.shape[1] > 1
    return exact and (tile.device.type != "cpu" or nearly_dependent(gram))


def root_of(layer: Map, seen: Seen, tile: Tile) -> torch.Tensor:
    """F with F F^T = C_b + C_W/fan-in S~ S~^T, (networks or 1, rows, up to as many), float64.

    By the same ways: the root of the Gram matrix, a basis of the rows, or the rows themselves.
    """
    rows = rows_in(seen)
    if rows < layer.fan_in:
        gram = layer.C_b + layer.C_W / layer.fan_in * squares_of(seen, tile.workspace)
        if not _wants_basis(gram, tile):
            return factor_of(gram)
    root = math.sqrt(layer.C_W / layer.fan_in) * matrix_of(seen).double()
    if layer.C_b:
        root = torch.cat([root, torch.full_like(root[..., :1], math.sqrt(layer.C_b))], dim=2)
    return root if root.shape[2] <= rows else torch.linalg.qr(root.mT, mode="r")[1].mT


def by_basis(layer: Map, seen: Seen, tile: Tile) -> torch.Tensor:
    """The same from an orthonormal basis Q of what the matrix multiplies.

    With S~^T = Q R the outputs are sqrt(C_W/fan-in) R^T T + b, T normal with as many rows as Q has
    columns: the weights in a basis where only these count. No rank is decided on, and differences
    of rows keep their digits.
    """
    triangle = torch.linalg.qr(matrix_of(seen).mT.double(), mode="r")[1]
    root = math.sqrt(layer.C_W / layer.fan_in) * triangle.mT.to(tile.dtype)
    networks, size = tile.streams.networks, root.shape[2]
    shape = (networks, size, layer.fan_out)
    normals = tile.streams.normal_(tile.workspace("basis", shape, tile.dtype, tile.device))
    z = torch.bmm(root.expand(networks, -1, -1), normals)
    if layer.C_b:
        biases = torch.empty(networks, 1, layer.fan_out, dtype=tile.dtype, device=tile.device)
        z += tile.streams.normal_(biases, math.sqrt(layer.C_b))
    return z


def nearly_dependent(gram: torch.Tensor) -> bool:
    """Whether some row, given those before it, has a variance that its rounding shows in."""
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    pivots = torch.diagonal(factor_of(gram), dim1=1, dim2=2).square()
    return bool(((pivots < NEARLY * diagonal) & (diagonal > 0)).any())


def draw_weights(layer: Map, tile: Tile, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The weights (networks, fan-out, fan-in) of a layer and its biases (networks, fan-out).

    Biases are None where their variance is 0. ``name`` is that of the memory that the weights
    stand in: they are overwritten when it is next asked for.
    """
    draw = _normal if layer.weights == "normal" else _uniform
    shape = (tile.streams.networks, layer.fan_out, layer.fan_in)
    weights = tile.workspace(name, shape, tile.dtype, tile.device)
    draw(weights, layer.C_W / layer.fan_in, tile.streams)
    if layer.C_b == 0:
        return weights, None
    biases = torch.empty(shape[:2], dtype=tile.dtype, device=tile.device)
    draw(biases, layer.C_b, tile.streams)
    return weights, biases


def _normal(values: torch.Tensor, variance: float, streams: Streams) -> None:
    streams.normal_(values, math.sqrt(variance))


def _uniform(values: torch.Tensor, variance: float, streams: Streams) -> None:
    streams.uniform_(values, math.sqrt(3 * variance))
