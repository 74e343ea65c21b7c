"""Spectra of covariances: eigenvalues, effective dimension, power law (docs/theory.md 11.5)."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def eigen(covariance: Array) -> tuple[Array, Array]:
    """Eigenvalues (..., rank), largest first, never below 0, and eigenvectors in columns.

    Parameters
    ----------
    covariance : array, shape (..., n, n)
    """
    values, frame = np.linalg.eigh(covariance)
    return np.maximum(values[..., ::-1], 0.0), frame[..., ::-1]


def weight_eigen(weight: Array) -> tuple[Array, Array]:
    """The same of W^T W/n_out, from the SVD of weights (..., n_out, n_in).

    There are min(n_out, n_in) of them: all the others are 0.
    """
    _, s, vt = np.linalg.svd(weight, full_matrices=False)
    return s**2 / weight.shape[-2], np.swapaxes(vt, -1, -2)


def participation_ratio(values: Array) -> Array:
    """(sum of eigenvalues)^2/(sum of their squares): an effective dimension, shape (...)."""
    with np.errstate(invalid="ignore"):
        return values.sum(-1) ** 2 / (values**2).sum(-1)


def power_law_slope(values: Array, first: int = 4) -> Array:
    """alpha of eigenvalue ~ rank^-alpha, from ``first`` to half of the ranks; shape (...).

    Least squares of log against log with weights 1/rank, so that every octave counts alike. The
    ranks before ``first`` are a few directions of their own (the mean, the classes), and those
    beyond half of them bend down because the space ends. NaN where fewer than four ranks or an
    eigenvalue of 0 stand in the range.
    """
    last = values.shape[-1] // 2
    if last - first < 3:
        return np.full(values.shape[:-1], np.nan)
    rank = np.arange(first, last + 1)
    weight = 1 / rank
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(values[..., first - 1 : last])
        x = np.log(rank) - np.average(np.log(rank), weights=weight)
        slope = (weight * x * y).sum(-1) / (weight * x**2).sum()
    return np.where(np.isfinite(slope), -slope, np.nan)
