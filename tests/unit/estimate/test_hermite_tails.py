"""Tails of Hermite controls, held against closed form and against sums over every node."""

import math

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss, hermeval

from finitewidth.estimate.coupled.hermite_tails import tails


def test_a_square_of_a_chi_squared_mean_has_the_kurtosis_of_its_law():
    # The sum of n He_2 is chi^2_n - n, with cumulants 2^(j-1) (j-1)! n.
    n = 8
    cumulants = [0, 0, *(2 ** (j - 1) * math.factorial(j - 1) * n for j in range(2, 9))]
    m = [1.0]
    for j in range(1, 9):
        m.append(sum(math.comb(j - 1, k - 1) * cumulants[k] * m[j - k] for k in range(1, j + 1)))
    fourth = m[8] - 4 * m[2] * m[6] + 6 * m[2] ** 2 * m[4] - 3 * m[2] ** 4
    kurtosis, of_products = tails([(2, 0)], n)
    assert kurtosis == pytest.approx([15])
    assert of_products[0, 0] == pytest.approx(fourth / (m[4] - m[2] ** 2) ** 2)


def test_products_of_means_over_two_neurons_are_as_summed_over_all_of_their_values():
    x, w = hermegauss(27)
    u, v, a, b = np.meshgrid(x, x, x, x, indexing="ij", sparse=True)
    weight = w[:, None, None, None] * w[:, None, None] * w[:, None] * w
    weight = weight / weight.sum()

    def he(k, at):
        return hermeval(at, np.eye(k + 1)[k])

    powers = [(3, 1), (2, 2), (4, 0)]
    means = [he(p, u) * he(q, v) + he(p, a) * he(q, b) for p, q in powers]
    _, found = tails(powers, 2)
    for j, k in ((0, 0), (0, 1), (1, 2), (2, 2)):
        product = means[j] * means[k]
        product = product - np.sum(weight * product)
        expected = np.sum(weight * product**4) / np.sum(weight * product**2) ** 2
        assert [found[j, k], found[k, j]] == pytest.approx([expected] * 2, rel=1e-8)
