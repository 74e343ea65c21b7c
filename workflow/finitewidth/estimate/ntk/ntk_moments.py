"""Mean and covariances of neural tangent kernels: the tensors A, B, D and F of the output layer.

Two outputs i != j tell apart what one output mixes. With Gaussian weights of the last layer
(PDLT chapter 8)

    Cov(Theta_{i1 a,i2 b}, Theta_{i3 c,i4 d}) = (A d_12 d_34 + B d_13 d_24 + B' d_14 d_23)/n,

and D, F stand in the like formula with z_{i1 a} z_{i2 b} in place of the first Theta. Here A, B, D
and F are estimated as what they are for networks of any law, with their 1/n.

* Products of expectations are means over *different* networks, as in
  :mod:`finitewidth.estimate.preactivations.moments`; B and F have none to subtract, since the law
  of the networks stays as it is when the weights of output i change their sign, which takes
  Theta_{ij} to
  -Theta_{ij}: its mean is exactly 0.
* The law also stays as it is when outputs are exchanged, hence means over all ordered pairs i != j.
* With ``isotropic`` also under every rotation of the outputs: the mean over all rotations of an
  estimate has the same expectation and a smaller variance. It follows from three traces.
* F has a control of known mean besides, products of four z.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.rounding import of_products
from finitewidth.estimate.errors.jackknife import Estimate, Sums, jackknife
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead
from finitewidth.estimate.ntk.last_layer import LastLayer
from finitewidth.estimate.ntk.output_pairs import PairSums, control, controlled_mean, mean_of
from finitewidth.estimate.ntk.scaled_kernels import Tangents, block_totals, outer_unit
from finitewidth.estimate.preactivations.moments import of_two
from finitewidth.estimate.preactivations.pooled import product_of_scales, symmetric_places

Array = np.ndarray
Estimates = dict[str, Estimate]


def moments(last: LastLayer) -> Estimates:
    """Mean, covariance and normalised second moment of Theta_{ia,ib}, one and the same output i.

    Returns
    -------
    dict of Estimate
        ``ntk``, shape (input, input); ``ntk_variance``, shape (pair, pair);
        ``ntk_second_moment``, shape (input,), a ratio, freed of its bias of order 1/networks.
    """

    t = last.tangents

    def features(at: slice) -> dict[str, Array]:
        x = t.same(at)
        sums = PairSums.of(t, x, x)
        if t.isotropic and t.outputs > 1:
            theta = t.different(at)
            sums = sums.beside(theta, theta)
        return {**_means(t, x, sums), "same": sums.same}

    sums = block_totals(features, t.bounds)
    diagonal = np.flatnonzero(t.pairs[:, 0] == t.pairs[:, 1])
    c = t.center[diagonal]

    def second_moment(s: Sums, count: Array) -> Array:
        first = s["u"][..., diagonal] / count
        second = s["same"][..., diagonal * (len(t.pairs) + 1)] / count
        return (second + 2 * c * first + c**2) / (first + c) ** 2

    mean = jackknife(
        sums, t.bounds, lambda s, count: s["u"] / count + t.center, rounding=t.rounding
    ).times(t.unit)
    spread = _root_mean_square(t, sums["same"])
    rounding = of_products(t.rounding, spread[:, None], spread)
    variance = _covariance(t, sums, "same", ("u", "u", "uu"), outer_unit(t.unit, t.unit), rounding)
    square = jackknife(sums, t.bounds, second_moment, correct_bias=True, rounding=t.rounding)
    one, two = (skewness_ahead(_sizes(t), order) for order in (1, 2))
    return {
        "ntk": doubt_unseen(mean, _worst(one, t.pairs)).take(symmetric_places(*t.pairs.T)),
        "ntk_variance": doubt_unseen(variance, _worst(two, t.pairs, t.pairs)),
        "ntk_second_moment": doubt_unseen(square, two),
    }


def tensors(last: LastLayer) -> Estimates:
    """A, B, D and F of the output layer, each with its 1/n; D alone of one output.

    Returns
    -------
    dict of Estimate
        ``ntk_A``, Cov(Theta_{ia,ib}, Theta_{jc,jd}) over outputs i != j, and ``ntk_D``,
        Cov(Ghat_ab, Theta_{ic,id}), shape (pair, pair), the latter not symmetric; ``ntk_B``,
        E[Theta_{ia,jb} Theta_{ic,jd}], and ``ntk_F``, E[z_ia z_jb Theta_{ic,jd}], over i != j,
        shape (couple, couple).
    """

    t = last.tangents

    def features(at: slice) -> dict[str, Array]:
        x = t.same(at)
        sums = PairSums.of(t, x, x)
        g = np.asarray(t.kernel)[at] / t.kernel_unit - t.kernel_center
        totals = {**_means(t, x, sums), "g": g.sum(axis=0), "gu": g.T @ x.mean(axis=1)}
        if t.outputs > 1:
            theta = t.different(at)
            own = sums.beside(theta, theta)
            mixed = PairSums.of(t, t.squares(at), x).beside(t.products(at), theta)
            totals |= {"same": own.same, "A": own.apart, "B": own.crossed, "F": mixed.crossed}
            totals["control"] = control(t, at)
        return totals

    sums = block_totals(features, t.bounds)
    own, mixed = outer_unit(t.unit, t.unit), outer_unit(t.kernel_unit, t.unit)
    u = _root_mean_square(t, sums["uu"])
    g = np.sqrt(np.mean((t.kernel / t.kernel_unit - t.kernel_center) ** 2, axis=0))
    of_gu = of_products(t.rounding, g[:, None], u)
    ahead = skewness_ahead(_sizes(t), 2)
    own_kernel = np.flatnonzero(t.pairs[:, 0] == t.pairs[:, 1])
    both = np.maximum(ahead, skewness_ahead(np.asarray(t.kernel)[:, own_kernel], 2))
    d = _covariance(t, sums, "gu", ("g", "u", "gu"), mixed, of_gu)
    found = {"ntk_D": doubt_unseen(d, _worst(both, t.pairs, t.pairs))}
    if t.outputs > 1:
        square = product_of_scales(t.output_scale, t.pairs)
        b, x = _root_mean_square(t, sums["B"]), _root_mean_square(t, sums["same"])
        z = np.sqrt(np.mean((t.output / t.output_scale) ** 2, axis=(0, 1)))
        products = np.outer(z, z).ravel()
        found |= {
            "ntk_A": _covariance(
                t, sums, "A", ("u", "u", "uu"), own, of_products(t.rounding, x[:, None], x)
            ),
            "ntk_B": mean_of(
                sums["B"], t.bounds, t.couples(own), of_products(t.rounding, b[:, None], b)
            ),
            "ntk_F": controlled_mean(
                sums["F"],
                sums["control"],
                t.bounds,
                t.couples(outer_unit(square, t.unit)),
                t.rounding * products[:, None],
            ),
        }
        couples = np.indices((t.inputs, t.inputs)).reshape(2, -1).T
        for name, index in (("ntk_A", t.pairs), ("ntk_B", couples), ("ntk_F", couples)):
            found[name] = doubt_unseen(found[name], _worst(ahead, index, index))
    return found


def _sizes(t: Tangents) -> Array:
    """Theta_{ia,ia}, its mean over outputs, shape (network, input)."""
    return np.einsum("niiaa->na", np.asarray(t.theta), dtype=float) / t.outputs


def _worst(each: Array, *pairs: Array) -> Array:
    """The largest of the inputs in one list of pairs of them, or of two in every combination."""
    largest = (np.max(each[pair], axis=1) for pair in pairs)
    return np.maximum.outer(*largest) if len(pairs) > 1 else next(largest)


def _means(t: Tangents, x: Array, sums: PairSums) -> dict[str, Array]:
    """Sums of u, the mean of Theta_{ia,ib} over outputs, and of the products of two u."""
    return {"u": x.sum(axis=(0, 1)) / t.outputs, "uu": sums.total / t.outputs**2}


def _root_mean_square(t: Tangents, squares: Array) -> Array:
    """Roots of the diagonal of mean products, shape (number,), of sums (block, number x number)."""
    mean = squares.sum(axis=0) / t.bounds[-1]
    return np.sqrt(np.abs(np.diagonal(mean.reshape((round(mean.size**0.5),) * 2))))


def _covariance(
    t: Tangents, sums: dict, joint: str, means: tuple, unit: Array, rounding: Array
) -> Estimate:
    """Mean of ``joint`` less E[x] E[y] over different networks; ``means`` names x, y and x y."""
    rows, columns = np.indices(unit.shape).reshape(2, -1)
    x, y, xy = means

    def estimator(s: Sums, count: Array) -> Array:
        return s[joint] / count - of_two(s[x][..., rows], s[y][..., columns], s[xy], count)

    result = jackknife(sums, t.bounds, estimator, rounding=rounding.ravel())
    return result.take(np.arange(unit.size).reshape(unit.shape)).times(unit)
