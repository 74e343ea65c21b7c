"""Attention in drawn networks: logits within each input, scores, and means of values.

Queries, keys and values come as (networks, rows, heads x numbers of a head), in a basis of each
head that is as good as any other (`heads.py`): only products of two of them are looked at.
"""

from __future__ import annotations

import torch

from finitewidth.models.layers.attention import Attention
from finitewidth.sampling.layers.steps import Draw, Rows, forward


@forward.register
def _forward(layer: Attention, before: Rows, draw: Draw) -> Rows:
    tokens = before.by_place.shape[2]
    # What is drawn may stand in memory that the next draw takes, and so may what came in.
    seen = before.values if before.owned else before.values.clone()
    query, key = (by_head(draw(one, seen).clone(), layer.heads, tokens)
                  for one in (layer.query, layer.key))  # fmt: skip
    P = scores(layer, logits(layer, query, key))
    value = by_head(draw(layer.value, seen), layer.heads, tokens)
    mixed = side_by_side(P @ value)
    kept = (P,) if layer.scores == "softmax" else ()
    return Rows(draw(layer.output, mixed), layer.shape_after(before.shape), scores=kept)


def scores_back(
    layer: Attention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    back: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Derivatives by queries, keys and values, of those by means of values.

    All as :func:`by_head` splits them; ``back`` has an axis of outputs behind that of networks.
    """
    P = scores(layer, logits(layer, query, key))[:, None]
    by_score = back @ value[:, None].mT
    if layer.scores == "softmax":
        by_logit = P * (by_score - (by_score * P).sum(-1, keepdim=True))
    else:
        by_logit = by_score.tril() if layer.causal else by_score
    by_logit = by_logit / layer.over
    return by_logit @ key[:, None], by_logit.mT @ query[:, None], P.mT @ back


def by_head(values: torch.Tensor, heads: int, tokens: int) -> torch.Tensor:
    """(networks, inputs, heads, tokens, numbers of a head) of (networks, rows, all of them)."""
    networks, rows, numbers = values.shape
    split = values.reshape(networks, rows // tokens, tokens, heads, numbers // heads)
    return split.transpose(2, 3)


def side_by_side(values: torch.Tensor) -> torch.Tensor:
    """The other way round."""
    return values.transpose(2, 3).flatten(3).flatten(1, 2)


def logits(layer: Attention, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Products of each token's query with each token's key, (.., tokens, tokens)."""
    return (query @ key.mT).div_(layer.over)


def scores(layer: Attention, A: torch.Tensor) -> torch.Tensor:
    """What tokens are weighted by; overwrites the logits."""
    if layer.causal:
        after = torch.ones(A.shape[-2:], dtype=torch.bool, device=A.device).triu(1)
        A = A.masked_fill_(after, 0.0 if layer.scores == "identity" else -torch.inf)
    return A if layer.scores == "identity" else A.softmax(-1)
