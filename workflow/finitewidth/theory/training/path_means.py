"""Means of the expanded paths of networks: first and second moments of rows, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.theory.training.path_coefficients import Path
from finitewidth.theory.training.start_tensors import StartTensors


@dataclass(frozen=True)
class Parts:
    """A number as a sum of terms that may cancel, in the order of the expansion."""

    terms: list[np.ndarray]

    @cached_property
    def total(self) -> np.ndarray:
        """The number."""
        return sum(self.terms[1:], self.terms[0])

    @cached_property
    def size(self) -> np.ndarray:
        """Of the terms together, as if none cancelled."""
        return sum(np.abs(term) for term in self.terms)


def means(t: StartTensors, path: Path) -> tuple[Parts, Parts]:
    """E of the rows, (q,): with kernels that stand still, and what their motion adds."""
    P = path.c.shape[1]
    e, K = t.mean[:P], t.K[:P, :P]
    by_h = np.einsum("ij,ij,j->i", path.c, t.H1[:, :P], e)
    by_hh = np.einsum("ijk,ijjk,k->i", path.cc, t.hh[:, :P, :P, :P], e)
    met = 0.0
    for coefficient, tensor in ((path.move, t.O3z), (path.turn, t.dHz)):
        C = coefficient[..., None] * tensor[:, :P, :P, :P]
        met = met + np.einsum("ijkj,k->i", C, e) + np.einsum("ijkk,j->i", C, e)
    w = fourth(t, path)
    cubic = np.einsum("ijkl,j,k,l->i", w, e, e, e)
    for pair in ("jk,l", "jl,k", "kl,j"):
        cubic = cubic + np.einsum(f"ijkl,{pair}->i", w, K, e)
    return Parts([by_h, by_hh]), Parts([np.asarray(met), cubic])


def second_moments(t: StartTensors, path: Path) -> tuple[Parts, Parts]:
    """E of products of two rows, (q, q), in the same two parts."""
    P = path.c.shape[1]
    e, y, M = t.mean[:P], t.mean, t.M
    own, across = M[:P, :P], M[:P]
    left = path.left
    both = np.einsum("ij,kl,ijkl,jl->ik", path.c, path.c, t.hh[:, :P, :, :P], own)
    start = np.outer(left, left) * t.G1

    def sym(values: np.ndarray) -> np.ndarray:
        each = values * left
        return each + each.T

    # E z_k z_j h_ij with k any row.
    with_h = np.einsum("ij,kjij->ik", path.c, t.zzh[:, :P, :, :P])
    by_h = with_h + (path.c * t.H1[:, :P]) @ across
    by_hh = np.einsum("ijl,ijjl,lk->ik", path.cc, t.hh[:, :P, :P, :P], across)
    met = 0.0
    for coefficient, tensor in ((path.move, t.O3z), (path.turn, t.dHz)):
        C = coefficient[..., None] * tensor[:, :P, :P]
        met = (
            met
            + np.einsum("ijlj,lk->ik", C[..., :P], across)
            + np.einsum("ijll,jk->ik", C[..., :P], across)
            + np.einsum("ijlk,jl->ik", C, own)
        )
    w = fourth(t, path)
    quartic = -2 * np.multiply.outer(np.einsum("ijlm,j,l,m->i", w, e, e, e), y)
    for pair in ("jl->im", "jm->il", "lm->ij"):
        quartic = quartic + np.einsum(f"ijlm,{pair}", w, own) @ across
    frozen = Parts([start + sym(by_h), both + sym(by_hh)])
    return frozen, Parts([sym(np.asarray(met)), sym(quartic)])


def fourth(t: StartTensors, path: Path) -> np.ndarray:
    """The tensor that meets e e e, (q, P, P, P)."""
    P = path.c.shape[1]
    at = (slice(None), slice(P), slice(P), slice(P))
    w = path.both * t.both[at]
    for coefficient, tensor in (
        (path.symmetric, t.symmetric), (path.own, t.X), (path.third, t.ddI)
    ):  # fmt: skip
        w = w + coefficient * tensor[at]
    return w
