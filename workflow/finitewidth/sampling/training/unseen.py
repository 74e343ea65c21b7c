"""Random matrices of which only that is drawn which vectors have met.

A matrix W of independent normals is known by what it has made of vectors: W Q^T and W^T P^T, with
rows of Q and P orthonormal. On a unit vector u that is orthogonal to all rows of Q it acts, given
that, as P^T (W^T P^T)^T u + (1 - P^T P) xi, xi fresh normals: the part along P is known from the
other side, and the rest is as if W had never been looked at. The same holds of W^T. Vectors may
depend on all that was drawn before (docs/theory.md 12.3, derived here).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from finitewidth.sampling.gaussian_rows import semidefinite_factor
from finitewidth.sampling.mlp.marginal_ntk import gram_factor, pseudo_inverse

#: What a vector has beyond those met before counts as rounding up to this power of its rounding.
_NEW = 0.75
#: Parts in which it is looked for at most.
_PARTS = 4
#: How much of a unit vector that is new is so the second time it is looked at.
_LEFT = 0.5


class _Side:
    """Orthonormal rows that were met, and what the matrix made of each; they become more."""

    def __init__(self, networks: int, length: int, images: int, like: torch.Tensor):
        self._count = 0
        self._rows = like.new_empty(networks, 0, length)
        self._images = like.new_empty(networks, 0, images)

    @property
    def rows(self) -> torch.Tensor:
        """Shape (networks, met, length)."""
        return self._rows[:, : self._count]

    @property
    def images(self) -> torch.Tensor:
        """Shape (networks, met, length of the other side)."""
        return self._images[:, : self._count]

    def add(self, rows: torch.Tensor, images: torch.Tensor) -> None:
        count = self._count + rows.shape[1]
        if count > self._rows.shape[1]:
            self._rows, self._images = (_longer(kept, 2 * count) for kept in self._both)
        for kept, new in zip(self._both, (rows, images), strict=True):
            kept[:, self._count : count] = new
        self._count = count

    @property
    def _both(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._rows, self._images


class Unseen:
    """Matrices (fan_out, fan_in), of as many networks as ``like`` says, drawn as they are met.

    Parameters
    ----------
    networks, fan_out, fan_in : int
    fresh : callable
        Of new unit vectors (networks, rows, fan_in), or (networks, rows, fan_out) where its second
        argument is True, for the matrix transposed: as many rows of normals, of the variance of an
        entry, as long as what comes out.
    like : tensor
        Of the precision, and on the device, of all that is kept.
    """

    def __init__(
        self,
        networks: int,
        fan_out: int,
        fan_in: int,
        fresh: Callable[[torch.Tensor, bool], torch.Tensor],
        like: torch.Tensor,
    ):
        self._fresh = fresh
        self.right = _Side(networks, fan_in, fan_out, like)
        self.left = _Side(networks, fan_out, fan_in, like)

    def meet(self, v: torch.Tensor, *, transposed: bool = False) -> torch.Tensor:
        """Let vectors v (networks, rows, length) meet the matrix.

        Returns
        -------
        tensor, shape (networks, rows, met)
            Their coordinates along ``right.rows``, or ``left.rows`` where transposed: times
            ``images`` these are what the matrix makes of them.
        """
        here, there = (self.left, self.right) if transposed else (self.right, self.left)
        known, rest, parts = _apart(v, here.rows)
        along = [known]
        for units in parts:
            xi = self._fresh(units, transposed)
            # A row that is 0 in every network needs no room.
            alive = (units != 0).any(2)
            keep = alive.any(0)
            if not bool(keep.all()):
                units, xi, alive = units[:, keep], xi[:, keep], alive[:, keep]
            xi = xi * alive[..., None]
            across = torch.bmm(units, there.images.transpose(1, 2))
            across = across.baddbmm_(xi, there.rows.transpose(1, 2), alpha=-1)
            here.add(units, torch.baddbmm(xi, across, there.rows))
            along.append(torch.bmm(rest, units.transpose(1, 2)))
        return torch.cat(along, dim=2)


def _apart(
    v: torch.Tensor, Q: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Coordinates of v along rows of Q, what it has beyond them, and new orthonormal rows that hold
    that, in one part or several.

    Rows that depend on others are 0. New rows are taken apart from Q twice, so that they are
    orthogonal to rounding however little of v they are; the longest come first, and what is lost of
    others beside those that were rounding is found in another part.
    """
    along = torch.bmm(v, Q.transpose(1, 2))
    rest = torch.baddbmm(v, along, Q, alpha=-1)
    least = torch.finfo(v.dtype).eps ** _NEW * torch.linalg.vector_norm(v, dim=2, keepdim=True)
    found: list[torch.Tensor] = []
    beyond = rest
    for _ in range(_PARTS):
        size = torch.linalg.vector_norm(beyond, dim=2, keepdim=True)
        if bool((size <= least).all()):
            break
        beyond = torch.where(size <= least, 0.0, beyond)
        order = size.argsort(dim=1, descending=True).expand_as(beyond)
        u = _orthonormal(beyond.gather(1, order))
        for known in (Q, *found):
            u = torch.baddbmm(u, torch.bmm(u, known.transpose(1, 2)), known, alpha=-1)
        # Of what was rounding little is left, or nothing that the others have not.
        left = torch.linalg.vector_norm(u, dim=2, keepdim=True)
        u = _orthonormal(torch.where(left <= _LEFT, 0.0, u), _LEFT**2)
        found.append(u)
        beyond = torch.baddbmm(beyond, torch.bmm(beyond, u.transpose(1, 2)), u, alpha=-1)
    return along, rest, found


def _orthonormal(rows: torch.Tensor, share: float | None = None) -> torch.Tensor:
    """Orthonormal rows of the same span; of its square a row has to have more than ``share`` of its
    own, or more than rounding where that is None, and is 0 else."""
    gram, factor, regular = gram_factor(rows)
    if share is not None and not regular:
        factor = semidefinite_factor(gram, share)
    return torch.bmm(pseudo_inverse(factor, regular).to(rows.dtype), rows)


def _longer(kept: torch.Tensor, count: int) -> torch.Tensor:
    networks, _, length = kept.shape
    longer = kept.new_empty(networks, count, length)
    longer[:, : kept.shape[1]] = kept
    return longer
