"""Mean and covariances of neural tangent kernels: the tensors A, B, D and F of the output layer.

Two outputs i != j tell apart what one output mixes. With Gaussian weights of the last layer
(PDLT chapter 8)

    Cov(Theta_{i1 a,i2 b}, Theta_{i3 c,i4 d}) = (A d_12 d_34 + B d_13 d_24 + B' d_14 d_23)/n,

and D, F stand in the like formula with z_{i1 a} z_{i2 b} in place of the first Theta. Here A, B, D
and F are estimated as what they are for networks of any law, with their 1/n.

* Products of expectations are means over *different* networks, as in
  :mod:`finitewidth.estimate.moments`; B and F have none to subtract, since the law of the networks
  stays as it is when the weights of output i change their sign, which takes Theta_{ij} to
  -Theta_{ij}: its mean is exactly 0.
* The law also stays as it is when outputs are exchanged, hence means over all ordered pairs i != j.
* With ``isotropic`` also under every rotation of the outputs: the mean over all rotations of an
  estimate has the same expectation and a smaller variance. It follows from three traces (below).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from finitewidth.estimate.errors import LEAST_NETWORKS, Estimate, jackknife
from finitewidth.estimate.moments import of_two
from finitewidth.estimate.pooled import product_of_scales, symmetric_places
from finitewidth.estimate.tangents import Tangents, block_totals, outer_unit

Array = np.ndarray
Estimates = dict[str, Estimate]


def isotropic_parts(x: Array, y: Array, z: Array, outputs: int) -> tuple[Array, Array, Array]:
    """Coefficients of the isotropic tensor whose three traces are known.

    A tensor of rank four over k >= 2 outputs that no rotation changes is
    t_1 d_12 d_34 + t_2 d_13 d_24 + t_3 d_14 d_23 (Weyl 1939, The Classical Groups, section II.9).
    Its contractions x (1 with 2, 3 with 4), y (1 with 3, 2 with 4) and z are k^2 times one
    coefficient plus k times the other two; that is inverted here.
    """
    rest = (x + y + z) / (outputs + 2)
    return tuple((part - rest) / (outputs * (outputs - 1)) for part in (x, y, z))


def moments(t: Tangents) -> Estimates:
    """Mean, covariance and normalised second moment of Theta_{ia,ib}, one and the same output i.

    Returns
    -------
    dict of Estimate
        ``ntk``, shape (input, input); ``ntk_variance``, shape (pair, pair);
        ``ntk_second_moment``, shape (input,), a ratio, freed of its bias of order 1/networks.
    """

    def features(at: slice) -> dict[str, Array]:
        x = t.same(at)
        sums = _Sums.of(t, x, x)
        if t.isotropic and t.outputs > 1:
            theta = t.different(at)
            sums = sums.beside(theta, theta)
        return {**_means(t, x, sums), "same": sums.same}

    sums = block_totals(features, t.bounds)
    diagonal = np.flatnonzero(t.pairs[:, 0] == t.pairs[:, 1])
    c = t.center[diagonal]

    def second_moment(s, count):
        first = s["u"][..., diagonal] / count
        second = s["same"][..., diagonal * (len(t.pairs) + 1)] / count
        return (second + 2 * c * first + c**2) / (first + c) ** 2

    mean = jackknife(sums, t.bounds, lambda s, count: s["u"] / count + t.center).times(t.unit)
    return {
        "ntk": mean.take(symmetric_places(*t.pairs.T)),
        "ntk_variance": _covariance(t, sums, "same", ("u", "u", "uu"), outer_unit(t.unit, t.unit)),
        "ntk_second_moment": jackknife(sums, t.bounds, second_moment, correct_bias=True),
    }


def tensors(t: Tangents) -> Estimates:
    """A, B, D and F of the output layer, each with its 1/n; D alone of one output.

    Returns
    -------
    dict of Estimate
        ``ntk_A``, Cov(Theta_{ia,ib}, Theta_{jc,jd}) over outputs i != j, and ``ntk_D``,
        Cov(Ghat_ab, Theta_{ic,id}), shape (pair, pair), the latter not symmetric; ``ntk_B``,
        E[Theta_{ia,jb} Theta_{ic,jd}], and ``ntk_F``, E[z_ia z_jb Theta_{ic,jd}], over i != j,
        shape (couple, couple).
    """

    def features(at: slice) -> dict[str, Array]:
        x = t.same(at)
        sums = _Sums.of(t, x, x)
        g = t.kernel[at] / t.kernel_unit - t.kernel_center
        totals = {**_means(t, x, sums), "g": g.sum(axis=0), "gu": g.T @ x.mean(axis=1)}
        if t.outputs > 1:
            theta = t.different(at)
            own = sums.beside(theta, theta)
            squares, products = t.squares(at), t.products(at)
            mixed = _Sums.of(t, squares, x).beside(products, theta)
            control = _Sums.of(t, squares, squares).beside(products, products)
            totals |= {"A": own.apart, "B": own.crossed, "F": mixed.crossed}
            totals["control"] = control.crossed - _expected(t, at)
        return totals

    sums = block_totals(features, t.bounds)
    own, mixed = outer_unit(t.unit, t.unit), outer_unit(t.kernel_unit, t.unit)
    found = {"ntk_D": _covariance(t, sums, "gu", ("g", "u", "gu"), mixed)}
    if t.outputs > 1:
        square = product_of_scales(t.output_scale, t.pairs)
        found |= {
            "ntk_A": _covariance(t, sums, "A", ("u", "u", "uu"), own),
            "ntk_B": mean_of(sums["B"], t.bounds, t.couples(own)),
            "ntk_F": _controlled(sums, t.bounds, t.couples(outer_unit(square, t.unit))),
        }
    return found


def mean_of(sums: Array, bounds: Array, unit: Array) -> Estimate:
    """Mean over networks, in the shape of its ``unit``, from sums of shape (block, feature)."""
    result = jackknife({"x": sums}, bounds, lambda s, count: s["x"] / count)
    return result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)


def _expected(t: Tangents, at: slice) -> Array:
    """Sum over networks of Ghat_ac Ghat_bd in units of z, shape (couple, couple).

    Given the layer before it is the expectation of z_ia z_jb z_ic z_jd for i != j.
    """
    n = t.inputs
    g = t.kernel[at] / product_of_scales(t.output_scale, t.pairs)
    products = t.couples(g.T @ g).reshape((n,) * 4)
    return products.swapaxes(1, 2).reshape(n**2, n**2)


def _controlled(sums: dict[str, Array], bounds: Array, unit: Array) -> Estimate:
    """F with the help of a control: z_ia z_jb z_ic z_jd - Ghat_ac Ghat_bd, whose mean is 0.

    Where the gradients of two outputs go with the outputs themselves, so does Theta_{ic,jd} with
    z_ic z_jd, and most of what F varies by is the products of z. The coefficient of the control is
    its regression over blocks of networks, as in batch means (Glasserman 2003, Monte Carlo Methods
    in Financial Engineering, section 4.1): blocks lose next to nothing against networks, and need
    no products of each. Its bias, of order 1/networks, is the jackknife's to subtract. Too few
    blocks for a regression do without.
    """
    if len(bounds) - 1 < LEAST_NETWORKS:
        return mean_of(sums["F"], bounds, unit)
    x, c = sums["F"], sums["control"]
    sizes = np.diff(bounds)[:, None]
    features = {"x": x, "c": c, "xc": x * c / sizes, "cc": c * c / sizes}

    def estimator(s, count):
        joint = s["xc"] - s["x"] * s["c"] / count
        spread = s["cc"] - s["c"] ** 2 / count
        slope = np.divide(joint, spread, out=np.zeros_like(joint), where=spread > 0)
        return (s["x"] - slope * s["c"]) / count

    result = jackknife(features, bounds, estimator, correct_bias=True)
    return result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)


@dataclass(frozen=True)
class _Sums:
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
    def of(cls, t: Tangents, left: Array, right: Array) -> _Sums:
        """From l_ii and r_ii, shape (network, output, pair)."""
        size = len(t.pairs)
        each = left.reshape(-1, size).T @ right.reshape(-1, size)
        return cls(t, each, left.sum(axis=1).T @ right.sum(axis=1))

    def beside(self, left: Array, right: Array) -> _Sums:
        """With l_ij and r_ij of i < j, shape (network x pair of outputs, couple)."""
        return replace(self, different=self.tangents.both_orders(left.T @ right))

    @property
    def same(self) -> Array:
        """Estimate of the sum of l_ii r_ii, shape (pair, pair)."""
        t = self.tangents
        if self.different is None:
            return self.each / t.outputs
        return t.of_pairs(sum(self._traces)) / (t.outputs * (t.outputs + 2))

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
        return self.different / (t.outputs * (t.outputs - 1))

    @cached_property
    def _traces(self) -> tuple[Array, Array, Array]:
        t = self.tangents
        y = t.couples(self.each) + self.different
        # Exchanging the inputs of the left couple exchanges its outputs.
        return t.couples(self.total), y, y[t.exchanged]


def _means(t: Tangents, x: Array, sums: _Sums) -> dict[str, Array]:
    """Sums of u, the mean of Theta_{ia,ib} over outputs, and of the products of two u."""
    return {"u": x.sum(axis=(0, 1)) / t.outputs, "uu": sums.total / t.outputs**2}


def _covariance(t: Tangents, sums: dict, joint: str, means: tuple, unit: Array) -> Estimate:
    """Mean of ``joint`` less E[x] E[y] over different networks; ``means`` names x, y and x y."""
    rows, columns = np.indices(unit.shape).reshape(2, -1)
    x, y, xy = means

    def estimator(s, count):
        return s[joint] / count - of_two(s[x][..., rows], s[y][..., columns], s[xy], count)

    result = jackknife(sums, t.bounds, estimator)
    return result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)
