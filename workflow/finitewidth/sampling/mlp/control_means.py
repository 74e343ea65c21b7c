"""Means of a layer's control variates (:mod:`.width_controls`), by torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from finitewidth.core.indices import pairs
from finitewidth.sampling.mlp.conditional_ntk import LayerSums
from finitewidth.sampling.record import Workspace


def means_of_neurons(
    gram: torch.Tensor, scale: torch.Tensor | None, sums: list[LayerSums], controls: int
) -> torch.Tensor:
    """Sums over a layer's neurons of the functions of ``control_names``: (network, control).

    ``gram`` (network, input, input) holds products of sigma at the unit of ``scale``, (network,
    input), if there is one.
    """
    if scale is not None:
        gram = gram * (scale[:, :, None] * scale[:, None, :])
    if gram.shape[1] > 1:
        a, b = pairs(gram.shape[1]).T
        return gram[:, a, b]
    if controls == 1:
        return gram[:, :, 0]
    own = sums[-1]
    parts = (gram, own.slopes, own.mixed, own.preactivations, own.activations)
    return torch.stack([part.flatten() for part in parts], 1)


def means_of_normals(
    normals: torch.Tensor, names: Sequence[str], widths: Sequence[int], workspace: Workspace
) -> torch.Tensor:
    """Means of the controls over the first n columns of ``normals``, for each width n.

    Returns a tensor of shape (networks, rung, control), float64.
    """
    values = _of_one if normals.shape[1] == 1 else _of_several
    ordered = sorted(set(widths))
    sums = normals.new_zeros((len(normals), len(ordered), len(names)), dtype=torch.float64)
    for place, value in enumerate(values(normals, names, workspace)):
        for step, (start, stop) in enumerate(pairwise((0, *ordered))):
            sums[:, step, place] = value[:, start:stop].sum(1)
    means = sums.cumsum(1) / sums.new_tensor(ordered)[:, None]
    return means[:, [ordered.index(n) for n in widths]]


def _of_one(
    normals: torch.Tensor, names: Sequence[str], workspace: Workspace
) -> Iterator[torch.Tensor]:
    """Values of each control of one input, shape (networks, width), one after the other."""
    u = normals[:, 0]
    for name in names:
        if name == "He2":
            yield torch.mul(u, u, out=_like(u, "power", workspace)).sub_(1)
        elif name == "odd2":
            yield torch.abs(u, out=_like(u, "power", workspace)).mul_(u)
        else:
            yield torch.sign(u, out=_like(u, "power", workspace))


def _of_several(
    normals: torch.Tensor, names: Sequence[str], workspace: Workspace
) -> Iterator[torch.Tensor]:
    """The same for several inputs: products of Hermite polynomials, one a factor an input."""
    powers = [[int(k) for k in name.removeprefix("He").split(".")] for name in names]
    found = _hermite(normals, max(map(max, powers)), workspace)
    out = _like(normals[:, 0], "product", workspace)
    for degrees in powers:
        factors = [found[k][:, a] for a, k in enumerate(degrees) if k]
        value = factors[0]
        for factor in factors[1:]:
            value = torch.mul(value, factor, out=out)
        yield value


def _like(u: torch.Tensor, name: str, workspace: Workspace) -> torch.Tensor:
    return workspace(name, tuple(u.shape), u.dtype, u.device)


def _hermite(u: torch.Tensor, most: int, workspace: Workspace) -> dict[int, torch.Tensor]:
    """He_1 to He_most of u: He_{k+1} = u He_k - k He_{k-1}."""
    found = {1: u}
    for k in range(1, most):
        value = found[k + 1] = torch.mul(u, found[k], out=_like(u, f"He{k + 1}", workspace))
        value.sub_(found[k - 1] if k > 1 else 1.0, alpha=k)
    return found
