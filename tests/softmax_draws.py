"""Means over the softmax of Gaussian logits, by plain draws."""

import numpy as np


def brute_force(given, draws=200000, seed=3):
    """Both means by plain Monte Carlo on Gaussian logits, with their errors."""
    stream, rows, T = np.random.default_rng(seed), len(given.q), given.tokens
    F, G = np.linalg.cholesky(given.q), np.linalg.cholesky(given.k)
    blocks = np.kron(np.eye(rows // T), np.ones((T, T)))
    if given.causal:
        blocks = np.tril(blocks)
    each = []
    for _ in range(20):
        A = F @ stream.normal(size=(draws // 20, rows, rows)) @ G.T
        P = np.where(blocks > 0, np.exp(A), 0.0)
        P /= P.sum(2, keepdims=True)
        mixed = np.einsum("nts,su,nvu->tv", P, given.v, P, optimize=True)
        through = np.einsum("nts,su,nvu->tv", P, given.tangents.v, P, optimize=True)
        # dP_tu/dA_ts
        slope = np.einsum("nts,us->ntus", P, np.eye(rows)) - P[:, :, :, None] * P[:, :, None, :]
        D = np.einsum("ntus,uw,nvwx->tsvx", slope, given.v, slope, optimize=True)
        logits = np.einsum("tv,sx->tsvx", given.tangents.q, given.k) + np.einsum(
            "tv,sx->tsvx", given.q, given.tangents.k)  # fmt: skip
        each.append(np.stack([mixed, through + (D * logits).sum((1, 3))]) / len(P))
    each = np.stack(each)
    return each.mean(0), each.std(0, ddof=1) / np.sqrt(len(each))
