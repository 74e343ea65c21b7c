"""What is known of the neurons of two inputs given their layer's kernel, by the samples' tables.

The table (``finitewidth.sampling.mlp.pair_tables`` makes it) gives E[s^p.q | g] of the products
s^p.q = sigma(z_1)^p sigma(z_2)^q; from these follow expectations, covariances and third moments of
the three products that make up the next kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np

from finitewidth.estimate.coupled.interpolation import interpolated
from finitewidth.estimate.samples import Samples

Array = np.ndarray

#: The powers of both inputs in the products that make up the next kernel, as pairs are ordered.
_PRODUCTS = ((2, 0), (1, 1), (0, 2))
#: Kernels that are looked up together.
_CHUNK = 1024


def given_kernels(samples: Samples, g: Array) -> tuple[Array, Array, Array]:
    """Moments of the three products, given the kernels of each layer; NaN beyond the tables.

    Parameters
    ----------
    samples : Samples
        With the coordinate ``pair_moments``.
    g : array, shape (network, driven, 3)
        Kernels of the pairs 00, 01 and 11.

    Returns
    -------
    mean : array, shape (network, driven, 3)
    second : array, shape (network, driven, 3, 3)
        Covariances.
    third : array, shape (network, driven, 3, 3, 3)
        Third central moments.
    """
    of = _by_angle(samples) if samples.has_coordinate("angle") else _by_hermite(samples)
    found = np.empty((*g.shape[:2], 3 + 9 + 27))
    with np.errstate(all="ignore"):
        for place in range(g.shape[1]):
            # The first layer's kernels are the same in every network.
            same = np.all(g[:, place] == g[0, place])
            for start in range(0, 1 if same else len(g), _CHUNK):
                at = slice(None) if same else slice(start, start + _CHUNK)
                kernels = g[:1, place] if same else g[at, place]
                found[at, place] = _central(of(kernels.astype(float)))
    mean, second, third = np.split(found, [3, 12], axis=2)
    shape = g.shape[:2]
    return mean, second.reshape(*shape, 3, 3), third.reshape(*shape, 3, 3, 3)


def _by_angle(samples: Samples) -> Callable[[Array], Callable[[int, int], Array]]:
    """Of two slopes: products of the kernels' powers and of functions of the angle."""
    angles, table = samples.coordinate("angle"), samples.coordinate("pair_moments")
    place = {str(name): k for k, name in enumerate(samples.coordinate("moment"))}

    def of(g: Array) -> Callable[[int, int], Array]:
        size = np.sqrt(np.maximum(g[:, 0] * g[:, 2], 0))
        # Dead networks have no angle, and moments that are 0 whatever it is.
        r = np.divide(g[:, 1], size, out=np.zeros(len(g)), where=size > 0)
        values = interpolated(np.arccos(np.clip(r, -1, 1)), angles, table)
        one, two = np.sqrt(g[:, 0]), np.sqrt(g[:, 2])
        return lambda p, q: one**p * two**q * values[:, place[f"s{p}.{q}"]]

    return of


def _by_hermite(samples: Samples) -> Callable[[Array], Callable[[int, int], Array]]:
    """Mehler's series over the Hermite coefficients of powers of the activation."""
    nodes, table = samples.coordinate("log_kernel"), samples.coordinate("pair_moments")
    used = np.any(np.nan_to_num(table) != 0, axis=0)
    # The highest power stands alone: its mean is all that is asked for.
    used[-1, 1:] = False
    columns = table[:, used]
    place = np.cumsum(used).reshape(used.shape) - 1
    degrees = np.arange(table.shape[2])
    beyond = samples.coordinate("beyond")

    def of(g: Array) -> Callable[[int, int], Array]:
        logs = np.log(g[:, [0, 2]])
        one, two = (interpolated(logs[:, k], nodes, columns) for k in range(2))
        r = np.clip(g[:, 1] / np.sqrt(g[:, 0] * g[:, 2]), -1, 1)
        powers = r[:, None] ** degrees
        above = np.ceil(np.nan_to_num(logs - nodes[0]) / (nodes[1] - nodes[0]))
        left = beyond[np.clip(above, 0, len(nodes) - 1).astype(int)]
        last = np.abs(r) ** len(degrees)

        def moment(p: int, q: int) -> Array:
            if not p * q:
                return (one if p else two)[:, place[p + q - 1, 0]]
            both = np.flatnonzero(used[p - 1] & used[q - 1])
            a, b = one[:, place[p - 1, both]], two[:, place[q - 1, both]]
            known = last * left[:, 0, p - 1] * left[:, 1, q - 1] <= 1
            return np.where(known, np.einsum("nm,nm,nm->n", a, b, powers[:, both]), np.nan)

        return moment

    return of


def _central(moment: Callable[[int, int], Array]) -> Array:
    """Means, covariances and third central moments side by side, shape (kernel, 39)."""
    known = {(p, total - p): moment(p, total - p) for total in (2, 4, 6) for p in range(total + 1)}

    def of(*which: int) -> Array:
        p, q = np.sum([_PRODUCTS[i] for i in which], axis=0)
        return known[int(p), int(q)]

    mean = np.stack([of(i) for i in range(3)], axis=1)
    second, third = np.empty((len(mean), 3, 3)), np.empty((len(mean), 3, 3, 3))
    for i, j in np.ndindex(3, 3):
        second[:, i, j] = of(i, j) - mean[:, i] * mean[:, j]
    for i, j, k in combinations_with_replacement(range(3), 3):
        value = of(i, j, k) - mean[:, i] * mean[:, j] * mean[:, k]
        for a, b, c in ((i, j, k), (j, i, k), (k, i, j)):
            value = value - mean[:, a] * second[:, b, c]
        for a, b, c in {(i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)}:
            third[:, a, b, c] = value
    return np.hstack([mean, second.reshape(-1, 9), third.reshape(-1, 27)])
