"""How long the tails of controls are that are products of Hermite polynomials, and of products of
two of their means over the neurons of a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray

#: Highest power of either factor: that of a kurtosis.
_HIGHEST = 4


def tails(powers: Sequence[Sequence[int]], width: int) -> tuple[Array, Array]:
    """Kurtosis of each control for one neuron, and of products of two means over neurons.

    Parameters
    ----------
    powers : sequence of sequences of int
        The degree of each control in the normals of each input.
    width : int
        Independent neurons n of a mean.

    Returns
    -------
    array, shape (control,)
    array, shape (control, control)
        Of s t - E[s t], s and t the means of two controls.
    """
    degrees = np.asarray(powers)
    # E[h_j^a h_k^b] of one neuron, a and b to 4, a product over inputs.
    one = np.prod(_joint(int(degrees.max()))[degrees[:, None], degrees[None]], axis=2)
    m = _of_sums(one, width)
    mean, second = m[..., 1, 1], m[..., 2, 2]
    fourth = m[..., 4, 4] - 4 * mean * m[..., 3, 3] + 6 * mean**2 * second - 3 * mean**4
    here = np.arange(len(degrees))
    return one[here, here, 4, 0], fourth / (second - mean**2) ** 2


def _joint(most: int) -> Array:
    """E[h_j^a h_k^b] of h_j = He_j(u)/sqrt(j!) of a standard normal u, shape (j, k, a, b)."""
    u, weight = np.polynomial.hermite_e.hermegauss(4 * max(most, 1) + 1)
    norms = [math.sqrt(math.factorial(k)) for k in range(most + 1)]
    h = np.polynomial.hermite_e.hermeval(u, np.diag(1 / np.array(norms)))
    powers = np.stack([h**a for a in range(_HIGHEST + 1)])
    return np.einsum("ajw,bkw,w->jkab", powers, powers, weight / weight.sum(), optimize=True)


def _of_sums(one: Array, width: int) -> Array:
    """The same moments, (..., a, b), of sums over ``width`` neurons, each over sqrt(width).

    The generating function of a sum of independent numbers is a power of that of one.
    """
    orders = np.arange(_HIGHEST + 1)
    factorials = np.array([float(math.factorial(a)) for a in orders])
    unit = np.outer(factorials, factorials)
    series, left = one / unit, width
    of_sum = np.where(orders[:, None] + orders == 0, 1.0, np.zeros_like(series))
    while left:
        if left % 2:
            of_sum = _times(of_sum, series)
        series, left = _times(series, series), left // 2
    return of_sum * unit / float(width) ** ((orders[:, None] + orders) / 2)


def _times(f: Array, g: Array) -> Array:
    """The product of two power series in two variables, as far as they go."""
    found, size = np.zeros_like(f), f.shape[-1]
    for a, b in np.ndindex(size, size):
        found[..., a:, b:] += f[..., a, b, None, None] * g[..., : size - a, : size - b]
    return found
