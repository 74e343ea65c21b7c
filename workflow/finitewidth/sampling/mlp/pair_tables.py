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
from functools import lru_cache

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.sampling.mlp.neuron_tables import STEP, flow, nodes_about

Array = np.ndarray
#: Arrays by name, each with its dimensions.
Tables = dict[str, tuple[tuple[str, ...], Array]]

#: What enters the next kernel: products of s = sigma(z) of both inputs.
PAIR_KERNEL = ("s2.0", "s1.1", "s0.2")
#: Highest power: third moments of squares.
_POWER = 6
#: Angles of the table, and nodes of Gauss-Legendre on each of its panels.
_ANGLES, _PANEL = 129, 16
#: Numbers of Hermite polynomials to try: the first that is enough is taken.
_DEGREES = (16, 24, 32, 48, 64, 96, 128)
#: How much of a power of sigma these polynomials may miss, as a share of its root mean square.
#: Higher powers may miss more: they make covariances and third moments alone.
_BEYOND = np.array([1e-4] + [3e-3] * (_POWER - 2))
#: Trapezoidal rule over u, where Hermite functions of those degrees and powers of sigma live.
_U = np.arange(-18, 18 + 1 / 64, 1 / 32)


def pair_moments(
    activation: Activation, first: Array, C_b: Sequence[float], C_W: Sequence[float]
) -> Tables | None:
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
        ``pair_moments`` (angle, moment); else ``log_kernel`` (log_kernel), ``pair_moments``
        (log_kernel, power, degree), c_pm of the powers p = 1 to 6 and the degrees m from 0 to
        M - 1, and ``beyond`` (log_kernel, factor), b_p of the first five: E[s^p.q | g] is known if
        |r|^M b_p(g_11) b_q(g_22) is at most 1. None where the kernels of infinite width take too
        many degrees, or an input is zero. Arrays are not to be written to: equal arguments give the
        same ones.
    """
    if activation.slopes is not None:
        return _by_angle(*activation.slope_pair)
    kernels = tuple(float(number) for number in first.ravel())
    found = _of_kernels(activation, kernels, tuple(C_b), tuple(C_W))
    return None if found is None else dict(found)


@lru_cache(maxsize=16)
def _of_kernels(
    activation: Activation,
    kernels_of_layer_1: tuple[float, ...],
    C_b: tuple[float, ...],
    C_W: tuple[float, ...],
) -> Tables | None:
    first = np.reshape(kernels_of_layer_1, (2, 2))
    with np.errstate(all="ignore"):
        flows = [flow(activation, g, C_b, C_W) for g in np.diagonal(first)]
        kernels = np.concatenate(flows)
        if not np.all((kernels > 1e-200) & (kernels < 1e200)):
            return None
        nodes = nodes_about(kernels.tolist())
        table, size = _by_hermite(activation, nodes, max(_DEGREES))
        places = np.round((np.log(flows) - nodes[0]) / STEP).astype(int)
        r = _correlations(table[:, 0], places, first[0, 1], np.array(flows), C_b, C_W)
        for degrees in _DEGREES:
            beyond = _beyond(table, size, degrees)
            if _enough(beyond, places, np.abs(r), degrees):
                table = table[..., :degrees]
                for array in (nodes, table, beyond):
                    array.flags.writeable = False
                return {
                    "log_kernel": (("log_kernel",), nodes),
                    "pair_moments": (("log_kernel", "power", "degree"), table),
                    "beyond": (("log_kernel", "factor"), beyond),
                }
    return None


def _correlations(
    table: Array,
    places: Array,
    kernel: float,
    flows: Array,
    C_b: Sequence[float],
    C_W: Sequence[float],
) -> Array:
    """Those of both inputs at infinite width, layer by layer; ``table`` holds c_1m at the nodes."""
    found = []
    for layer, (one, two) in enumerate(places.T):
        found.append(kernel / np.sqrt(np.prod(flows[:, layer])))
        powers = np.clip(found[-1], -1, 1) ** np.arange(table.shape[1])
        if layer + 1 < places.shape[1]:
            kernel = C_b[layer + 1] + C_W[layer + 1] * np.sum(powers * table[one] * table[two])
    return np.array(found)


def _beyond(table: Array, size: Array, degrees: int) -> Array:
    """b_p at each node, by Parseval: what the degrees leave, in units of what they may."""
    left = 1 - np.sum(table[..., :degrees] ** 2, axis=2) / size
    return np.sqrt(np.maximum(left, 0))[:, : len(_BEYOND)] / _BEYOND


def _enough(beyond: Array, places: Array, r: Array, degrees: int) -> bool:
    """Whether so many degrees are enough at infinite width; for layers that fluctuate, at kernels
    e times as large and at the root of the correlation."""
    step = np.where(np.arange(places.shape[1]) > 0, int(1 / STEP), 0)
    one, two = beyond[np.minimum(places + step, len(beyond) - 1)]
    series = r ** np.where(step > 0, degrees / 2, degrees)
    return all(
        np.all(series * one[:, p - 1] * two[:, q - 1] <= 1)
        for p in range(1, _POWER)
        for q in range(2 - p % 2, _POWER - p + 1, 2)
    )


def _by_angle(plus: float, minus: float) -> Tables:
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


def _by_hermite(activation: Activation, nodes: Array, degrees: int) -> tuple[Array, Array]:
    """c_pm at each node, shape (node, power, degree), and E[sigma^2p], shape (node, power)."""
    weight = np.exp(-(_U**2) / 2)
    weight /= weight.sum()
    hermite = [np.ones_like(_U), _U]
    for m in range(1, degrees - 1):
        hermite.append((_U * hermite[m] - math.sqrt(m) * hermite[m - 1]) / math.sqrt(m + 1))
    s = activation.function(np.exp(nodes / 2)[:, None] * _U)
    powers = np.cumprod(np.broadcast_to(s[:, None], (len(s), _POWER, len(_U))), axis=1)
    table, size = powers @ (weight * np.array(hermite)).T, powers**2 @ weight
    # Odd and even functions have exact zeros, which cost nothing later.
    table[np.abs(table) < 1e-14 * np.sqrt(size)[..., None]] = 0.0
    return table, size
