"""What theory says of derivatives by layers, gates and attention (docs/theory.md 13.8 to 13.10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.slopes import mean_square_slope
from finitewidth.theory.layers.entropies import attention_entropies
from finitewidth.theory.layers.gradient_norms import gradient_norms as of_architecture
from finitewidth.theory.layers.many_tokens import among_many
from finitewidth.theory.mlp import exact, kernel
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.case import Case, Orders


def gradient_norms(case: Case) -> dict[str, Orders]:
    """Of perceptrons: C_W <sigma'^2> of each layer above, exactly where there are two slopes."""
    sigma, mlp, depth = case.mlp.activation, case.mlp, len(case.mlp.widths) - 1
    if sigma.slopes is not None:
        # The size of a variance does not matter, and that of a deep one may be out of range.
        K = _alive(mlp, case.x)[:-1]
    else:
        below = range(1, depth)
        K = kernel.variances(mlp, case.x, below) if below else np.empty((0, len(case.x)))
    factors = np.array(mlp.C_W[1:])[:, None] * mean_square_slope(sigma, K)
    above = np.concatenate([np.cumprod(factors[::-1], axis=0)[::-1], np.ones((1, len(case.x)))])
    found = above[np.array(case.layers) - 1]
    # What stands before the last layer has to be Gaussian.
    known = sigma.slopes is not None or case.is_normal or not any(mlp.C_b[:-1])
    own = None if sigma.slopes is None else found * _passing(case)
    return _told(found if known else np.full_like(found, np.nan), own)


def _passing(case: Case) -> np.ndarray:
    """The chance that a layer is not dead, where a dead one passes nothing back: (layer, input).

    Where the layer before is all on ReLU's flat side, z is 0 and so is sigma'. Gates further up are
    fair beside that: with them dead, too, the layer's own are. Of the output f itself it is 1.
    """
    if 0 not in case.mlp.activation.slope_pair:
        return np.ones(case.shape)
    alive = 1 - exact.dead_fraction(case.mlp, case.x, case.layers)
    return np.where(np.array(case.layers)[:, None] == len(case.mlp.widths) - 1, 1.0, alive)


def _alive(mlp: Perceptron, x: np.ndarray) -> np.ndarray:
    """1 where a layer has a variance, else 0: (layer, input), of two slopes."""
    found = [np.asarray(x, float).any(axis=1)]
    for C_b, C_W in zip(mlp.C_b, mlp.C_W, strict=True):
        found.append((found[-1] & (C_W > 0)) | (C_b > 0))
    return np.array(found[1:], float)


def of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of networks made of blocks, on vectors exactly where two slopes stand between maps alone."""
    if case.shape[1] != len(case.x) or not case.has_limit:
        return _told(np.full(case.shape, np.nan), None)
    found = of_architecture(case.network, case.x)[np.array(case.layers) - 1]
    if case.network.has_places or not all(map(_is_plain, case.network.layers)):
        return _told(found, None)
    ends = case.network.ends
    # A layer that may be dead passes less back, and how often it is dead is not known here.
    known = [
        layer == len(ends) or _is_symmetric(case.network.layers[: ends[layer - 1]])
        for layer in case.layers
    ]
    return _told(found, np.where(np.array(known)[:, None], found, np.nan))


def active_shares(case: Case) -> dict[str, Orders]:
    """Of perceptrons: a half of what is not dead, by the symmetry of weights and biases."""
    orders = {
        "infinite_width": np.where(np.isnan(case.log_K), np.nan, np.where(case.K > 0, 0.5, 0))
    }
    sigma = case.mlp.activation
    if case.has_slopes:
        dead = exact.dead_fraction(case.mlp, case.x, case.layers)
        orders["exact"] = (1 - dead) / 2
    elif sigma.derivatives is not None:
        # Analytic: where it has a variance no neuron is exactly 0.
        orders["exact"] = orders["infinite_width"]
    return {"active_share": orders}


def shares_of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of networks made of blocks: a half, less or more where a skip has the sign of a neuron go
    with the size of what is added to it."""
    alive = np.where(np.isnan(case.K), np.nan, np.where(case.K > 0, 0.5, 0.0))
    limit = np.where(case.K > 0, alive * case.gaussian[:, None], alive)
    orders = {"infinite_width": limit}
    if case.active is not None:
        orders["1/n"] = np.where(case.K > 0, limit + case.active, limit)
    ends = [case.network.ends[layer - 1] for layer in case.layers]
    known = [_is_symmetric(case.network.layers[:end]) for end in ends]
    if any(known):
        orders["exact"] = np.where(np.array(known)[:, None] & (case.K > 0), limit, np.nan)
    return {"active_share": orders}


def no_entropies(case: Case) -> dict[str, Orders]:
    """Of perceptrons: no attention, and nothing to say of it."""
    return {"attention_entropy": {"infinite_width": np.full(case.shape, np.nan)}}


def entropies_of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of attention at infinite width, with infinitely many dimensions of a head; also in the limit
    of many tokens."""
    orders = {"infinite_width": np.full(case.shape, np.nan)}
    if case.has_limit and case.network.has_places and case.is_small:
        limit = among_many(case.network)
        orders["infinite_width"] = _entropies(case, case.network)
        if limit is not None:
            orders["many_tokens"] = _entropies(case, limit)
    return {"attention_entropy": orders}


def _entropies(case: BlockCase, network: Architecture) -> np.ndarray:
    each, found = attention_entropies(network, case.x), np.empty(case.shape)
    for k, layer in enumerate(case.layers):
        by_token = each[layer - 1]
        one = by_token if network.places_read > 1 else by_token.mean(1, keepdims=True)
        found[k] = np.broadcast_to(one, (len(case.x), network.places_read)).ravel()
    return found


def _is_symmetric(layers: Sequence[Layer]) -> bool:
    """Whether a neuron has both signs with equal chance at any width, and is never exactly 0: what
    a fresh matrix gives is, and norms and means over places of it."""
    *before, last = layers
    if isinstance(last, LayerNorm | RmsNorm | AveragePool):
        return _is_symmetric(before)
    if isinstance(last, Block):
        return not last.gamma and _is_symmetric([*before, *last.branch])
    each = [inner for one in before for inner in (one.branch if isinstance(one, Block) else [one])]
    slopes = [one.activation.slopes for one in each if isinstance(one, Nonlinearity)]
    never_dead = all(pair is None or all(pair) for pair in slopes)
    return isinstance(last, Map) and (last.C_b > 0 or never_dead)


def _is_plain(layer: Layer) -> bool:
    """Whether the sign of what comes in may be turned, weights and biases with it, and nothing
    happens but that two slopes change places."""
    if isinstance(layer, Block):
        return not layer.gamma and all(map(_is_plain, layer.branch))
    if isinstance(layer, Nonlinearity):
        return layer.activation.slopes is not None
    return isinstance(layer, Map)


def _told(found: np.ndarray, own: np.ndarray | None) -> dict[str, Orders]:
    with np.errstate(divide="ignore"):
        log = np.where(found > 0, np.log(np.where(found > 0, found, 1.0)), np.nan)
    norm = {"infinite_width": found} | ({} if own is None else {"exact": own})
    return {
        "gradient_norm": norm,
        "gradient_log_mean": {"infinite_width": log},
        "gradient_log_variance": {"infinite_width": 0 * log},
    }
