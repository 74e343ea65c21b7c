"""Queries, keys and values without their weights: a few numbers a head, whatever its dimension.

With F F^T = C_b + C_W/n S S^T the queries of a head are F X, its keys F' Y, X and Y normal with as
many columns as the head has dimensions, d. Only products of queries with keys, and of values with
values, are looked at. Turned so that Y is lower triangular, Y = A Q with Q Q^T = 1, the products
are those of F X Q^T and F' A: X Q^T is normal again and independent of Y, and A is Bartlett's
factor of a Wishart matrix (Proc. Roy. Soc. Edinburgh 53, 1933): normals, and on the diagonal roots
of chi^2 of d, d - 1, ... degrees of freedom. So as many columns as rows do for d of them.
"""

from __future__ import annotations

import numpy as np
import torch

from finitewidth.models.layers.attention import Heads
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams


def heads_of_root(
    layer: Heads, root: torch.Tensor, rows: int, streams: Streams, workspace: Workspace
) -> torch.Tensor:
    """Draw them, ``rows`` numbers a head side by side: (networks, rows, heads x rows).

    Parameters
    ----------
    layer : Heads
        Of more dimensions a head than ``rows``.
    root : tensor, shape (networks or 1, rows, k)
        F, with k up to ``rows``, in the precision to draw in.
    """
    networks, size = streams.networks, root.shape[2]
    shape = (networks, size, layer.heads * rows)
    normals = streams.normal_(workspace("heads", shape, root.dtype, root.device))
    if layer.part != "query":
        _triangular_(normals.view(networks, size, layer.heads, rows), layer.head_dim, streams)
    return torch.bmm(root.expand(networks, -1, -1), normals)


def _triangular_(normals: torch.Tensor, dimension: int, streams: Streams) -> None:
    """Bartlett's factors of each head, in place of normals (networks, k, heads, rows)."""
    size = normals.shape[1]
    by_head = normals.transpose(1, 2)
    by_head.tril_()
    freedom = dimension - np.arange(size, dtype=float)
    diagonal = by_head.diagonal(dim1=2, dim2=3)
    diagonal.copy_(streams.chi_(torch.empty_like(diagonal, memory_format=torch.contiguous_format),
                                freedom))  # fmt: skip
