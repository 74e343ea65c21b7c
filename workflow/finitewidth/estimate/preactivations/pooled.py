"""One layer's means over all its neurons, in units in which they neither over- nor underflow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.indices import pairs, quads
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.errors.cumulant_errors import KernelLaw
from finitewidth.estimate.errors.look_ahead import skewness_ahead, thinness
from finitewidth.estimate.samples import lacking

Array = np.ndarray

#: Powers of the scale outside this range are taken for lost: they neared the ends of float64.
_REPRESENTABLE = (1e-280, 1e280)


def root_mean_square(squares: Array, log_norm: Array | None = None) -> Array:
    """The scale of each input: square root of the mean over networks.

    Parameters
    ----------
    squares : array, shape (network, input)
    log_norm : array, shape (network, input), optional
        Where it is finite although every square is 0, the squares were too small for a float.

    Returns
    -------
    array, shape (input,)
        1 where every square is truly 0, so that one may divide by it; NaN where a square is
        infinite or all were lost.
    """
    with np.errstate(all="ignore"):
        mean = np.mean(squares, axis=0, dtype=float)
        scale = np.where(mean == 0, 1.0, np.sqrt(mean))
    lost = ~np.isfinite(mean)
    if log_norm is not None:
        lost |= (mean == 0) & np.any(log_norm > -np.inf, axis=0)
    return np.where(lost, np.nan, scale)


def product_of_scales(scale: Array, index: Array) -> Array:
    """Products of scales, shape (...), for ``index`` of shape (..., factors); NaN if extreme."""
    with np.errstate(all="ignore"):
        factor = np.prod(scale[index], axis=-1)
    low, high = _REPRESENTABLE
    return np.where((factor > low) & (factor < high), factor, np.nan)


def symmetric_places(first: Array, second: Array) -> Array:
    """Where each entry of a symmetric matrix stands in the list of its distinct entries.

    Parameters
    ----------
    first, second : array of int, shape (entries,)
        Row and column of each entry of the list, one of (i, j) and (j, i).

    Returns
    -------
    array of int, shape (size, size)
    """
    places = np.zeros((np.max(second) + 1,) * 2, int)
    places[first, second] = places[second, first] = np.arange(len(first))
    return places


def _there(name: str, values: Array | None) -> Array:
    if values is None:
        raise ValueError(lacking(name))
    return values


@dataclass(frozen=True)
class Pooled:
    """One layer's means over its neurons, per network, as the sampler wrote them.

    Attributes
    ----------
    width : int
        Neurons n of the layer.
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    kernel : array, shape (network, input, input)
        Means of z_a z_b.
    quartic : array, shape (network, quad), optional
        Means of z_a z_b z_c z_d.
    sextic : array, shape (network, input), optional
        Means of z_a^6.
    log_norm : array, shape (network, input), optional
        Tells a kernel that is zero from one that is too small for a float.
    rounding : float
        What the means are known to (:mod:`finitewidth.core.rounding`).
    layer : int
        Its number, from 1.
    """

    width: int
    bounds: Array
    kernel: Array
    quartic: Array | None = None
    sextic: Array | None = None
    log_norm: Array | None = None
    rounding: float = ROUNDING["float64"]
    layer: int = 1

    @property
    def networks(self) -> int:
        """Number of networks."""
        return len(self.kernel)

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.kernel.shape[1]

    @cached_property
    def pairs(self) -> Array:
        """Pairs of inputs, shape (pair, 2)."""
        return pairs(self.inputs)

    @cached_property
    def quads(self) -> Array:
        """Quadruples of inputs, shape (quad, 4)."""
        return quads(self.inputs)

    @cached_property
    def scale(self) -> Array:
        """Unit of z for each input, shape (input,)."""
        return root_mean_square(self._diagonal, self.log_norm)

    @cached_property
    def unit2(self) -> Array:
        """Unit of a product of two z, shape (pair,)."""
        return product_of_scales(self.scale, self.pairs)

    @cached_property
    def unit4(self) -> Array:
        """Unit of a product of four z, shape (quad,)."""
        same = np.flatnonzero(np.all(self.quads == self.quads[:, :1], axis=1))
        lost = self._lost(_there("quartic", self.quartic)[:, same], 2)
        return product_of_scales(np.where(lost, np.nan, self.scale), self.quads)

    @cached_property
    def unit6(self) -> Array:
        """Unit of z^6, shape (input,)."""
        scale = np.where(self._lost(_there("sextic", self.sextic), 3), np.nan, self.scale)
        return product_of_scales(scale, np.tile(np.arange(self.inputs)[:, None], 6))

    @cached_property
    def spread(self) -> Array:
        """Standard deviation of the kernel over networks, in units, shape (pair,)."""
        return np.std(self.kernel_of(slice(None)), axis=0)

    def kernel_of(self, networks: slice) -> Array:
        """Means of z_a z_b in units of the scale, shape (network, pair)."""
        a, b = self.pairs.T
        return self.kernel[networks, a, b] / self.unit2

    def quartic_of(self, networks: slice) -> Array:
        """Means of z_a z_b z_c z_d in units of the scale, shape (network, quad)."""
        return _there("quartic", self.quartic)[networks] / self.unit4

    def sextic_of(self, networks: slice) -> Array:
        """Means of z_a^6 in units of the scale, shape (network, input)."""
        return _there("sextic", self.sextic)[networks] / self.unit6

    def ahead(self, index: Array) -> Array:
        """The skewness to be expected of means of products of z, shape (number,).

        ``index``, shape (number, factors), holds the inputs of the factors: the worst counts.
        """
        order = index.shape[1] / 2
        each = skewness_ahead(self._diagonal, order, thinness(self.width))
        return np.max(each[index], axis=1)

    def law(self, index: Array) -> KernelLaw:
        """What the law of the mean squares says of second cumulants, each of shape (number,).

        A layer's mean square is to it what the kernel is to the next layer. ``index``, shape
        (number, factors), holds the inputs of the factors.
        """
        squares = (self._diagonal / self.scale**2)[:, None, None]
        width, layer = np.array([self.width]), np.array([self.layer + 1])
        law = KernelLaw.of(squares, width, layer, 2).over(index)
        return KernelLaw(law.ratio[0, 0], law.skewness[0, 0])

    @property
    def _diagonal(self) -> Array:
        return np.einsum("naa->na", self.kernel)

    def _lost(self, powers: Array, degree: int) -> Array:
        """Inputs, shape (input,), whose higher powers were lost below the smallest float.

        By Jensen's inequality the mean of z^(2 degree) is at least the mean of z^2 to the power
        ``degree``, in every network.
        """
        with np.errstate(all="ignore"):
            least = np.mean((self._diagonal / self.scale**2) ** degree, axis=0)
            return ~(np.mean(powers / self.scale ** (2 * degree), axis=0) >= 0.999 * least)
