"""Cumulants of preactivations from each network's means over all its neurons.

Every estimator here but the kurtosis is a U-statistic: a product of expectations is estimated by a
mean over *different* networks, a product over different neurons by power sums over the neurons of
one network (Hoeffding 1948, Annals of Mathematical Statistics 19, 293). So they are unbiased at any
width and any number of networks, without a loop over pairs. The mean of z is zero by the symmetry
of the weights and is not estimated.

Cumulants over different neurons do not change when a constant is subtracted from the products
z_a z_b, nor do these estimators of them; we subtract the mean, so that a small cumulant is not the
difference of large numbers.
"""

from __future__ import annotations

import numpy as np

from finitewidth.core.indices import quad_positions
from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import of_products
from finitewidth.estimate.errors.cumulant_errors import with_law
from finitewidth.estimate.errors.jackknife import Estimate, Sums, block_sums, jackknife
from finitewidth.estimate.errors.look_ahead import doubt_unseen
from finitewidth.estimate.errors.mean_errors import by_law
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.preactivations.pooled import Pooled, symmetric_places

Array = np.ndarray


def of_two(x: Array, y: Array, xy: Array, count: Array) -> Array:
    """E[x] E[y] without bias: the mean of x y over pairs of different networks.

    Parameters
    ----------
    x, y, xy : array
        Sums over networks of x, of y and of their product.
    count : array
        Number of networks; all broadcast against each other.
    """
    return (x * y - xy) / (count * (count - 1))


def of_three(x: Array, xx: Array, xxx: Array, count: Array) -> Array:
    """E[x]^3 without bias, from the sums of x, x^2 and x^3 over ``count`` networks."""
    return (x**3 - 3 * x * xx + 2 * xxx) / (count * (count - 1) * (count - 2))


def covariance(p: Pooled) -> Estimate:
    """G_ab = E[z_a z_b], shape (input, input)."""
    sums = block_sums(lambda at: {"k": p.kernel_of(at)}, p.bounds)
    mean = jackknife(sums, p.bounds, lambda s, count: s["k"] / count, rounding=p.rounding)
    mean = doubt_unseen(mean.times(p.unit2), p.ahead(p.pairs))
    return mean.take(symmetric_places(*p.pairs.T))


def correlation(p: Pooled) -> Estimate:
    """G_ab/sqrt(G_aa G_bb), shape (input, input); a ratio, freed of its bias of order 1/N.

    1 on the diagonal, without spread; NaN where an input is zero.
    """
    a, b = p.pairs.T
    place = symmetric_places(a, b)
    sums = block_sums(lambda at: {"k": p.kernel_of(at)}, p.bounds)

    def estimator(s: Sums, count: Array) -> Array:
        k = s["k"]
        return k / np.sqrt(k[..., place[a, a]] * k[..., place[b, b]])

    return jackknife(sums, p.bounds, estimator, correct_bias=True, rounding=p.rounding).take(place)


def four_point(p: Pooled) -> Estimate:
    """E[z_ia z_ib z_jc z_jd] - G_ab G_cd over all i != j, shape (pair, pair).

    With the means k_ab and q_abcd over the n neurons of one network, the mean over i != j is
    (n k_ab k_cd - q_abcd)/(n - 1). NaN at width 1.
    """
    size = len(p.pairs)
    if p.width < 2:
        return Estimate.unknown((size, size), Reason.TOO_NARROW, p.width)
    first, second = np.triu_indices(size)
    quad = quad_positions(p.inputs)[first, second]
    center = np.mean(p.kernel_of(slice(None)), axis=0)
    a, b = center[first], center[second]

    def features(at: slice) -> dict[str, Array]:
        k = p.kernel_of(at)
        u = k - center
        uu = u[:, first] * u[:, second]
        q = p.quartic_of(at)[:, quad] - a * k[:, second] - b * k[:, first] + a * b
        return {"pair": (p.width * uu - q) / (p.width - 1), "u": u, "uu": uu}

    def estimator(s: Sums, count: Array) -> Array:
        product = of_two(s["u"][..., first], s["u"][..., second], s["uu"], count)
        return s["pair"] / count - product

    sums = block_sums(features, p.bounds)
    # Of deviations of the kernels; of q a share of 1/n counts.
    rounding = of_products(p.rounding, p.spread[first], p.spread[second])
    rounding = rounding + 3 * p.rounding / (p.width - 1)
    result = jackknife(sums, p.bounds, estimator, rounding=rounding).times(p.unit4[quad])
    return _judged(result, p, p.quads[quad]).take(symmetric_places(first, second))


def intralayer(four_points: Estimate, p: Pooled) -> Estimate:
    """E[(z_i^2 - G)(z_j^2 - G)] over i != j, shape (input,): the diagonal of ``four_points``."""
    same = np.flatnonzero(p.pairs[:, 0] == p.pairs[:, 1])
    return four_points.take((same, same))


def four_point_same(p: Pooled) -> Estimate:
    """E[z_a z_b z_c z_d] - G_ab G_cd - G_ac G_bd - G_ad G_bc of one neuron, shape (quad,)."""
    place = symmetric_places(*p.pairs.T)
    a, b, c, d = p.quads.T
    splits = [(place[a, b], place[c, d]), (place[a, c], place[b, d]), (place[a, d], place[b, c])]

    def features(at: slice) -> dict[str, Array]:
        k = p.kernel_of(at)
        products = {f"kk{i}": k[:, one] * k[:, two] for i, (one, two) in enumerate(splits)}
        return {"q": p.quartic_of(at), "k": k, **products}

    def estimator(s: Sums, count: Array) -> Array:
        products = (
            of_two(s["k"][..., one], s["k"][..., two], s[f"kk{i}"], count)
            for i, (one, two) in enumerate(splits)
        )
        return s["q"] / count - sum(products)

    sums = block_sums(features, p.bounds)
    result = jackknife(sums, p.bounds, estimator, rounding=p.rounding).times(p.unit4)
    return _judged(result, p, p.quads)


def _judged(estimate: Estimate, p: Pooled, index: Array) -> Estimate:
    """Second cumulants of the inputs ``index``, shape (number, 4).

    Whether few networks show their tail is chance, and those that show none have small cumulants
    with small errors. So the law of the mean squares gives a second error, and no symptom is asked.
    """
    if by_law(p.networks):
        estimate, _ = with_law(estimate, p.law(index), 2, p.networks)
    return doubt_unseen(estimate, p.ahead(index))


def six_point(p: Pooled) -> Estimate:
    """Third cumulant of z_i^2, z_j^2, z_k^2 over distinct i, j, k, shape (input,).

    With power sums P_m of u = z^2 - const over the n neurons of one network, the sum of u_i u_j
    over distinct neurons is P_1^2 - P_2, that of u_i u_j u_k is P_1^3 - 3 P_1 P_2 + 2 P_3 (Newton's
    identities). NaN at widths 1 and 2.
    """
    n = p.width
    if n < 3:
        return Estimate.unknown((p.inputs,), Reason.TOO_NARROW, n)
    same2 = np.flatnonzero(p.pairs[:, 0] == p.pairs[:, 1])
    same4 = np.flatnonzero(p.quads[:, 0] == p.quads[:, 3])
    c = np.mean(p.kernel_of(slice(None))[:, same2], axis=0)

    def features(at: slice) -> dict[str, Array]:
        k, q, s = p.kernel_of(at)[:, same2], p.quartic_of(at)[:, same4], p.sextic_of(at)
        u = k - c
        p1, p2, p3 = n * u, n * (q - 2 * c * k + c**2), n * (s - c * (3 * q - 3 * c * k + c**2))
        two = (p1**2 - p2) / (n * (n - 1))
        three = (p1**3 - 3 * p1 * p2 + 2 * p3) / (n * (n - 1) * (n - 2))
        return {"u": u, "uu": u**2, "uuu": u**3, "two": two, "two_u": two * u, "three": three}

    def estimator(s: Sums, count: Array) -> Array:
        once = of_two(s["two"], s["u"], s["two_u"], count)
        cube = of_three(s["u"], s["uu"], s["uuu"], count)
        return s["three"] / count - 3 * once + 2 * cube

    sums, s = block_sums(features, p.bounds), p.spread[same2]
    # Of a cube of deviations, and of the second and third sums that are taken from it.
    rounding = 3 * p.rounding * (s**2 + 4 * (s + p.rounding) / n + 10 / n**2) + p.rounding**3
    result = jackknife(sums, p.bounds, estimator, rounding=rounding).times(p.unit6)
    return doubt_unseen(result, p.ahead(_alone(p, 6)))


def excess_kurtosis(p: Pooled) -> Estimate:
    """E[z^4]/E[z^2]^2 - 3, shape (input,); a ratio, freed of its bias of order 1/N."""
    same2 = np.flatnonzero(p.pairs[:, 0] == p.pairs[:, 1])
    same4 = np.flatnonzero(p.quads[:, 0] == p.quads[:, 3])

    def features(at: slice) -> dict[str, Array]:
        return {"k": p.kernel_of(at)[:, same2], "q": p.quartic_of(at)[:, same4]}

    def estimator(s: Sums, count: Array) -> Array:
        return count * s["q"] / s["k"] ** 2 - 3

    sums = block_sums(features, p.bounds)
    result = jackknife(sums, p.bounds, estimator, correct_bias=True, rounding=3 * p.rounding)
    # To first order it is thrice the variance of the mean square, in units of its square.
    return _judged(result, p, _alone(p, 4))


def _alone(p: Pooled, factors: int) -> Array:
    """So many factors z of each input alone, shape (input, factors)."""
    return np.tile(np.arange(p.inputs)[:, None], factors)


def correlations(layer: Layer) -> dict[str, Estimate]:
    """The family ``correlation``."""
    return {"correlation": correlation(layer.pooled)}


def four_points(layer: Layer) -> dict[str, Estimate]:
    """The family ``four_point``."""
    of_two = four_point(layer.pooled)
    return {
        "four_point": of_two,
        "four_point_same": four_point_same(layer.pooled),
        "intralayer": intralayer(of_two, layer.pooled),
    }


def six_points(layer: Layer) -> dict[str, Estimate]:
    """The family ``six_point``."""
    return {"six_point": six_point(layer.pooled)}


def kurtoses(layer: Layer) -> dict[str, Estimate]:
    """The family ``kurtosis``."""
    return {"excess_kurtosis": excess_kurtosis(layer.pooled)}
