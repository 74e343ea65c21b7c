"""Sums over the neurons of a layer, of which moments of tangent kernels of several inputs are made.

As for one input (:mod:`.tangents`): given the neurons, derivatives U of the layer above come down
as sigma'_a(j) M_a(j), M Gaussian. With f = C_W/n, r_u = s_u (f/Ghat'_uu)^(1/2) and H the inverse of
the correlations R' of the next layer, M_a has the mean f^(1/2) sum_u q_u e_ua, q = H r, and M_a(j),
M_b(k) the covariance f D_ab k_jk with k = 1 - r^T H r; D_ab = U_a . U_b and e_ua =
z'_u . U_a/Ghat'_uu^(1/2) (derived here; docs/estimates.md). Below y_x = z_x/Ghat_xx^(1/2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from finitewidth.core.indices import pair_places, pairs
from finitewidth.sampling.mlp.conditional_ntk import pseudo_inverse

Array = np.ndarray


class PairSums(NamedTuple):
    """Sums over neurons; members stand last, N inputs, P pairs.

    Indices x, y, u, v are of inputs that drive, p, q of those that are derived by; gates of a pair
    are w = sigma'_p sigma'_q, and Y_xp = y_x sigma'_p.
    """

    gates: Array  #: trace of w k, (P, member)
    driven: Array  #: q_u w q_v, (P, u, v, member)
    passed: Array  #: Y_xp . q_u, (p, x, u, member)
    fresh: Array  #: Y_xp k Y_yq, (p, q, x, y, member)
    both: Array  #: trace of w k w' k, (P, P, member)
    linked: Array  #: q_u w k w' q_v, (P, P, u, v, member)
    joined: Array  #: Y_xp k w q_u, (p, P, x, u, member)
    through: Array  #: Y_xp k w k Y_yq, (p, q, P, x, y, member)


def pair_sums(
    z: torch.Tensor,
    s: torch.Tensor,
    slope: torch.Tensor,
    gram: torch.Tensor,
    following: torch.Tensor,
    fresh: float,
) -> PairSums:
    """The sums of one layer.

    Parameters
    ----------
    z, s, slope : tensor, shape (member, N, n)
    gram, following : tensor, shape (member, N, N), float64
        Ghat of the layer and of the next, at one and the same scale.
    fresh : float
        f, C_W/n of the weights between.
    """
    members, inputs, n = z.shape
    z, s, slope = z.double(), s.double(), slope.double()
    a, b = pairs(inputs).T
    count = len(a)
    root, after = _inverse_root(gram), _inverse_root(following)
    y, r = z * root[..., None], s * (after * fresh**0.5)[..., None]
    inverse = pseudo_inverse(following * after[:, :, None] * after[:, None, :])
    q = torch.bmm(inverse, r)
    w = slope[:, a] * slope[:, b]
    # In the order p, x; pair, u.
    rows = (slope[:, :, None] * y[:, None]).reshape(members, inputs**2, n)
    gated = (w[:, :, None] * q[:, None]).reshape(members, count * inputs, n)
    on_r, gated_on_r = _products(rows, r), _products(gated, r)
    off = rows - torch.bmm(torch.bmm(on_r, inverse), r)
    known = (r * q).sum(dim=1)
    spanned = (w[:, :, None] * (r[:, a] * r[:, b])[:, None]).sum(dim=-1)
    spanned = spanned[:, :, pair_places(inputs).ravel()].view(members, count, inputs, inputs)
    turned = torch.einsum("mpuv,mvw->mpuw", spanned, inverse)
    both = _products(w, w * (1 - 2 * known)[:, None])
    both = both + torch.einsum("mpuv,mqvu->mpq", turned, turned)
    linked = _products(gated, gated)
    linked = linked - torch.bmm(torch.bmm(gated_on_r, inverse), gated_on_r.transpose(1, 2))
    weighed = (w[:, :, None] * off[:, None]).reshape(members, count * inputs**2, n)

    def placed(values: torch.Tensor, shape: str, order: str) -> Array:
        sizes = {"P": count, "Q": count, **dict.fromkeys("pqxyuv", inputs)}
        found = values.view(members, *(sizes[k] for k in shape))
        at = [1 + shape.index(k) for k in order]
        return found.permute(*at, 0).contiguous().numpy()

    return PairSums(
        placed((w * (1 - known)[:, None]).sum(dim=2), "P", "P"),
        placed(_products(gated, q), "Puv", "Puv"),
        placed(_products(rows, q), "pxu", "pxu"),
        placed(_products(off, rows), "pxqy", "pqxy"),
        placed(both, "PQ", "PQ"),
        placed(linked, "PuQv", "PQuv"),
        placed(_products(off, gated), "pxPu", "pPxu"),
        placed(_products(weighed, off), "Ppxqy", "pqPxy"),
    )


def _products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.bmm(a, b.transpose(1, 2))


def _inverse_root(gram: torch.Tensor) -> torch.Tensor:
    """1/Ghat_aa^(1/2), shape (member, N); 0 of an input that is dead."""
    own = torch.diagonal(gram, dim1=1, dim2=2)
    return torch.where(own > 0, own, torch.inf).rsqrt()
