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
from finitewidth.theory.layers.kernels import Kernels, RatesLeft, step
from finitewidth.theory.layers.softmax_means import by_points
from finitewidth.theory.layers.softmax_pairs import of_two


class Tangents(NamedTuple):
    """Tangent kernels of queries, keys and values, (..., rows, rows)."""

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
    """NaN where softmax is not integrated to a thousandth (`softmax_means.py`)."""
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
    if layer.scores == "identity":
        return _linear(parts) if layer.scale == "sqrt" else _constant(parts, np.zeros_like(parts.q))
    if layer.scale == "full" or parts.tokens == 1:
        return _constant(parts, _uniform(parts))
    return of_two(parts) if parts.tokens == 2 else by_points(parts)


def _uniform(parts: Parts) -> np.ndarray:
    """Scores of logits that are 0, (rows, rows)."""
    seen = np.ones((parts.tokens,) * 2)
    seen = np.tril(seen) if parts.causal else seen
    return np.kron(np.eye(len(parts.q) // parts.tokens), seen / seen.sum(1, keepdims=True))


def _constant(parts: Parts, P: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Of scores that do not depend on logits."""
    of = parts.tangents
    return P @ parts.v @ P.T, None if of is None else P @ of.v @ P.T


def _linear(parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    """Of scores that are the logits: E[A_ts A_t's'] = Kq_tt' Kk_ss', D_ts,t's' = Kv_ss'."""
    mixed = parts.q * _over_seen(parts, parts.k * parts.v)
    of = parts.tangents
    if of is None:
        return mixed, None
    passed = parts.q * _over_seen(parts, parts.k * of.v + of.k * parts.v)
    return mixed, passed + of.q * _over_seen(parts, parts.k * parts.v)


def _over_seen(parts: Parts, X: np.ndarray) -> np.ndarray:
    """Sums over the tokens that two tokens see, one each: (rows, rows)."""
    seen = np.tril(np.ones((parts.tokens,) * 2)) if parts.causal else np.ones((parts.tokens,) * 2)
    wide = np.kron(np.eye(X.shape[-1] // parts.tokens), seen)
    return wide @ X @ wide.T
