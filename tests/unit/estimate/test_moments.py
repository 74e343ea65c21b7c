"""Pooled cumulants against loops over networks and neurons, and against known cumulants."""

from itertools import permutations

import numpy as np
import pytest

from finitewidth.core.indices import pairs, quads
from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations import moments
from finitewidth.estimate.preactivations.pooled import Pooled

pytestmark = pytest.mark.fast

NETWORKS, NEURONS, BLOCKS = 7, 4, 3


def pooled(z, blocks=BLOCKS, log_norm=None):
    """What a sampler records of z, shape (network, input, neuron)."""
    inputs = z.shape[1]
    with np.errstate(all="ignore"):
        kernel = np.mean(z[:, :, None] * z[:, None], axis=-1)
        quartic = np.stack([np.mean(np.prod(z[:, q], axis=1), axis=1) for q in quads(inputs)], 1)
        sextic = np.mean(z**6, axis=2)
    bounds = block_bounds(len(z), blocks)
    return Pooled(z.shape[2], bounds, kernel, quartic, sextic, log_norm)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def two_networks(z):
    return list(permutations(range(len(z)), 2))


def two_neurons(z):
    return list(permutations(range(z.shape[2]), 2))


def loop_second(z, a, b):
    return mean(z[m, a, i] * z[m, b, i] for m in range(len(z)) for i in range(z.shape[2]))


def loop_squared(z, a, b, c, d):
    """E[z_a z_b] E[z_c z_d] from products over different networks."""
    n = range(z.shape[2])
    return mean(
        z[m, a, i] * z[m, b, i] * z[k, c, j] * z[k, d, j]
        for m, k in two_networks(z)
        for i in n
        for j in n
    )


def loop_four_point(z, a, b, c, d):
    joint = mean(
        z[m, a, i] * z[m, b, i] * z[m, c, j] * z[m, d, j]
        for m in range(len(z))
        for i, j in two_neurons(z)
    )
    return joint - loop_squared(z, a, b, c, d)


def loop_same(z, a, b, c, d):
    joint = mean(np.prod(z[m, [a, b, c, d], i]) for m in range(len(z)) for i in range(z.shape[2]))
    return (
        joint
        - loop_squared(z, a, b, c, d)
        - loop_squared(z, a, c, b, d)
        - loop_squared(z, a, d, b, c)
    )


def loop_six_point(z, a):
    x = z[:, a] ** 2
    n = range(x.shape[1])
    three = mean(
        x[m, i] * x[m, j] * x[m, k] for m in range(len(x)) for i, j, k in permutations(n, 3)
    )
    two_one = mean(
        x[m, i] * x[m, j] * x[p, k]
        for m, p in two_networks(z)
        for i, j in permutations(n, 2)
        for k in n
    )
    apart = mean(
        x[m].mean() * x[p].mean() * x[q].mean() for m, p, q in permutations(range(len(x)), 3)
    )
    return three - 3 * two_one + 2 * apart


def loop_stderr(z, function, blocks=BLOCKS):
    """Delete-a-block jackknife, word for word, for equal blocks."""
    size = len(z) // blocks
    without = [
        function(np.delete(z, np.s_[b * size : (b + 1) * size], axis=0)) for b in range(blocks)
    ]
    return np.sqrt((blocks - 1) * np.var(without))


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((2, 2)) @ rng.standard_normal((NETWORKS, 2, NEURONS))
    return mixed * rng.lognormal(0, 0.4, (NETWORKS, 1, 1))


def test_covariance_is_the_mean_over_networks_and_neurons(z):
    estimate = moments.covariance(pooled(z))
    for a in range(2):
        for b in range(2):
            assert estimate.value[a, b] == pytest.approx(loop_second(z, a, b))


def test_four_point_is_the_loop_over_pairs_of_neurons_and_networks(z):
    estimate = moments.four_point(pooled(z))
    for p, (a, b) in enumerate(pairs(2)):
        for q, (c, d) in enumerate(pairs(2)):
            assert estimate.value[p, q] == pytest.approx(loop_four_point(z, a, b, c, d))


def test_intralayer_is_the_diagonal_at_one_input(z):
    p = pooled(z)
    estimate = moments.intralayer(moments.four_point(p), p)
    for a in range(2):
        assert estimate.value[a] == pytest.approx(loop_four_point(z, a, a, a, a))


def test_four_point_same_is_the_loop_over_neurons_and_pairs_of_networks(z):
    estimate = moments.four_point_same(pooled(z))
    for place, (a, b, c, d) in enumerate(quads(2)):
        assert estimate.value[place] == pytest.approx(loop_same(z, a, b, c, d))


def test_six_point_is_the_loop_over_triples(z):
    estimate = moments.six_point(pooled(z))
    for a in range(2):
        assert estimate.value[a] == pytest.approx(loop_six_point(z, a))


def test_kurtosis_is_the_ratio_freed_of_its_bias(z):
    z = z[:6]
    estimate = moments.excess_kurtosis(pooled(z))

    def ratio(x):
        return mean(x.ravel() ** 4) / mean(x.ravel() ** 2) ** 2 - 3

    for a in range(2):
        x = z[:, a]
        without = mean(ratio(np.delete(x, np.s_[2 * b : 2 * b + 2], axis=0)) for b in range(3))
        assert estimate.value[a] == pytest.approx(3 * ratio(x) - 2 * without)


def test_standard_errors_are_those_of_leaving_out_blocks_word_for_word(z, monkeypatch):
    # As with many networks: the errors of few, by a law, are held in test_estimator_calibration.py.
    monkeypatch.setattr(moments, "by_law", lambda networks: False)
    z = np.concatenate([z, 1.1 * z[:5] + 0.1])
    p = pooled(z)
    assert moments.covariance(p).stderr[0, 1] == pytest.approx(
        loop_stderr(z, lambda x: loop_second(x, 0, 1))
    )
    assert moments.four_point(p).stderr[1, 2] == pytest.approx(
        loop_stderr(z, lambda x: loop_four_point(x, 0, 1, 1, 1))
    )
    assert moments.four_point_same(p).stderr[2] == pytest.approx(
        loop_stderr(z, lambda x: loop_same(x, 0, 0, 1, 1))
    )
    assert moments.six_point(p).stderr[1] == pytest.approx(
        loop_stderr(z, lambda x: loop_six_point(x, 1))
    )


def test_cumulants_are_unbiased_from_four_networks_of_three_neurons():
    # z = sqrt(g) x with E g = 1: cumulants of g are those of the correlators. Each bound is five
    # standard errors of the mean over 2500 ensembles: a false alarm in 2 million a quantity.
    rng = np.random.default_rng(1)
    found = {name: [] for name in ("four_point", "four_point_same", "six_point")}
    for _ in range(2500):
        # Gamma of shape 4 and mean 1: variance 1/4, third cumulant 2/16.
        g = rng.gamma(4, 1 / 4, (4, 1, 1))
        p = pooled(np.sqrt(g) * rng.standard_normal((4, 1, 3)))
        for name, kept in found.items():
            kept.append(getattr(moments, name)(p).value.item())
    for name, truth in (("four_point", 0.25), ("four_point_same", 0.75), ("six_point", 0.125)):
        values = np.array(found[name])
        assert values.mean() == pytest.approx(truth, abs=5 * values.std() / np.sqrt(values.size))


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20, 1e40])
def test_units_change_nothing_but_the_unit(z, scale):
    one, other = pooled(z), pooled(scale * z)
    for name, power in (("covariance", 2), ("four_point", 4), ("six_point", 6)):
        a, b = getattr(moments, name)(one), getattr(moments, name)(other)
        np.testing.assert_allclose(b.value / scale**power, a.value, rtol=1e-9)
        np.testing.assert_allclose(b.stderr / scale**power, a.stderr, rtol=1e-9)
    np.testing.assert_allclose(
        moments.excess_kurtosis(other).value, moments.excess_kurtosis(one).value, rtol=1e-9
    )


def test_small_cumulants_of_wide_layers_keep_their_digits():
    # kappa_3 is of order 1e-9 beside moments of order 1: compare with exact rational arithmetic.
    from fractions import Fraction

    rng = np.random.default_rng(2)
    z = 1 + 1e-3 * rng.standard_normal((5, 1, 4))
    exact = loop_six_point(np.vectorize(Fraction)(z), 0)
    p = pooled(z)
    assert abs(moments.six_point(p).value[0] - float(exact)) < 1e-15


@pytest.mark.parametrize("scale", [1e-200, 1e-80, 1e80, 1e200])
def test_lost_powers_are_nan_and_untrusted_never_wrong(z, scale):
    p = pooled(scale * z, log_norm=np.zeros(z.shape[:2]))
    for function in (moments.covariance, moments.four_point, moments.six_point):
        estimate = function(p)
        known = np.isfinite(estimate.value)
        power = {"covariance": 2, "four_point": 4, "six_point": 6}[function.__name__]
        expected = function(pooled(z)).value
        if known.any():
            np.testing.assert_allclose(
                estimate.value[known] / scale**power, expected[known], rtol=1e-3
            )
        assert not estimate.trusted[~known].any()


def test_fourth_powers_lost_in_single_precision_are_noticed(z):
    p = pooled(1e-13 * z)
    flushed = p.quartic.astype(np.float32)
    lost = Pooled(p.width, p.bounds, p.kernel, flushed, p.sextic)
    assert np.isnan(moments.excess_kurtosis(lost).value).all()


def test_narrow_layers_have_no_correlator_of_more_neurons_than_they_have(z):
    assert np.isnan(moments.four_point(pooled(z[..., :1])).value).all()
    assert np.isfinite(moments.four_point(pooled(z[..., :2])).value).all()
    assert np.isnan(moments.six_point(pooled(z[..., :2])).value).all()


def test_a_zero_input_has_zero_moments_without_error(z):
    z = z.copy()
    z[:, 0] = 0
    p = pooled(z)
    covariance = moments.covariance(p)
    np.testing.assert_array_equal(covariance.value[0], 0)
    assert not covariance.trusted[0].any()
    assert covariance.value[1, 1] == pytest.approx(loop_second(z, 1, 1))
    assert moments.six_point(p).value[0] == 0


def test_a_kernel_that_underflowed_is_told_from_a_dead_layer(z):
    zero = np.zeros_like(z)
    dead = moments.covariance(pooled(zero, log_norm=np.full(z.shape[:2], -np.inf)))
    tiny = moments.covariance(pooled(zero, log_norm=np.full(z.shape[:2], -1e4)))
    np.testing.assert_array_equal(dead.value, 0)
    assert np.isnan(tiny.value).all()


def test_a_correlation_is_the_ratio_of_means_freed_of_bias_by_leaving_networks_out():
    z = np.random.default_rng(3).standard_normal((60, 2, NEURONS))
    z[:, 1] += 0.7 * z[:, 0]
    found = moments.correlation(pooled(z, blocks=60))

    def plain(kept):
        x, y = z[kept, 0].ravel(), z[kept, 1].ravel()
        return np.sum(x * y) / np.sqrt(np.sum(x**2) * np.sum(y**2))

    without = np.array([plain(np.arange(60) != k) for k in range(60)])
    expected = 60 * plain(np.arange(60)) - 59 * without.mean()
    error = np.sqrt(59 / 60 * np.sum((without - without.mean()) ** 2))
    assert found.value[0, 1] == found.value[1, 0] == pytest.approx(expected, rel=1e-12)
    assert found.stderr[0, 1] == pytest.approx(error, rel=1e-9)
    np.testing.assert_allclose(np.diag(found.value), 1)
    assert not found.trusted[0, 0]
