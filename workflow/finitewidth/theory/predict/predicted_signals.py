"""What theory says of derivatives of outputs by layers.

At infinite width |df/dz|^2 is one number, a product of a factor a layer
(docs/theory.md 13.8).
"""

from __future__ import annotations

import numpy as np

from finitewidth.models.layers.block import Block
from finitewidth.models.layers.layer import Layer, Map
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.slopes import mean_square_slope
from finitewidth.theory.layers.gradient_norms import gradient_norms as of_architecture
from finitewidth.theory.mlp import kernel
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
    return _told(found if known else np.full_like(found, np.nan), exact=sigma.slopes is not None)


def _alive(mlp: Perceptron, x: np.ndarray) -> np.ndarray:
    """1 where a layer has a variance, else 0: (layer, input), of two slopes."""
    found = [np.asarray(x, float).any(axis=1)]
    for C_b, C_W in zip(mlp.C_b, mlp.C_W, strict=True):
        found.append((found[-1] & (C_W > 0)) | (C_b > 0))
    return np.array(found[1:], float)


def of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of networks made of blocks, on vectors exactly where two slopes stand between maps alone."""
    if case.shape[1] != len(case.x) or not case.has_limit:
        return _told(np.full(case.shape, np.nan), exact=False)
    found = of_architecture(case.network, case.x)[np.array(case.layers) - 1]
    plain = not case.network.has_places and all(map(_is_plain, case.network.layers))
    return _told(found, exact=plain)


def _is_plain(layer: Layer) -> bool:
    """Whether the sign of what comes in may be turned, weights and biases with it, and nothing
    happens but that two slopes change places."""
    if isinstance(layer, Block):
        return not layer.gamma and all(map(_is_plain, layer.branch))
    if isinstance(layer, Nonlinearity):
        return layer.activation.slopes is not None
    return isinstance(layer, Map)


def _told(found: np.ndarray, exact: bool) -> dict[str, Orders]:
    with np.errstate(divide="ignore"):
        log = np.where(found > 0, np.log(np.where(found > 0, found, 1.0)), np.nan)
    norm = {"infinite_width": found} | ({"exact": found} if exact else {})
    return {
        "gradient_norm": norm,
        "gradient_log_mean": {"infinite_width": log},
        "gradient_log_variance": {"infinite_width": 0 * log},
    }
