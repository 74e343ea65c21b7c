"""The law of a kernel by L-moments, and errors of cumulants by it, against known laws.

False alarms: fixed seeds, bounds of five standard deviations.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import roots_genlaguerre

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import (
    KernelLaw,
    added,
    gamma_moments,
    l_skewness,
    lognormal_moments,
    widened,
)
from finitewidth.estimate.errors.jackknife import Estimate


def gamma(skewness, size, seed=0):
    """Standardised gamma variables."""
    shape = 4 / skewness**2
    return (np.random.default_rng(seed).gamma(shape, size=size) - shape) / np.sqrt(shape)


def lognormal(spread, size, seed=0):
    return np.exp(spread * np.random.default_rng(seed).normal(size=size))


def skewness_of_what_is_added(x, order):
    """By a large sample of a kernel."""
    x = (x - x.mean()) / x.std()
    adds = x**2 if order == 2 else x**3 - 3 * x
    return stats.skew(adds)


def test_l_skewness_is_that_of_known_laws():
    x = np.random.default_rng(0).exponential(size=(100_000, 1))
    # 1/3 of an exponential variable, whose skewness is 2 (Hosking 1990), 0 of a symmetric one.
    assert l_skewness(x)[0] == pytest.approx(1 / 3, rel=0.02)
    assert abs(l_skewness(np.random.default_rng(0).normal(size=(100_000, 1)))[0]) < 0.01
    assert l_skewness(np.ones((60, 2))).tolist() == [0, 0]


@pytest.mark.parametrize("order", [2, 3])
def test_what_one_network_adds_is_as_skew_as_quadrature_says(order):
    # Gauss rules of a gamma variable of skewness 0.5, whose shape is 16.
    node, weight = roots_genlaguerre(20, 15)
    x, weight = (node - 16) / 4, weight / weight.sum()
    adds = x**2 if order == 2 else x**3 - 3 * x
    adds = adds - adds @ weight
    variance, skewness = added(gamma_moments(0.5), order)
    assert variance == pytest.approx(adds**2 @ weight, rel=1e-8)
    assert skewness == pytest.approx(adds**3 @ weight / (adds**2 @ weight) ** 1.5, rel=1e-8)


@pytest.mark.parametrize("spread", [0.02, 0.3, 0.6])
def test_moments_of_a_log_normal_variable_are_those_of_its_law(spread):
    law = stats.lognorm(spread)
    mean, variance, skewness, kurtosis = (float(v) for v in law.stats("mvsk"))
    found = lognormal_moments(spread)
    exact = [1, 0, 1, skewness, 3 + kurtosis]
    np.testing.assert_allclose(found[:5], exact, rtol=1e-8, atol=1e-8)
    # The sixth by sums of raw moments, exact where they do not cancel.
    if spread > 0.1:
        raw = [np.exp(j**2 * spread**2 / 2) for j in range(7)]
        binomial = [1, 6, 15, 20, 15, 6, 1]
        six = sum(b * (-mean) ** (6 - j) * raw[j] for j, b in enumerate(binomial))
        assert found[6] == pytest.approx(six / variance**3, rel=1e-6)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(("law", "layer", "size"), [(gamma, 2, 0.6), (lognormal, 900, 0.2)])
def test_the_law_knows_error_and_skewness_of_a_cumulant(order, law, layer, size):
    """Of the second layer by gamma variables, of the last of many by log-normal ones."""
    # Rungs of widths 8 and 32 whose skewness falls as it should.
    x = np.stack([law(size, 400_000), law(size / 2, 400_000, 1)], axis=1)[:, :, None]
    found = KernelLaw.of(5 + x, np.array([8, 32]), [layer], order)
    exact = [skewness_of_what_is_added(x[:, k, 0], order) for k in range(2)]
    np.testing.assert_allclose(found.skewness[:, 0] * len(x) ** 0.5, exact, rtol=0.25)
    np.testing.assert_allclose(found.ratio, 1, rtol=0.08)


def test_nothing_is_said_of_what_does_not_vary():
    x = np.column_stack([gamma(0.5, 300), np.ones(300)]).reshape(300, 1, 2)
    found = KernelLaw.of(x, np.array([8]), [1, 2], 3)
    assert found.ratio[0, 1] == 1
    assert found.skewness[0, 1] == 0


def experiments(draw, order, networks, number, layer):
    """z of a cumulant of as many kernels: by the jackknife alone, and as reported."""
    x = draw((networks, number))
    d = x - x.mean(axis=0)
    square, cube = np.mean(d**2, axis=0), np.mean(d**3, axis=0)
    if order == 2:
        value, adds = square * networks / (networks - 1), d**2
    else:
        value = cube * networks**2 / ((networks - 1) * (networks - 2))
        adds = d**3 - 3 * d * square
    error = adds.std(axis=0) / np.sqrt(networks)
    laws = [KernelLaw.of(column[:, None, None], np.array([16]), [layer], order) for column in x.T]
    law = KernelLaw(
        *(np.stack([getattr(w, k)[0, 0] for w in laws])[None] for k in ("ratio", "skewness"))
    )
    given = Estimate(value[None], error[None], np.full((1, number), Reason.SKEW), error[None])
    plain = np.full((1, number), True)
    found, _ = widened(given, np.zeros((1, 1, number)), law, order, networks, plain)
    large = draw((1_000_000,))
    true = stats.moment(large, order)
    return (value - true) / error, (found.value[0] - true) / found.stderr[0], found.trusted[0]


CASES = [
    (lambda size: gamma(0.05, size, 3), 2, 100, 2),
    (lambda size: gamma(0.7, size, 3), 2, 100, 2),
    (lambda size: gamma(0.5, size, 3), 3, 300, 2),
    (lambda size: lognormal(0.2, size, 3), 2, 300, 9),
    (lambda size: lognormal(0.1, size, 3), 3, 1000, 9),
]


@pytest.mark.parametrize(("draw", "order", "networks", "layer"), CASES)
def test_z_of_a_cumulant_spreads_as_widely_as_it_should(draw, order, networks, layer):
    """2000 independent kernels each: the spread of z is known to 3 %, its share beyond 3, 1 %, to
    0.25 %."""
    before, z, trusted = experiments(draw, order, networks, 2000, layer)
    assert trusted.mean() > 0.7
    assert 0.85 < np.sqrt(np.mean(z[trusted] ** 2)) < 1.15
    assert np.mean(np.abs(z[trusted]) > 3) < 0.018
    # The jackknife's error alone leaves more far away.
    assert np.mean(np.abs(before) > 3) > 1.3 * np.mean(np.abs(z) > 3)


def test_covariances_of_rungs_are_widened_as_errors_are():
    given = Estimate(np.ones((2, 1)), np.array([[1.0], [2.0]]), np.zeros((2, 1)), np.ones((2, 1)))
    law = KernelLaw(np.array([[1.2], [0.9]]), np.array([[0.3], [0.1]]))
    rungs = np.array([[1.0, 0.5], [0.5, 4.0]])[:, :, None]
    found, wide = widened(given, rungs, law, 2, 300, np.full((2, 1), True))
    np.testing.assert_allclose(wide[[0, 1], [0, 1]], found.stderr**2)
    correlation = wide[0, 1] / found.stderr[0] / found.stderr[1]
    assert correlation[0] == pytest.approx(0.25)


def test_who_is_trusted_depends_on_the_kernel_and_on_how_many_there_are():
    given = Estimate(*(np.ones(4) for _ in range(2)), np.full(4, Reason.HEAVY_TAIL), np.ones(4))
    given = given.doubted(np.array([True, False, False, False]), Reason.NO_SPREAD)
    plain = np.array([True, True, True, False])
    law = KernelLaw(np.ones(4), np.array([0.0, 0.0, 9.0, 0.0]))
    firm = [Reason.NO_SPREAD, Reason.NONE, Reason.UNSEEN_TAIL, Reason.HEAVY_TAIL]
    for order, networks, second in ((2, 100, Reason.NONE), (3, 100, Reason.TOO_FEW_NETWORKS)):
        found, _ = widened(given, np.ones((1, 4)), law, order, networks, plain)
        firm[1] = second
        if order == 3:
            firm[2] = second
        assert found.reason.tolist() == firm
        assert found.stderr[3] == 1


def test_controls_do_not_excuse_a_kernel_so_skew_unless_they_leave_nothing():
    """Symptoms of single networks would trust the ensembles that lack their tail."""
    given = Estimate(np.ones(3), np.array([0.1, 0.1, 1e-9]), np.zeros(3, np.int8), np.ones(3))
    law = KernelLaw(np.ones(3), np.array([0.5, 9.0, 9.0]))
    found, _ = widened(given, np.ones((1, 3)), law, 3, 20_000, np.full(3, False))
    assert found.reason.tolist() == [Reason.NONE, Reason.UNSEEN_TAIL, Reason.NONE]
    np.testing.assert_array_equal(found.stderr, given.stderr)
