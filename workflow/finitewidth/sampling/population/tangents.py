"""Moments of the tangent kernel given the forward pass, carried along layer by layer.

Theta of an output is the sum over layers of c_l D_l, with c_l what the layer's parameters count
and D_l the square of the output's derivative with respect to layer l. Given the neurons of a layer,
what passes back through it is Gaussian (:mod:`finitewidth.sampling.mlp.conditional_ntk`), so that
the first two moments of what the layers up to l add are polynomials in the derivative delta that
comes from above: in D = |delta|^2 and e = (delta . z)^2/Ghat. Their coefficients follow from those
of the layer before, so that the way back is taken while networks go forwards, for whoever survives
(derived here; docs/estimates.md). One input.

With f = C_W/n, gates w_j = sigma'_j^2, y_j = z_j sigma'_j/Ghat^(1/2), r_j = s_j (f/Ghat')^(1/2),
Ghat' being of the next layer, and M Gaussian of covariance f (D delta_jk - D r_j r_k) and mean
(f e)^(1/2) r_j, the derivative is sigma'_j M_j one layer down, and Isserlis' theorem gives the
moments of D and e there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

Array = np.ndarray


class Sums(NamedTuple):
    """Sums over the neurons of a layer, (member,) each; names say what is multiplied."""

    w: Array
    wrr: Array
    yy: Array
    yr: Array
    ww: Array
    wwrr: Array
    wyy: Array
    wyr: Array


def first(term: float, members: int) -> Array:
    """What the first layer adds, (5, member): c_1 D, and its square."""
    return np.repeat([[term], [0.0], [term**2], [0.0], [0.0]], members, axis=1)


def moments(known: Array) -> tuple[Array, Array]:
    """E[Theta | forward pass] and E[Theta^2 | forward pass] of an output, (member,) each.

    There D is 1 and e a chi-square variable of one degree of freedom.
    """
    one, other, square, mixed, fourth = known
    return one + other, square + mixed + 3 * fourth


def beyond(known: Array, sums: Sums, fresh: float, term: Array) -> Array:
    """The coefficients at the next layer.

    Parameters
    ----------
    known : array, shape (5, member)
        Of D and e in the mean, of D^2, D e and e^2 in the mean square.
    sums : Sums
        Of this layer.
    fresh : float
        f, C_W/n of the weights between.
    term : array, shape (member,)
        What the next layer's parameters count.
    """
    one, other, square, mixed, fourth = known
    w, wrr, yy, yr, ww, wwrr, wyy, wyr = sums
    y2 = yr**2
    # E[D] and E[e] one layer down, over f, as coefficients of D and e.
    a, b = (w - wrr, wrr), (yy - y2, y2)
    # E[D^2], E[D e], E[e^2] over f^2, as coefficients of D^2, D e and e^2.
    own, both = 2 * (wwrr - wrr**2), 2 * yr * (wyr - yr * wrr)
    of_square = (a[0] ** 2 + 2 * (ww - wwrr) - own, 2 * (a[0] * a[1] + own), a[1] ** 2)
    of_mixed = (
        a[0] * b[0] + 2 * (wyy - yr * wyr) - both,
        a[0] * b[1] + a[1] * b[0] + 2 * both,
        a[1] * b[1],
    )
    of_fourth = (3 * b[0] ** 2, 6 * b[0] * b[1], b[1] ** 2)
    one, other = fresh * one, fresh * other
    square, mixed, fourth = (fresh**2 * c for c in (square, mixed, fourth))
    found = np.empty_like(known)
    found[:2] = [one * p + other * q for p, q in zip(a, b, strict=True)]
    found[2:] = [
        square * p + mixed * q + fourth * r
        for p, q, r in zip(of_square, of_mixed, of_fourth, strict=True)
    ]
    found[2] += term * (term + 2 * found[0])
    found[3] += 2 * term * found[1]
    found[0] += term
    return found


def sums_of(z: torch.Tensor, s: torch.Tensor, slope: torch.Tensor) -> Array:
    """Sums over neurons of a layer, (9, member): those of :class:`Sums`, with s for r, y for
    z sigma', and at last s^2; all (member, n)."""
    w, y = slope.square(), z * slope
    ws = w * s
    dot = torch.linalg.vecdot
    each = [
        w.sum(dim=1), dot(ws, s), dot(y, y), dot(y, s), dot(w, w), dot(ws, ws), dot(w * y, y),
        dot(ws, y), dot(s, s),
    ]  # fmt: skip
    return torch.stack(each).double().numpy()


def scaled(raw: Array, gram: Array, fresh: float, following: Array) -> Sums:
    """:class:`Sums` of what :func:`sums_of` gives, by Ghat of the layer and of the next."""
    w, wss, zz, zs, ww, wwss, wzz, wzs, _ = raw
    with np.errstate(all="ignore"):
        r = np.where(following > 0, np.sqrt(fresh / following), 0.0)
        y = np.where(gram > 0, 1 / np.sqrt(gram), 0.0)
    return Sums(
        w, wss * r**2, zz * y**2, zs * r * y, ww, wwss * r**2, wzz * y**2, wzs * r * y
    )  # fmt: skip


def two_slopes(
    slopes: tuple[float, float], n: int, members: int, generator: np.random.Generator
) -> Array:
    """What :func:`sums_of` gives of n neurons on normals of variance 1, (9, member): of two slopes
    a function of how many are positive, and of two chi-square variables."""
    plus, minus = (slope**2 for slope in slopes)
    if plus == minus:
        sides = [(plus, np.full(members, n))]
    else:
        count = generator.binomial(n, 0.5, members)
        sides = [(a, k) for a, k in ((plus, count), (minus, n - count)) if a]
    total = np.zeros((9, members))
    for a, k in sides:
        q = a * 2 * generator.standard_gamma(k / 2)
        total += [a * k, a * q, q, q, a**2 * k, a**2 * q, a * q, a * q, q]
    return total
