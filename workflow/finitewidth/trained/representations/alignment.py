"""Orthogonal alignment of representations from their cross-covariances (docs/theory.md 11.3)."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def rotation(cross: Array) -> Array:
    """The partial isometry R that maximises tr(R^T cross): R = U V^T of its SVD.

    Parameters
    ----------
    cross : array, shape (..., n, m)
        E[phi psi^T] of two representations.

    Returns
    -------
    array, shape (..., n, m)
        R psi is what comes closest to phi (Schoenemann 1966); R of a matrix without full rank
        vanishes where there is nothing to align.
    """
    u, s, vt = np.linalg.svd(cross, full_matrices=False)
    floor = s[..., :1] * max(cross.shape[-2:]) * np.finfo(float).eps
    return (u * (s > floor)[..., None, :]) @ vt


def correlation(turn: Array, cross: Array, trace: float | Array, trace_: float | Array) -> Array:
    """rho = tr(R^T E[phi psi^T])/sqrt(E|phi|^2 E|psi|^2), shape (...).

    With R fitted on these very moments it is the nuclear norm of the cross-covariance over the
    root of the traces; on held-out moments it may be anything from -1 to 1. NaN where a
    representation is constant.
    """
    overlap = np.sum(turn * cross, axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return overlap / np.sqrt(np.multiply(trace, trace_))


def explained(rho: Array) -> Array:
    """r^2: the share of variance that the rotation explains with the best scale of at least 0."""
    return np.maximum(rho, 0) ** 2


def cosines(frame: Array, frame_: Array, turn: Array | None, count: int) -> Array:
    """|cosine| between the leading eigenvectors of two networks, shape (count, count).

    Parameters
    ----------
    frame : array, shape (n, components)
        Columns are eigenvectors of the first network, largest eigenvalue first.
    frame_ : array, shape (m, components_)
        Those of the second.
    turn : array, shape (n, m), or None
        What takes the second network's space to the first's; for patches of a convolution it acts
        on channels, which stand first, and patches of both are alike.
    """
    first, second = frame[:, :count], frame_[:, :count]
    if turn is not None:
        patch = len(second) // turn.shape[1]
        folded = second.reshape(turn.shape[1], patch, -1)
        second = np.einsum("ab,bpk->apk", turn, folded).reshape(-1, second.shape[1])
    found = np.full((count, count), np.nan)
    inner = np.abs(first.T @ second)
    found[: inner.shape[0], : inner.shape[1]] = np.minimum(inner, 1.0)
    return found
