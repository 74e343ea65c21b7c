"""Means over pairs of outputs, made precise: by rotations, and by a control of known mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import LEAST_NETWORKS, Estimate, Sums, jackknife
from finitewidth.estimate.ntk.scaled_kernels import Tangents

Array = np.ndarray


def isotropic_parts(x: Array, y: Array, z: Array, outputs: int) -> tuple[Array, Array, Array]:
    """Coefficients of the isotropic tensor whose three traces are known.

    A tensor of rank four over k >= 2 outputs that no rotation changes is
    t_1 d_12 d_34 + t_2 d_13 d_24 + t_3 d_14 d_23 (Weyl 1939, The Classical Groups, section II.9).
    Its contractions x (1 with 2, 3 with 4), y (1 with 3, 2 with 4) and z are k^2 times one
    coefficient plus k times the other two; that is inverted here.
    """
    rest, over = (x + y + z) / (outputs + 2), outputs * (outputs - 1)
    return (x - rest) / over, (y - rest) / over, (z - rest) / over


@dataclass(frozen=True)
class PairSums:
    """Sums over networks of products of two tensors l_{ia,jb} and r_{ic,jd}.

    Attributes
    ----------
    each, total : array, shape (pair, pair)
        Sum over i of l_ii r_ii; sum over all i, j of l_ii r_jj.
    different : array, shape (couple, couple), optional
        Sum over i != j of l_ij r_ij.
    """

    tangents: Tangents
    each: Array
    total: Array
    different: Array | None = None

    @classmethod
    def of(cls, t: Tangents, left: Array, right: Array) -> PairSums:
        """From l_ii and r_ii, shape (network, output, pair)."""
        size = len(t.pairs)
        each = left.reshape(-1, size).T @ right.reshape(-1, size)
        return cls(t, each, left.sum(axis=1).T @ right.sum(axis=1))

    def beside(self, left: Array, right: Array) -> PairSums:
        """With l_ij and r_ij of i < j, shape (network x pair of outputs, couple)."""
        t = self.tangents
        return PairSums(t, self.each, self.total, t.both_orders(left.T @ right))

    @property
    def same(self) -> Array:
        """Estimate of the sum of l_ii r_ii, shape (pair, pair)."""
        t = self.tangents
        if self.different is None:
            return self.each / t.outputs
        return t.of_pairs(np.asarray(sum(self._traces))) / (t.outputs * (t.outputs + 2))

    @property
    def apart(self) -> Array:
        """Estimate of the sum of l_ii r_jj, i != j, shape (pair, pair)."""
        t = self.tangents
        if t.isotropic:
            return t.of_pairs(isotropic_parts(*self._traces, t.outputs)[0])
        return (self.total - self.each) / (t.outputs * (t.outputs - 1))

    @property
    def crossed(self) -> Array:
        """Estimate of the sum of l_ij r_ij, i != j, shape (couple, couple)."""
        t = self.tangents
        if t.isotropic:
            return isotropic_parts(*self._traces, t.outputs)[1]
        return np.asarray(self.different) / (t.outputs * (t.outputs - 1))

    @cached_property
    def _traces(self) -> tuple[Array, Array, Array]:
        t = self.tangents
        y = t.couples(self.each) + self.different
        # Exchanging the inputs of the left couple exchanges its outputs.
        return t.couples(self.total), y, y[t.exchanged]


def control(t: Tangents, at: slice) -> Array:
    """Sum over networks of z_ia z_jb z_ic z_jd - Ghat_ac Ghat_bd, i != j, in units of z.

    Given the layer before its expectation is 0, since outputs are independent then.

    Returns
    -------
    array, shape (couple, couple)
        Computed once for the same networks: with few outputs and inputs most of the time goes into
        calls, some twenty a block.
    """
    known = t.controls.get((at.start, at.stop))
    if known is not None:
        return known
    squares, products = t.squares(at), t.products(at)
    found = PairSums.of(t, squares, squares).beside(products, products).crossed
    n = t.inputs
    g = np.asarray(t.kernel)[at] / t.output_unit
    expected = t.couples(g.T @ g).reshape((n,) * 4).swapaxes(1, 2)
    found = t.controls[at.start, at.stop] = found - expected.reshape(n**2, n**2)
    return found


def mean_of(sums: Array, bounds: Array, unit: Array, rounding: Array | float = 0.0) -> Estimate:
    """Mean over networks, in the shape of its ``unit``, from sums of shape (block, feature).

    ``rounding`` is that of one network, in units, of a shape that broadcasts to theirs.
    """
    own = np.broadcast_to(rounding, unit.shape).ravel()
    result = jackknife({"x": sums}, bounds, lambda s, count: s["x"] / count, rounding=own)
    return result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)


def controlled_mean(
    sums: Array, controls: Array, bounds: Array, unit: Array, rounding: Array | float = 0.0
) -> Estimate:
    """Mean over networks with the help of controls whose expectation is 0.

    Where the gradient of an output goes with the output itself, most of what correlators with two
    outputs vary by is products of z, and :func:`control` takes that away. Its coefficient is a
    regression over blocks of networks, as of batch means (Glasserman 2003, Monte Carlo Methods in
    Financial Engineering, section 4.1): hundreds of blocks lose next to nothing against networks,
    and need no products of each. Its bias, of order 1/networks, is the jackknife's to subtract.
    Fewer than 50 blocks do without.

    Parameters
    ----------
    sums, controls : array, shape (block, feature)
        Sums over the networks of each block; each feature has its own control.
    bounds : array of int, shape (block + 1,)
    unit : array
        Units and shape of the features.
    rounding : array or float
        As for :func:`mean_of`.
    """
    plain = mean_of(sums, bounds, unit, rounding)
    if len(bounds) - 1 < LEAST_NETWORKS:
        return plain
    own = np.broadcast_to(rounding, unit.shape).ravel()
    sizes = np.diff(bounds)[:, None]
    x, c = sums, controls
    features = {"x": x, "c": c, "xc": x * c / sizes, "cc": c * c / sizes}

    def estimator(s: Sums, count: Array) -> Array:
        joint = s["xc"] - s["x"] * s["c"] / count
        spread = s["cc"] - s["c"] ** 2 / count
        slope = np.divide(joint, spread, out=np.zeros_like(joint), where=spread > 0)
        return (s["x"] - slope * s["c"]) / count

    result = jackknife(features, bounds, estimator, correct_bias=True, rounding=own)
    result = result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)
    # Of rounding alone a regression makes what it likes.
    return result.doubted(plain.reason == Reason.NO_SPREAD, Reason.NO_SPREAD)
