"""The mean entropy of the scores of attention at infinite width.

Logits of a token t are Gaussian, Cov(A_ts, A_ts') = Kq_tt Kk_ss' (`attention.py`). Of two tokens
the entropy is a function of their difference alone, and tokens that are all alike have an integral
over one number (`equal_tokens.py`). Of others the mean is taken by randomised quasi-Monte Carlo,
and is not told where that is not known to :data:`LARGEST_ERROR`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.layers import many_tokens
from finitewidth.theory.layers.equal_tokens import Alike, entropy
from finitewidth.theory.layers.infinite_width import start
from finitewidth.theory.layers.kernels import Kernels, step
from finitewidth.theory.layers.many_tokens import AmongMany
from finitewidth.theory.layers.softmax_means import LARGEST_ERROR, normals, root

#: Estimates, and powers of two points in each.
_SCRAMBLED, _POWER = 8, 11


def attention_entropies(architecture: Architecture, x: np.ndarray) -> list[np.ndarray]:
    """Of each layer of results the mean over the softmaxes since the one before, by row.

    Parameters
    ----------
    architecture : Architecture
    x : ndarray
        As :meth:`~finitewidth.models.architecture.Architecture.arranged` takes it.

    Returns
    -------
    list of ndarray, shape (inputs, tokens)
        One a layer of results; (inputs, 1) of NaN where there is no attention since the one before.
    """
    x = architecture.arranged(np.asarray(x, dtype=float))
    now, found = start(x, with_ntk=False), []
    met: list[np.ndarray] = []
    for number, layer in enumerate(architecture.layers, 1):
        met += _inside(layer, now)
        now = step(layer, now, iter(()))
        if number in architecture.ends:
            nothing = np.full((len(x), 1), np.nan)
            found.append(np.mean(met, axis=0) if met else nothing)
            met = []
    return found


def _inside(layer: Layer, before: Kernels) -> Iterator[np.ndarray]:
    """Entropies of a layer, (inputs, tokens) each, or of those in its branch."""
    if isinstance(layer, Attention) and layer.scores == "softmax":
        yield _of_attention(layer, before)
    if isinstance(layer, Block):
        yield from _along(layer.branch, before)


def _along(layers: Iterable[Layer], now: Kernels) -> Iterator[np.ndarray]:
    left = list(layers)
    while any(isinstance(one, Attention | Block) for one in left):
        layer = left.pop(0)
        yield from _inside(layer, now)
        # What stands behind the last attention is not wanted.
        if any(isinstance(one, Attention | Block) for one in left):
            now = step(layer, now, iter(()))


def _of_attention(layer: Attention, before: Kernels) -> np.ndarray:
    tokens = prod(before.shape[1:])
    own = range(0, len(before.nngp), tokens)
    blocks = [before.nngp[a : a + tokens, a : a + tokens] for a in own]
    q, k = layer.query, layer.key
    mean = _among_many if isinstance(layer, AmongMany) else _mean_entropy
    found = []
    for K in blocks:
        size, keys = q.C_b + q.C_W * np.diagonal(K), k.C_b + k.C_W * K
        each = []
        for t in range(tokens):
            seen = t + 1 if layer.causal else tokens
            scale = 0.0 if layer.scale == "full" else size[t]
            each.append(mean(scale * keys[:seen, :seen]))
        found.append(each)
    return np.array(found)


def _among_many(C: np.ndarray) -> float:
    """Its limit of many tokens; NaN where tokens are not alike."""
    alike = Alike.of(C) if len(C) > 1 else None
    if alike is None:
        return float("nan")
    return many_tokens.entropy(max(alike.own - alike.other, 0.0), len(C))


def _mean_entropy(C: np.ndarray) -> float:
    """E of the entropy of softmax(A), A Gaussian of covariance C."""
    if not np.isfinite(C).all():
        return float("nan")
    if len(C) == 1 or not C.any():
        return float(np.log(len(C)))
    if len(C) == 2:
        return float(expectation(_of_two, np.array(max(C[0, 0] + C[1, 1] - 2 * C[0, 1], 0.0))))
    alike = Alike.of(C)
    if alike is not None:
        return entropy(max(alike.own - alike.other, 0.0), len(C))
    F = root(C)
    each = [_entropies(F, normals(F.shape[1], _POWER, k)).mean() for k in range(_SCRAMBLED)]
    value, error = np.mean(each), np.std(each, ddof=1) / np.sqrt(_SCRAMBLED)
    return float(value) if error <= LARGEST_ERROR * value else float("nan")


def _entropies(F: np.ndarray, Z: np.ndarray) -> np.ndarray:
    A = Z @ F.T
    A -= A.max(1, keepdims=True)
    P = np.exp(A)
    total = P.sum(1)
    return np.log(total) - (P * A).sum(1) / total


def _of_two(d: np.ndarray) -> np.ndarray:
    """Entropy of (p, 1 - p), p = 1/(1 + exp(-d))."""
    size = np.abs(d)
    small = np.exp(-size)
    return np.log1p(small) + size * small / (1 + small)
