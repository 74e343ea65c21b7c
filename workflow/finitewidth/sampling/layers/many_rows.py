"""Rows of Gaussian numbers where there are many, as images at all their places are."""

from __future__ import annotations

import torch

from finitewidth.sampling.gaussian_rows import semidefinite_factor
from finitewidth.sampling.record import Workspace

#: Up to so many rows a factor is made column by column for all networks together; beyond it
#: by the linear-algebra library, network by network.
FEW_ROWS = 8
#: Share of its diagonal below which a pivot is looked at again, column by column with pivots.
_CLEAR = 1e-9


def correlate_many(gram: torch.Tensor, normals: torch.Tensor, workspace: Workspace) -> torch.Tensor:
    """Turn independent normals (networks, rows, neurons) into rows of covariance ``gram``.

    ``gram`` is (networks, rows, rows), float64, or that of one network where all have the same.
    """
    factor = factor_of(gram).to(normals.dtype).expand(len(normals), -1, -1)
    out = workspace("correlated", normals.shape, normals.dtype, normals.device)
    return torch.bmm(factor, normals, out=out)


def factor_of(gram: torch.Tensor) -> torch.Tensor:
    """As :func:`~finitewidth.sampling.gaussian_rows.semidefinite_factor`, faster for many rows.

    Cholesky's factor of the library where every pivot of a network is clear of rounding. Which
    networks are, each decides by itself, so that none depends on those beside it.
    """
    if gram.shape[1] <= FEW_ROWS:
        return semidefinite_factor(gram)
    factor, failed = torch.linalg.cholesky_ex(gram)
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    pivots = torch.diagonal(factor, dim1=1, dim2=2).square()
    # What is no number is none here either.
    unclear = (failed != 0) | ~(pivots > _CLEAR * diagonal).all(1)
    if bool(unclear.any()):
        factor[unclear] = semidefinite_factor(gram[unclear])
    return factor
