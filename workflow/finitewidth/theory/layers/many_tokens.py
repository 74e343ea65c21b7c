"""Attention among more and more tokens that are all alike, at infinite width.

Logits vary by V = beta^2 log T (`equal_tokens.py` says what of them counts). Scores are then the
weights of a random energy model of T levels, which freezes at beta_c = sqrt(2) (Derrida 1981; of
attention: Giorlandino and Goldt, arXiv:2505.24333, whose beta^2 (1 - p) is this beta^2). As T grows
at fixed beta, with m = beta_c/beta,

    E[sum P_s^2] -> 1 - m above beta_c, and 0 below,
    E[-sum P_s log P_s] -> psi(1) - psi(1 - m) above, and log T - V/2 below.

Two tokens whose queries differ look at different tokens: their products tend to 0. What is left out
falls as 1/log T above beta_c, and as a power of T below. How large it is nothing here says.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import log, prod, sqrt

import numpy as np
from scipy.special import digamma

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer
from finitewidth.theory.layers.equal_tokens import Alike
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step

#: Tokens that count as many at least, and relative differences that are rounding.
_LEAST, _ROUNDING = 16, 1e-9


@dataclass(frozen=True, kw_only=True)
class AmongMany(Attention):
    """Attention whose step is the limit of many tokens."""


def among_many(architecture: Architecture) -> Architecture | None:
    """The same network with the limit's steps; None where no softmax sees many tokens."""
    layers = tuple(
        _replaced(layer, prod(shape[1:]))
        for layer, shape in zip(architecture.layers, architecture.shapes[:-1], strict=True)
    )
    if layers == architecture.layers:
        return None
    return Architecture(architecture.shape, layers, architecture.ends, architecture.read)


def _replaced(layer: Layer, tokens: int) -> Layer:
    if isinstance(layer, Block):
        branch = [_replaced(inner, tokens) for inner in layer.branch]
        return Block(branch, layer.gamma, layer.beta, layer.name)
    if not isinstance(layer, Attention) or tokens < _LEAST:
        return layer
    if layer.scores != "softmax" or layer.scale != "sqrt":
        return layer
    return AmongMany(**{one.name: getattr(layer, one.name) for one in fields(layer)})


@step.register
def _among_many(layer: AmongMany, before: Kernels, rates: RatesLeft) -> Kernels:
    """The kernel alone, of one input; NaN where tokens are not alike, or share nothing: what they
    come to share is of the order 1/T then, which the limit leaves out."""
    K, tokens = before.nngp, prod(before.shape[1:])
    query, key, value, out = layer.query, layer.key, layer.value, layer.output
    alike = None if layer.causal or len(K) > tokens else Alike.of(K)
    found = np.full_like(K, np.nan)
    if alike is not None and alike.other > _ROUNDING * alike.own:
        apart = max(alike.own - alike.other, 0.0)
        own = share((query.C_b + query.C_W * alike.own) * key.C_W * apart, tokens)
        # Tokens that do not differ are one.
        other = own if apart <= _ROUNDING * alike.own else 0.0
        products = np.where(np.eye(tokens, dtype=bool), own, other)
        mixed = value.C_b + value.C_W * (alike.other + apart * products)
        found = out.C_b + out.C_W * mixed
    shape = layer.shape_after((query.inputs, *before.shape[1:]))
    return Kernels(shape, found, gaussian=True)


def share(V: float, tokens: int) -> float:
    """E[sum P^2] of logits that vary by V."""
    return max(1 - _frozen(V, tokens), 0.0)


def entropy(V: float, tokens: int) -> float:
    """E[-sum P log P] of such logits."""
    m = _frozen(V, tokens)
    return float(digamma(1) - digamma(1 - m)) if m < 1 else log(tokens) - V / 2


def _frozen(V: float, tokens: int) -> float:
    """beta_c/beta."""
    return sqrt(2 * log(tokens) / V) if V > 0 else float("inf")
