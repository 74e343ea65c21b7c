"""Moments of the neurons of two inputs given their layer's kernel g: tables for any g.

The neurons (z_1, z_2) ~ N(0, g) of a layer are independent given g, so that means over n of them of
products s^p.q = sigma(z_1)^p sigma(z_2)^q have expectations, covariances and third moments made of
E[s^p.q | g], p + q = 2, 4, 6. These are functions of three numbers; tables of one are enough:

* two slopes: E[s^p.q | g] = g_11^(p/2) g_22^(q/2) h_pq(t), t the angle between the inputs, in polar
  coordinates an integral over panels between the kinks;
* else by Mehler's series E[s^p.q | g] = sum_m r^m c_pm(g_11) c_qm(g_22), r the correlation and c_pm
  the coefficient of sigma(sqrt(g) u)^p with the normalised Hermite polynomial h_m of a standard
  normal u (Mehler 1866).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from finitewidth.activations import Activation
from finitewidth.sampling.neuron_moments import flow, nodes_about

Array = np.ndarray

#: What enters the next kernel: products of s = sigma(z) of both inputs.
PAIR_KERNEL = ("s2.0", "s1.1", "s0.2")
#: Highest power: third moments of squares.
_POWER = 6
#: Angles of the table, and nodes of Gauss-Legendre on each of its panels.
_ANGLES, _PANEL = 129, 16
#: Hermite polynomials to be tried, and how far (in log g) about the kernels at infinite width of
#: layers that fluctuate they have to be enough.
_DEGREES, _FAR = (32, 64, 128), 1.0
#: Nodes that are looked up for one kernel.
_AROUND = 4.5 / 16
#: What may be missing of the mean of the product of two powers, as a share of the root of the mean
#: of its square: of the product itself, and of those that moments are made of.
_MISSING, _MISSING_OF_MOMENTS = 1e-8, 1e-6
#: Trapezoidal rule over u, where Hermite functions of those degrees and powers of sigma live.
_U = np.arange(-18, 18 + 1 / 64, 1 / 32)


def pair_moments(
    activation: Activation, first: Array, C_b: Sequence[float], C_W: Sequence[float]
) -> dict[str, tuple[tuple[str, ...], Array]] | None:
    """Tables for a network on two inputs.

    Parameters
    ----------
    activation : Activation
    first : array, shape (2, 2)
        Kernel of layer 1.
    C_b, C_W : sequence of float
        Of layers 1, 2, ... .

    Returns
    -------
    dict of (dimensions, array), or None
        Of two slopes ``angle`` (angle), ``moment`` (moment: ``s1.1`` and so on) and
        ``pair_moments`` (angle, moment); else ``log_kernel`` (log_kernel) and ``pair_moments``
        (log_kernel, power, degree), c_pm of the powers p = 1 to 6 and the degrees m from 0, NaN at
        kernels for which the degrees are too few. None where they are too few for the kernel of
        layer 1, or an input is zero.
    """
    if activation.slopes is not None:
        return _by_angle(*activation.slopes)
    with np.errstate(all="ignore"):
        flows = [flow(activation, g, C_b, C_W) for g in np.diagonal(first)]
        kernels = np.concatenate(flows)
        if not np.all((kernels > 1e-200) & (kernels < 1e200)):
            return None
        nodes = nodes_about(kernels)
        log_first, log_others = np.log([f[:1] for f in flows]), np.log([f[1:] for f in flows])

        def near(centers: Array, far: float) -> Array:
            return np.abs(nodes[:, None] - centers.ravel()).min(axis=1, initial=np.inf) < far

        for degrees in _DEGREES:
            table = _by_hermite(activation, nodes, degrees)
            fine = np.isfinite(table[:, 0, 0])
            if fine[near(log_first, _AROUND) | near(log_others, _FAR)].all():
                break
        if fine[near(log_first, _AROUND)].all():
            return {
                "log_kernel": (("log_kernel",), nodes),
                "pair_moments": (("log_kernel", "power", "degree"), table),
            }
    return None


def _by_angle(plus: float, minus: float) -> dict[str, tuple[tuple[str, ...], Array]]:
    angles = np.linspace(0, np.pi, _ANGLES)
    # Kinks lie where cos(phi) or cos(phi - t) changes its sign.
    edges = np.stack(
        [0 * angles, angles, 0 * angles + np.pi, angles + np.pi, 0 * angles + 2 * np.pi]
    )
    edges = edges.T - np.pi / 2
    x, w = np.polynomial.legendre.leggauss(_PANEL)
    half, middle = np.diff(edges) / 2, (edges[:, 1:] + edges[:, :-1]) / 2
    phi = middle[..., None] + half[..., None] * x

    def sigma(z: Array) -> Array:
        return np.where(z > 0, plus, minus) * z

    one, two = sigma(np.cos(phi)), sigma(np.cos(phi - angles[:, None, None]))
    names, columns = [], []
    for total in (2, 4, 6):
        # E[r^total] of the radius of two standard normals, over the circle's 2 pi.
        radial = 2 ** (total // 2) * math.factorial(total // 2) / (2 * np.pi)
        for p in range(total, -1, -1):
            names.append(f"s{p}.{total - p}")
            columns.append(np.einsum("apx,ap,x->a", one**p * two ** (total - p), half, w) * radial)
    return {
        "angle": (("angle",), angles),
        "moment": (("moment",), np.array(names)),
        "pair_moments": (("angle", "moment"), np.stack(columns, axis=1)),
    }


def _by_hermite(activation: Activation, nodes: Array, degrees: int) -> Array:
    """c_pm at each node, shape (node, power, degree)."""
    weight = np.exp(-(_U**2) / 2)
    weight /= weight.sum()
    hermite = [np.ones_like(_U), _U]
    for m in range(1, degrees - 1):
        hermite.append((_U * hermite[m] - math.sqrt(m) * hermite[m - 1]) / math.sqrt(m + 1))
    basis = weight * np.array(hermite)
    s = activation.function(np.exp(nodes / 2)[:, None] * _U)
    powers = s[:, None] ** np.arange(1, _POWER + 1)[:, None]
    table = powers @ basis.T
    size = powers**2 @ weight
    # Parseval: what no degree has taken.
    beyond = np.sqrt(np.maximum(1 - np.sum(table**2, axis=2) / size, 0))
    enough = np.ones(len(nodes), bool)
    for p in range(1, _POWER):
        for q in range(2 - p % 2, _POWER - p + 1, 2):
            most = _MISSING if p + q == 2 else _MISSING_OF_MOMENTS
            enough &= beyond[:, p - 1] * beyond[:, q - 1] < most
    # Odd and even functions have exact zeros, which cost nothing later.
    table[np.abs(table) < 1e-14 * np.sqrt(size)[..., None]] = 0.0
    return np.where(enough[:, None, None], table, np.nan)
