"""What theory says of the derivatives of layers by the input (docs/theory.md 13.12)."""

from __future__ import annotations

import numpy as np

from finitewidth.core.bins import PROBABILITIES
from finitewidth.theory.mlp.tangent_squares import along_and_across
from finitewidth.theory.mlp.volumes import log_volumes
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.case import Case, Orders


def jacobians(case: Case) -> dict[str, Orders]:
    """Of perceptrons: squared lengths of tangents at infinite width, volumes of linear networks and
    of those that pass one sign alone."""
    mlp, two_slopes = case.mlp, case.has_slopes
    n_0 = mlp.widths[0]
    along, across = along_and_across(mlp, case.x, case.layers)
    known = two_slopes or case.is_normal or not any(mlp.C_b[: max(case.layers) - 1])
    if not known:
        along, across = np.full_like(along, np.nan), np.full_like(across, np.nan)
    squares = np.concatenate([np.repeat(across[..., None], n_0 - 1, -1), along[..., None]], -1)
    found = _told(np.sort(squares, axis=-1))
    if two_slopes:
        square = squares.mean(axis=-1)
        found["jacobian_square"]["exact"] = square
        mean, variance = log_volumes(mlp, case.layers)
        mean = (mean + 0.5 * np.log(n_0 / np.array(mlp.widths)[case.layers]))[:, None]
        mean = np.where(square > 0, mean, np.nan)
        found["jacobian_log_mean"]["exact"] = mean
        found["jacobian_log_variance"]["exact"] = np.where(square > 0, variance[:, None], np.nan)
        # One singular value is the mean of all.
        one = np.minimum.accumulate(mlp.widths)[case.layers] == 1
        values = np.where(one[:, None], mean, np.nan)[..., None]
        found["jacobian_spectrum"]["exact"] = np.repeat(values, len(PROBABILITIES), axis=-1)
    return found


def of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of networks made of blocks nothing is known here."""
    return _told(np.full((*case.shape, 1), np.nan))


def _told(squares: np.ndarray) -> dict[str, Orders]:
    """Of squared singular values (layer, input, singular), the smallest first."""
    some = squares.min(axis=-1, keepdims=True) > 0
    logs = 0.5 * np.log(np.where(some, squares, 1.0))
    logs = np.where(some, logs, np.nan)
    at = np.maximum(np.ceil(PROBABILITIES * squares.shape[-1]).astype(int), 1) - 1
    return {
        "jacobian_square": {"infinite_width": squares.mean(axis=-1)},
        "jacobian_log_mean": {"infinite_width": logs.mean(axis=-1)},
        "jacobian_log_variance": {"infinite_width": 0 * logs.mean(axis=-1)},
        "jacobian_spectrum": {"infinite_width": logs[..., at]},
    }
