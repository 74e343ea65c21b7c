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

from finitewidth.models.layers.layer import Map
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams


@dataclass(frozen=True)
class Tile:
    """The networks that are drawn together: from what, in which memory and precision."""

    streams: Streams
    workspace: Workspace
    dtype: torch.dtype
    device: torch.device


def with_weights(layer: Map, seen: torch.Tensor, tile: Tile) -> torch.Tensor:
    """Draw the matrix, and multiply by it: shape (networks, rows, fan-out)."""
    weights, biases = draw_weights(layer, tile, "weights")
    return multiplied(seen, weights, biases)


def multiplied(
    seen: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor | None
) -> torch.Tensor:
    """What weights (networks, fan-out, fan-in) make of ``seen`` (networks, rows, fan-in)."""
    z = torch.bmm(weights, seen.transpose(1, 2).expand(len(weights), -1, -1))
    if biases is not None:
        z += biases[:, :, None]
    return z.transpose(1, 2)


def without_weights(layer: Map, seen: torch.Tensor, tile: Tile) -> torch.Tensor:
    """Draw the outputs alone, in float64 sums: shape (networks, rows, fan-out).

    Raises
    ------
    ValueError
        For weights of another law than the normal one: their sum is not Gaussian.
    """
    require_normal(layer.weights)
    gram = layer.C_b + layer.C_W / layer.fan_in * gram_of(seen, tile.workspace)
    shape = (tile.streams.networks, seen.shape[1], layer.fan_out)
    normals = tile.streams.normal_(tile.workspace("normals", shape, tile.dtype, tile.device))
    return correlate(gram.expand(len(normals), -1, -1), normals, tile.workspace)


def require_normal(weights: str) -> None:
    """Raise ``ValueError`` for weights that cannot be integrated out."""
    if weights != "normal":
        raise ValueError(
            f"the marginal sampler integrates out normal weights only, not {weights} ones:"
            " use the explicit sampler"
        )


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
