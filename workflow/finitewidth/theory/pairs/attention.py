"""Attention whose scores need no integral, for pairs of inputs: identity scores, uniform ones."""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.positions import Positions
from finitewidth.theory.layers.attention import Tangents, scores_of, without_integrals
from finitewidth.theory.pairs.state import Pairs, RatesLeft, step

#: Covariance and tangent kernel of queries, keys or values.
_Part = tuple[np.ndarray, np.ndarray | None]


@step.register
def _attention(layer: Attention, before: Pairs, rates: RatesLeft) -> Pairs:
    """As of all rows at once; tokens of one input meet those of one other alone."""
    if before.layout not in ("all", "own"):
        raise ValueError("attention wants the kernel of every pair of tokens")
    scores = scores_of(layer, before.shape[1])
    if scores is None:
        raise NotImplementedError("softmax takes all rows at once")
    parts: list[_Part] = []
    made: dict[tuple, _Part] = {}
    for one in (layer.query, layer.key, layer.value):
        # Parts of one law are alike.
        law = one.C_b, one.C_W, None if before.ntk is None else next(rates)
        made[law] = made[law] if law in made else _part(one, before, law[2])
        parts.append(made[law])
    axes = {"all": (-3, -1), "own": (-2, -1)}[before.layout]
    kernels = Tangents(*(one for one, _ in parts))
    tangents = [one for _, one in parts if one is not None]
    of = Tangents(*tangents) if tangents else None
    nngp, ntk = without_integrals(scores, layer.causal, axes, kernels, of)
    out = layer.output
    if ntk is not None:
        lambda_b, lambda_W = next(rates)
        ntk = lambda_b + lambda_W * nngp + out.C_W * ntk
    return before.with_kernels(
        out.C_b + out.C_W * nngp, ntk, layer.shape_after((layer.query.inputs, *before.shape[1:]))
    )


def _part(one: Dense, before: Pairs, rates: tuple[float, float] | None) -> _Part:
    ntk = None
    if before.ntk is not None and rates is not None:
        lambda_b, lambda_W = rates
        ntk = lambda_b + lambda_W * before.nngp + one.C_W * before.ntk
    return one.C_b + one.C_W * before.nngp, ntk


@step.register
def _positions(layer: Positions, before: Pairs, rates: RatesLeft) -> Pairs:
    """C_W/tokens between tokens at one position, else 0."""
    if before.layout in ("all", "own"):
        axes, tokens = before.place_axes, layer.tokens
        shape = [tokens if axis in axes else 1 for axis in range(before.nngp.ndim)]
        same = np.eye(layer.tokens).reshape(shape) / layer.tokens
    else:
        same = np.array(1 / layer.tokens)
    same = np.broadcast_to(same, before.nngp.shape)
    ntk = None
    if before.ntk is not None:
        lambda_b, lambda_W = next(rates)
        ntk = lambda_b + lambda_W * same
    return before.with_kernels(layer.C_b + layer.C_W * same, ntk)
