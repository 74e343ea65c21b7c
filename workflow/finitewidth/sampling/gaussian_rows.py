"""Rows of Gaussian numbers with a given covariance, from sums over what a layer multiplies."""

from __future__ import annotations

import torch

from finitewidth.sampling.record import Workspace

#: A pivot below this share of its diagonal is the rounding of a dependent input, and exactly 0.
DEPENDENT = 1e-13
#: Up to this squared correlation two inputs are far enough apart for sums in single precision.
DISTINCT = 0.99


def gram_of(s: torch.Tensor, workspace: Workspace) -> torch.Tensor:
    """Sums over neurons of s_a s_b, float64, shape (networks, inputs, inputs)."""
    if s.shape[1] == 1:
        return torch.linalg.vector_norm(s, dim=2, keepdim=True).double().square_()
    # Which sums will do is not asked of a GPU, which would have to be waited for; nor must a
    # network there depend on those beside it.
    if s.shape[1] == 2 and s.device.type == "cpu":
        gram = torch.bmm(s, s.transpose(1, 2)).double()
        product = gram[:, 0, 0] * gram[:, 1, 1]
        if bool((gram[:, 0, 1].square() <= DISTINCT * product).all()):
            return gram
    # Summed in float64 even where s is float32: the part of one input that is independent of the
    # others is a difference of these sums, and must not be lost for inputs that nearly coincide.
    s = workspace("double", s.shape, torch.float64, s.device).copy_(s)
    return torch.bmm(s, s.transpose(1, 2))


def correlate(gram: torch.Tensor, normals: torch.Tensor, workspace: Workspace) -> torch.Tensor:
    """Turn independent normals into rows of covariance ``gram``; may overwrite ``normals``.

    ``gram`` is (networks, inputs, inputs), or that of one network where all have the same.
    """
    if gram.shape[1] == 1:
        scale = gram.sqrt().to(normals.dtype)
        # Worth a look on a processor; a GPU would have to be waited for.
        unit = scale.device.type == "cpu" and bool((scale == 1).all())
        return normals if unit else normals.mul_(scale)
    if gram.shape[1] == 2:
        return _correlate_two(gram, normals)
    factor = semidefinite_factor(gram).to(normals.dtype).expand(len(normals), -1, -1)
    out = workspace("correlated", normals.shape, normals.dtype, normals.device)
    return torch.bmm(factor, normals, out=out)


def _correlate_two(gram: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """As :func:`semidefinite_factor` would for two inputs, written out, and in place.

    For so few inputs it is calls and passes over memory that cost.
    """
    root = gram[:, 0, 0].sqrt()
    slope = torch.where(root == 0, 0.0, gram[:, 0, 1] / root)  # 0/0: the first input is dead
    rest = gram[:, 1, 1] - slope.square()
    rest = torch.where(_is_dependent(rest, gram[:, 1, 1]), 0.0, rest).sqrt()
    root, slope, rest = (v.to(normals.dtype)[:, None] for v in (root, slope, rest))
    first, second = normals[:, 0], normals[:, 1]
    second.mul_(rest).addcmul_(first, slope)
    first.mul_(root)
    return normals


def _is_dependent(
    pivot: torch.Tensor, diagonal: torch.Tensor, share: float = DEPENDENT
) -> torch.Tensor:
    """Where a pivot is rounding. What is not finite, after an overflow, is not, and stays so."""
    return (pivot <= share * diagonal) & diagonal.isfinite()


def semidefinite_factor(gram: torch.Tensor, share: float = DEPENDENT) -> torch.Tensor:
    """Lower triangular R with R R^T = ``gram``, for positive semidefinite matrices of any rank.

    Column by column as in Cholesky's algorithm; a pivot that is rounding next to its diagonal
    belongs to an input that depends on earlier ones, and its column is 0.

    Parameters
    ----------
    gram : tensor, shape (networks, inputs, inputs), float64
    share : float
        Of its diagonal that a pivot counts as rounding up to.
    """
    inputs = gram.shape[1]
    rest = gram.clone()
    factor = torch.zeros_like(rest)
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    for a in range(inputs):
        pivot = rest[:, a, a]
        alive = ~_is_dependent(pivot, diagonal[:, a], share)
        root = torch.where(alive, pivot, 1.0).sqrt()
        column = torch.where(alive[:, None], rest[:, a:, a] / root[:, None], 0.0)
        factor[:, a:, a] = column
        rest[:, a:, a:] -= column[:, :, None] * column[:, None, :]
    return factor
