"""How alike inputs are at infinite width, where networks share one kernel (docs/theory.md 13)."""

from __future__ import annotations

import numpy as np

from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.many_tokens import among_many
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.case import Case, Orders


def collapses(case: Case) -> dict[str, Orders]:
    """Of perceptrons."""
    return _told(case.kernel)


def of_blocks(case: BlockCase) -> dict[str, Orders]:
    """Of networks made of blocks; also in the limit of many tokens."""
    found = _told(case.kernel)
    limit = among_many(case.network)
    if limit is not None and case.is_small and case.has_limit:
        each = infinite_width_kernels(limit, case.x)
        places = [(each[k - 1].nngp, case.rows(k)) for k in case.layers]
        K = np.stack([one[np.ix_(own, own)] for one, own in places])
        found["mean_cosine"]["many_tokens"] = _mean_cosine(K)
    return found


def _told(K: np.ndarray) -> dict[str, Orders]:
    """Of a kernel (T, N, N); (T,) each."""
    return {
        "mean_cosine": {"infinite_width": _mean_cosine(K)},
        "stable_rank": {"infinite_width": _stable_rank(K)},
    }


def _mean_cosine(K: np.ndarray) -> np.ndarray:
    a, b = np.triu_indices(K.shape[-1], 1)
    if not len(a):
        return np.full(len(K), np.nan)
    own = np.diagonal(K, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (K[:, a, b] / np.sqrt(own[:, a] * own[:, b])).mean(1)


def _stable_rank(K: np.ndarray) -> np.ndarray:
    found = np.full(len(K), np.nan)
    for place, one in enumerate(K):
        if np.isfinite(one).all() and one.any():
            values = np.linalg.eigvalsh(one)
            found[place] = np.sum((values / values[-1]) ** 2)
    return found
