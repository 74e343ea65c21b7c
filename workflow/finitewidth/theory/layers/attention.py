"""Attention at infinite width: as many heads as one likes, of as many dimensions.

Logits of a head are Gaussian then, Cov(A_ts, A_t's') = Kq_tt' Kk_ss' of queries and keys (over the
root of the head dimension), and the output is a mean over heads (Hron, Bahri, Sohl-Dickstein,
Novak, ICML 2020). With P the scores and M[X]_tt' = sum_ss' E[P_ts P_t's'] X_ss', row by row of all
inputs,

    K' = C_b + C_O M[Kv],  Theta' = lambda_b + lambda_O M[Kv] + C_O (M[Theta_v]
         + sum_ss' D_ts,t's' (Theta_q,tt' Kk_ss' + Kq_tt' Theta_k,ss')),

D_ts,t's' = sum_uu' E[dP_tu/dA_ts dP_t'u'/dA_t's'] Kv_uu'. Over the head dimension itself logits
vanish, and scores are uniform.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.dense import Dense
from finitewidth.theory.layers.equal_tokens import of_alike
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step
from finitewidth.theory.layers.softmax_means import by_points
from finitewidth.theory.layers.softmax_pairs import of_two


class Tangents(NamedTuple):
    """Tangent kernels (or covariances) of queries, keys and values, (..., rows, rows)."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Parts:
    """Covariances of queries, keys and values (rows, rows), and their tangent kernels if wanted."""

    tokens: int
    causal: bool
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    tangents: Tangents | None = None


@step.register
def _attention(layer: Attention, before: Kernels, rates: RatesLeft) -> Kernels:
    """NaN where softmax is not integrated to a thousandth (`softmax_means.py`).

    Tokens that are all alike have an integral of their own (`equal_tokens.py`)."""
    K, theta = before.nngp, None if before.tangents is None else before.ntk
    each = [_part(one, K, theta, rates) for one in (layer.query, layer.key, layer.value)]
    tangents = [one for _, one in each if one is not None]
    of = Tangents(*tangents) if tangents else None
    q, k, v = (one for one, _ in each)
    parts = Parts(prod(before.shape[1:]), layer.causal, q, k, v, of)
    mixed, passed = means(layer, parts)
    out, ntk = layer.output, None
    if theta is not None:
        lambda_b, lambda_W = next(rates)
        assert passed is not None
        ntk = lambda_b + lambda_W * mixed + out.C_W * passed
    shape = layer.shape_after((layer.query.inputs, *before.shape[1:]))
    return Kernels(shape, out.C_b + out.C_W * mixed, ntk, gaussian=True)


def _part(
    one: Dense, K: np.ndarray, theta: np.ndarray | None, rates: RatesLeft
) -> tuple[np.ndarray, np.ndarray | None]:
    if theta is None:
        return one.C_b + one.C_W * K, None
    lambda_b, lambda_W = next(rates)
    return one.C_b + one.C_W * K, lambda_b + lambda_W * K + one.C_W * theta


def means(layer: Attention, parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    """M[Kv], and what stands in brackets behind C_O in Theta' where tangent kernels are wanted."""
    if not (np.isfinite(parts.q).all() and np.isfinite(parts.v).all()):
        of, nothing = parts.tangents, np.full_like(parts.q, np.nan)
        return nothing, None if of is None else np.full_like(of.v, np.nan)
    apart = (len(parts.q) // parts.tokens, parts.tokens) * 2
    scores = scores_of(layer, parts.tokens)
    if scores is None and _has_logits(parts):
        if parts.tokens == 2:
            return of_two(parts)
        alike = of_alike(parts)
        return by_points(parts) if alike is None else alike
    kernels = Tangents(*(one.reshape(apart) for one in (parts.q, parts.k, parts.v)))
    of = parts.tangents
    each = of and Tangents(*(one.reshape(*one.shape[:-2], *apart) for one in of))
    mixed, passed = without_integrals(scores or "uniform", parts.causal, (-3, -1), kernels, each)
    passed = None if of is None or passed is None else passed.reshape(of.v.shape)
    return mixed.reshape(parts.q.shape), passed


def _has_logits(parts: Parts) -> bool:
    """Whether any logit differs from 0, or its derivatives count."""
    of = parts.tangents
    sides = ((parts.q, of and of.q), (parts.k, of and of.k))
    return all(np.any(own) or (tangent is not None and np.any(tangent)) for own, tangent in sides)


def scores_of(layer: Attention, tokens: int) -> str | None:
    """What scores are that need no integral: the logits (``identity``), ``zero`` or ``uniform``;
    None of others."""
    if layer.scores == "identity":
        return "identity" if layer.scale == "sqrt" else "zero"
    return "uniform" if layer.scale == "full" or tokens == 1 else None


def without_integrals(
    scores: str,
    causal: bool,
    axes: tuple[int, int],
    kernels: Tangents,
    of: Tangents | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """M[Kv], and what stands in brackets, of such scores.

    Parameters
    ----------
    scores : str
        As :func:`scores_of` has it.
    causal : bool
    axes : tuple of int
        Those of the tokens of either input, counted from the last, which is -1.
    kernels : Tangents
        Covariances of queries, keys and values, of one shape.
    of : Tangents, optional
        Of that shape, or several (..., *shape).
    """
    q, k, v = kernels
    if scores == "zero":
        return np.zeros_like(q), None if of is None else np.zeros_like(of.v)

    def seen(X: np.ndarray, means: bool = False) -> np.ndarray:
        """Sums, or means, over the tokens that two tokens see."""
        for axis in axes:
            tokens = X.shape[axis]
            X = X.cumsum(axis) if causal else X.sum(axis, keepdims=True)
            if means and causal:
                X = X / np.arange(1.0, tokens + 1).reshape([-1, *[1] * (-axis - 1)])
            elif means:
                X = X / tokens
        return X

    if scores == "identity":
        # E[A_ts A_t's'] = Kq_tt' Kk_ss', D_ts,t's' = Kv_ss'.
        both = seen(k * v)
        if of is None:
            return q * both, None
        return q * both, q * seen(k * of.v + of.k * v) + of.q * both
    # Scores that do not depend on tokens: D = 0.
    mixed = np.broadcast_to(seen(v, means=True), q.shape)
    return mixed, None if of is None else np.broadcast_to(seen(of.v, means=True), of.v.shape)
