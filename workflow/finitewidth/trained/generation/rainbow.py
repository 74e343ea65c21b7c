"""Networks generated from weight covariances, aligned to a reference layer by layer.

W'_l = G C_l^(1/2) A_(l-1): rows with the covariance of the reference's rows, seen through A, which
takes the new network's activations to the reference's (docs/theory.md 11.4).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from finitewidth.models.relu_network import PlacedMap, ReluNetwork
from finitewidth.trained.training.networks import apply, chunks


def roots(weights: Sequence[Tensor]) -> list[Tensor]:
    """B with B^T B = W^T W/n_out of each hidden layer, tensors (network, rank, fan_in).

    From the SVD of the weights: exact where a covariance is singular, and small where it is
    of low rank.
    """
    found = []
    for weight in weights[:-1]:
        _, s, vt = torch.linalg.svd(weight.double(), full_matrices=False)
        found.append(s[..., None] * vt / weight.shape[-2] ** 0.5)
    return found


def averaged_roots(
    architecture: ReluNetwork, weights: Sequence[Tensor], turns: Sequence[Tensor | None]
) -> list[Tensor]:
    """The same of the covariance averaged over all networks, each turned to the reference.

    Parameters
    ----------
    turns : sequence of tensors (network, n, n), or None for the input
        What takes each network's representation before a layer to the reference's.

    Returns
    -------
    list of tensors, shape (1, rank, fan_in)
    """
    found = []
    for layer, own, turn in zip(architecture.layers, roots(weights), turns, strict=False):
        if turn is not None:
            own = _through(layer, own, turn.transpose(-1, -2).to(own.dtype))
        stacked = own.reshape(-1, own.shape[-1]) / len(own) ** 0.5
        # Many rows of few directions: R of a QR has the same R^T R.
        found.append(torch.linalg.qr(stacked, mode="r").R[None])
    return found


def white_roots(weights: Sequence[Tensor]) -> list[Tensor]:
    """B with B^T B proportional to 1 and as large a trace: rows that training did not shape.

    Tensors (network, fan_in, fan_in), one a hidden layer.
    """
    found = []
    for weight in weights[:-1]:
        fan_in = weight.shape[-1]
        scale = weight.double().square().sum((1, 2)) / (weight.shape[-2] * fan_in)
        found.append(torch.eye(fan_in).to(scale) * scale.sqrt()[:, None, None])
    return found


@torch.no_grad()
def generate(
    architecture: ReluNetwork,
    reference: Sequence[Tensor],
    covariance_roots: Sequence[Tensor],
    x: Tensor,
    *,
    networks: int,
    stream: torch.Generator,
    layers: Collection[int] | None = None,
    widths: Sequence[int] | None = None,
) -> tuple[ReluNetwork, list[Tensor]]:
    """Draw networks that share the reference's covariances.

    Parameters
    ----------
    reference : sequence of tensors (1, out, fan_in)
        The network that the new ones are aligned to; its read-out is theirs, through A.
    covariance_roots : sequence of tensors (1, rank, fan_in)
        Of each hidden layer, in the reference's space: :func:`roots`, :func:`averaged_roots` or
        :func:`white_roots`.
    x : tensor, shape (image, channel, row, column)
        Images that alignments are fitted on.
    networks : int
    stream : torch.Generator
        On the CPU; draws white normals, layer by layer.
    layers : collection of int, optional
        Hidden layers to draw anew, from 0; the others keep the reference's weights, turned. All by
        default.
    widths : sequence of int, optional
        Hidden widths of the new networks; layers that are kept keep theirs.

    Returns
    -------
    ReluNetwork, list of tensors (network, out, fan_in)

    Raises
    ------
    ValueError
        If a layer is not a hidden one.
    """
    hidden = range(architecture.depth - 1)
    drawn = set(hidden if layers is None else layers)
    if not drawn <= set(hidden):
        raise ValueError(f"layers {sorted(drawn)}, allowed are 0 to {architecture.depth - 2}")
    old = architecture.widths[1:-1]
    new = [(widths or old)[k] if k in drawn else old[k] for k in hidden]
    grown = architecture.resized(new)
    weights: list[Tensor] = []
    turn = None
    for number, layer in enumerate(architecture.layers):
        if number in drawn:
            root = covariance_roots[number][0]
            white = torch.randn(networks, new[number], len(root), generator=stream)
            row = white.to(root) @ root
        else:
            row = reference[number].double().expand(networks, -1, -1)
        if turn is not None:
            row = _through(layer, row, turn)
        weights.append(row.float())
        if number in hidden:
            turn = _turn(architecture, reference, grown, weights, number, x)
    return grown, weights


def _through(layer: PlacedMap, rows: Tensor, turn: Tensor) -> Tensor:
    """Rows (network, row, fan_in) on the reference's channels, seen from the new ones'.

    ``turn`` has shape (network, n, m): rows A, for every place of a patch.
    """
    folded = rows.view(*rows.shape[:2], layer.channels, -1)
    return torch.einsum("grcq,gcd->grdq", folded, turn).flatten(2)


def _turn(
    architecture: ReluNetwork,
    reference: Sequence[Tensor],
    grown: ReluNetwork,
    weights: Sequence[Tensor],
    number: int,
    x: Tensor,
) -> Tensor:
    """A (network, n, m): the new networks' representations to the reference's, in double.

    Where the new width differs, activations are longer by the root of the ratio of widths, which A
    takes back.
    """
    networks = len(weights[0])
    cross = torch.zeros(())
    for part in chunks(grown, networks, len(x)):
        target = _hidden(architecture, reference, x[None, part], number)
        own = _hidden(grown, weights, x[None, part], number)
        flat = own.permute(0, 2, 1, 3, 4).flatten(2)
        goal = target[0].transpose(0, 1).flatten(1)
        cross = cross + torch.matmul(goal, flat.transpose(1, 2)).double()
    u, s, vt = torch.linalg.svd(cross, full_matrices=False)
    floor = s[:, :1] * max(cross.shape[1:]) * torch.finfo(torch.float32).eps
    scale = (cross.shape[1] / cross.shape[2]) ** 0.5
    return scale * (u * (s > floor)[:, None]) @ vt


def _hidden(architecture: ReluNetwork, weights: Sequence[Tensor], x: Tensor, number: int) -> Tensor:
    """Representation after hidden layer ``number``; only the layers up to it are needed."""
    for layer, weight in zip(architecture.layers[: number + 1], weights, strict=False):
        x = torch.relu(apply(layer, weight, x))
    return x
