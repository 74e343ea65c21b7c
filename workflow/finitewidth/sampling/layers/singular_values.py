"""Singular values of matrices whose rows have very different sizes, to as many digits each.

A matrix exp(s) T is given by the logarithms s of the lengths of its rows, and by these at length 1.
Rows are turned into each other, two at a time, until each is orthogonal to all others (Jacobi's
method, of one side; Demmel and Veselic, SIAM J. Matrix Anal. Appl. 13, 1204, 1992): their lengths
are then the singular values. Only ratios of lengths enter, so nothing leaves the range of floating
point, and what is small is not lost beside what is large.
"""

from __future__ import annotations

import torch

#: Up to this ratio of the largest to the smallest singular value any algorithm has them to ten
#: digits.
_EVEN = 1e5
#: Cosine of two rows that counts as 0, and sweeps over all pairs at most.
_COSINE = 1e-12
_SWEEPS = 40


def log_singular_values(logs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Logarithms of singular values of exp(logs) rows, the largest first; -inf of 0.

    Parameters
    ----------
    logs : tensor, shape (..., rank), float64
        Logarithms of the lengths of rows, -inf of rows that are 0.
    rows : tensor, shape (..., rank, columns), float64
        At length 1, or 0.

    Returns
    -------
    tensor, shape (..., rank)
    """
    top = logs.amax(-1, keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    # A GPU would have to be waited for to tell.
    if logs.device.type == "cpu":
        spread = (top - torch.where(logs.isfinite(), logs, top)).amax()
        if rows.shape[-2] == 1 or (spread < 20 and bool(logs.isfinite().all())):
            found = torch.linalg.svdvals((logs - top).exp()[..., None] * rows)
            if bool((found[..., 0] < _EVEN * found[..., -1]).all()):
                return found.log() + top
    return by_rotations(logs, rows)


def by_rotations(logs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The same by Jacobi's method, whatever the ratios."""
    shape, rank = logs.shape, logs.shape[-1]
    logs, rows = logs.reshape(-1, rank).clone(), rows.reshape(-1, rank, rows.shape[-1]).clone()
    for _ in range(_SWEEPS):
        largest = torch.zeros((), dtype=logs.dtype, device=logs.device)
        for first, second in _rounds(rank):
            cosine = _turn(logs, rows, first, second)
            largest = torch.maximum(largest, cosine)
        if float(largest) < _COSINE:
            break
    return logs.sort(-1, descending=True).values.reshape(shape)


def _rounds(rank: int) -> list[tuple[list[int], list[int]]]:
    """All pairs of rows, as rounds of pairs that share none: each meets each as in a tournament."""
    ring = [*range(1, rank + rank % 2)]
    found = []
    for _ in ring:
        table = [0, *ring]
        half = len(table) // 2
        pairs = zip(table[:half], table[half:][::-1], strict=True)
        real = [pair for pair in pairs if max(pair) < rank]
        found.append(([a for a, _ in real], [b for _, b in real]))
        ring = [ring[-1], *ring[:-1]]
    return found


def _turn(
    logs: torch.Tensor, rows: torch.Tensor, first: list[int], second: list[int]
) -> torch.Tensor:
    """Turn pairs of rows into orthogonal ones, in place; the largest cosine that was met.

    With the longer row a and the shorter b = rho b^, |b^| = |a| = 1 and c = a.b^, the tangent of
    the angle is tau rho, tau = 2c/(1 - rho^2 + root) with root^2 = (1 - rho^2)^2 + 4 rho^2 c^2. In
    units of its own length b^ becomes b^ - tau a, whatever rho is.
    """
    one, two = logs[:, first], logs[:, second]
    swap = two > one
    a, b = rows[:, first], rows[:, second]
    a, b = torch.where(swap[..., None], b, a), torch.where(swap[..., None], a, b)
    long, short = torch.where(swap, two, one), torch.where(swap, one, two)
    # Of two rows that are 0 nothing is left to turn.
    rho = torch.where(short.isfinite(), (short - long).exp(), 0.0)
    c = (a * b).sum(-1)
    gap = (1 - rho) * (1 + rho)
    under = gap + torch.sqrt(gap.square() + (2 * rho * c).square())
    tau = torch.where(under > 0, 2 * c / under, 0.0)
    cos = torch.rsqrt(1 + (tau * rho).square())
    new_a = cos[..., None] * (a + (tau * rho * rho)[..., None] * b)
    new_b = cos[..., None] * (b - tau[..., None] * a)
    for at, here in ((first, swap), (second, ~swap)):
        # Each stays in its place, so that all pairs meet.
        values = torch.where(here[..., None], new_b, new_a)
        size = torch.linalg.vector_norm(values, dim=-1)
        # Of a row that lay along another only rounding is left.
        size = torch.where(size > 1e-14, size, 0.0)
        rows[:, at] = torch.where(size[..., None] > 0, values / size[..., None], 0.0)
        logs[:, at] = torch.where(here, short, long) + size.log()
    return c.abs().max() if c.numel() else c.new_zeros(())
