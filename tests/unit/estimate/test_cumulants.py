"""Skewness by L-moments, and errors of cumulants widened by it, against known laws.

False alarms: fixed seeds, bounds of five standard deviations.
"""

import numpy as np
import pytest
from scipy.special import roots_genlaguerre

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import cumulant_skewness, kernel_skewness, widened
from finitewidth.estimate.errors.jackknife import Estimate


def gamma(skewness, size, seed=0):
    """Standardised gamma variables."""
    shape = 4 / skewness**2
    return (np.random.default_rng(seed).gamma(shape, size=size) - shape) / np.sqrt(shape)


@pytest.mark.parametrize("skewness", [0.1, 0.4, 0.8])
def test_the_skewness_of_a_kernel_is_that_of_a_gamma_variable(skewness):
    # Rungs of widths 8 and 32 whose skewness falls as it should, and one that does not vary.
    x = np.stack([gamma(skewness, 100_000), gamma(skewness / 2, 100_000, 1)], axis=1)
    found = kernel_skewness(5 + np.column_stack([x, np.ones(len(x))]), np.array([8, 32, 64]))
    np.testing.assert_allclose(found, [skewness, skewness / 2, 0], rtol=0.1, atol=0.02)


def test_few_networks_know_it_better_than_their_third_moment_does():
    x = gamma(1.2, (300, 400))
    moments = np.mean((x - x.mean(0)) ** 3, axis=0) / np.var(x, axis=0) ** 1.5
    own = np.array([kernel_skewness(column[:, None], np.array([16]))[0] for column in x.T])
    assert np.std(own) < 0.9 * np.std(moments)
    assert np.mean(own) == pytest.approx(1.2, rel=0.15)


@pytest.mark.parametrize("order", [2, 3])
def test_what_one_network_adds_is_as_skew_as_quadrature_says(order):
    # Gauss rules of a gamma variable of skewness 0.5, whose shape is 16.
    node, weight = roots_genlaguerre(20, 15)
    x, weight = (node - 16) / 4, weight / weight.sum()
    adds = x**2 if order == 2 else x**3 - 3 * x
    adds = adds - adds @ weight
    exact = adds**3 @ weight / (adds**2 @ weight) ** 1.5
    assert cumulant_skewness(0.5, order) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize(("skewness", "networks"), [(0.01, 100), (0.7, 100), (1.2, 300)])
def test_z_of_a_variance_spreads_as_widely_as_it_should(skewness, networks):
    x = gamma(skewness, (8_000, networks), 3)
    squares = (x - x.mean(axis=1, keepdims=True)) ** 2
    value, error = squares.sum(axis=1) / (networks - 1), squares.std(axis=1) / np.sqrt(networks)
    plain = np.full(len(value), True)
    given = Estimate(value, error, np.full(len(value), Reason.SKEW), error)
    rungs = np.diag(error[:3] ** 2)
    found, _ = widened(given, np.zeros((1, len(value))), skewness + 0 * error, 2, networks, plain)
    assert found.trusted.all()
    z = (value - 1) / found.stderr
    assert 0.9 < np.sqrt(np.mean(z**2)) < 1.05
    assert np.std((value - 1) / error) > 1.04 * np.std(z)
    few = widened(given.take(slice(3)), rungs, np.full(3, skewness), 2, networks, plain[:3])
    np.testing.assert_allclose(np.diagonal(few[1]), few[0].stderr ** 2)


def test_who_is_trusted_depends_on_the_kernel_and_on_how_many_there_are():
    given = Estimate(*(np.ones(4) for _ in range(2)), np.full(4, Reason.HEAVY_TAIL), np.ones(4))
    given = given.doubted(np.array([True, False, False, False]), Reason.NO_SPREAD)
    plain = np.array([True, True, True, False])
    skewness = np.array([0.0, 0.0, 9.0, 0.0])
    firm = [Reason.NO_SPREAD, Reason.NONE, Reason.UNSEEN_TAIL, Reason.HEAVY_TAIL]
    for order, networks, second in ((2, 100, Reason.NONE), (3, 100, Reason.TOO_FEW_NETWORKS)):
        found, _ = widened(given, np.ones((1, 4)), skewness, order, networks, plain)
        firm[1] = second
        if order == 3:
            firm[2] = second
        assert found.reason.tolist() == firm
        assert found.stderr[3] == 1
