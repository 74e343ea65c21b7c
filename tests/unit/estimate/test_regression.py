"""Least squares from sums against numpy's, and whether it knows when not to fit."""

import numpy as np
import pytest

from finitewidth.estimate.errors.regression import Sums, regress


def halves(x, y):
    def design(at):
        return x[at], y[at]

    middle = len(x) // 2
    return Sums.of(design, slice(0, middle)), Sums.of(design, slice(middle, len(x)))


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((9000, 4)) * [1, 100, 0.01, 1] + [0, 5, 0, 0]
    y = x @ rng.standard_normal((4, 2)) + 3 + 0.1 * rng.standard_normal((9000, 2))
    return x, y


def test_coefficients_are_those_of_least_squares(data):
    x, y = data
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0][:-1]
    found, chosen = regress(halves(x, y), [np.arange(0), np.arange(4)])
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert (chosen == 1).all()


def test_features_that_are_constant_or_repeated_do_no_harm(data):
    x, y = data
    extended = np.column_stack([x, x[:, 0] - 2 * x[:, 3], np.zeros(len(x)), np.full(len(x), 7.0)])
    plain, _ = regress(halves(x, y), [np.arange(4)])
    found, _ = regress(halves(extended, y), [np.arange(7)])
    np.testing.assert_allclose((extended - extended.mean(0)) @ found, (x - x.mean(0)) @ plain,
                               atol=1e-5)  # fmt: skip


def test_what_is_left_is_the_variance_of_residuals(data):
    x, y = data
    first, second = halves(x, y)
    columns = np.array([0, 2])
    coefficients = first.solve(columns)
    expected = np.var(y[4500:] - x[4500:][:, columns] @ coefficients, axis=0)
    np.testing.assert_allclose(second.left(columns, coefficients), expected, rtol=1e-8)


def test_features_are_used_where_they_predict_and_nowhere_else():
    # Long-tailed features that have nothing to do with the second target: fitted to 100 networks
    # they would add to its variance.
    rng = np.random.default_rng(2)
    x = rng.standard_t(2.5, (200, 30))
    y = rng.standard_normal((200, 2))
    y[:, 0] += 2 * x[:, 0]
    choices = [np.arange(0), np.arange(1), np.arange(30)]
    found, chosen = regress(halves(x, y), choices)
    assert chosen.tolist() == [1, 0]
    assert (found[:, 1] == 0).all()
    assert (found[1:, 0] == 0).all()
    assert found[0, 0] == pytest.approx(2, abs=0.2)
