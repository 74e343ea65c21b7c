"""Where the stream of a network is read: by each block, and by the read-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer import Layer
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm


@dataclass(frozen=True)
class Site:
    """z' = gamma z + beta u, u_i = b_i + sum_j W_ij sigma(h_j), h = norm(z) or z.

    ``norm`` is ``rms``, ``layer`` or None. Of a read-out ``gamma`` is 0 and ``beta`` 1.
    """

    activation: Activation
    C_W: float
    C_b: float
    gamma: float
    beta: float
    norm: str | None
    eps: float

    @property
    def strip(self) -> float | None:
        """Half-width of the strip in which the activation is analytic; None where it has a kink."""
        return float("inf") if self.activation.is_linear else self.activation.strip


def sites_of(network: Architecture) -> tuple[Dense, list[Site], int] | None:
    """The embedding, where its stream is read, and the width n; None of any other network.

    Covered are a dense embedding, blocks whose branch is a norm or none, an activation and a dense
    map, and perhaps a read-out of the same form (without an activation it is linear). Weights are
    normal, and the stream has one width.
    """
    embed, *rest = network.layers
    maps = network.maps
    if not isinstance(embed, Dense) or any(one.weights != "normal" for one in maps):
        return None
    found: list[Site] = []
    while rest and isinstance(rest[0], Block):
        block = rest.pop(0)
        assert isinstance(block, Block)
        site = _site(block.branch, block.gamma, block.beta)
        if site is None or (block.gamma == 0 and block.beta == 0):
            return None
        found.append(site)
    if rest:
        site = _site(rest, 0.0, 1.0, linear=True)
        if site is None:
            return None
        found.append(site)
    inner = {one.fan_in for one in maps[1:]}
    # A norm after a block is part of its layer of results, and not of what reads it.
    ends = [*range(2, 2 + len(found) - bool(rest)), *([len(network.layers)] if rest else [])]
    if len(inner) != 1 or list(network.ends) != ends:
        return None
    return embed, found, inner.pop()


def _site(layers: Sequence[Layer], gamma: float, beta: float, linear: bool = False) -> Site | None:
    left = list(layers)
    norm, eps = None, 0.0
    if left and isinstance(left[0], RmsNorm | LayerNorm):
        first = left.pop(0)
        assert isinstance(first, RmsNorm | LayerNorm)
        norm, eps = "layer" if isinstance(first, LayerNorm) else "rms", first.eps
    activation = get("linear") if linear else None
    if left and isinstance(left[0], Nonlinearity):
        first = left.pop(0)
        assert isinstance(first, Nonlinearity)
        activation = first.activation
    if len(left) != 1 or activation is None or not isinstance(left[0], Dense):
        return None
    if activation.slopes is None and activation.strip is None:
        # A kink that may be anywhere.
        return None
    return Site(activation, left[0].C_W, left[0].C_b, gamma, beta, norm, eps)
