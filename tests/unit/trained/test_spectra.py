"""Spectra of known matrices."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from finitewidth.trained.representations.spectra import (
    eigen,
    participation_ratio,
    power_law_slope,
    weight_eigen,
)

pytestmark = pytest.mark.fast


def test_eigenvalues_of_known_covariances():
    wanted = np.array([9.0, 4.0, 1.0, 0.0])
    stack = []
    for seed in range(3):
        q = ortho_group.rvs(4, random_state=seed)
        stack.append(q @ np.diag((seed + 1) * wanted) @ q.T)
    values, frame = eigen(np.array(stack))
    assert np.allclose(values, wanted * np.arange(1, 4)[:, None], atol=1e-12)
    assert (values >= 0).all()
    for c, v, f in zip(stack, values, frame, strict=True):
        assert np.allclose(c @ f, f * v, atol=1e-12)
        assert np.allclose(f.T @ f, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 6)])
def test_eigenvalues_of_weights_are_those_of_their_gram_matrix(shape):
    weight = np.random.default_rng(1).standard_normal((2, *shape))
    values, frame = weight_eigen(weight)
    assert values.shape == (2, min(shape))
    assert frame.shape == (2, shape[1], min(shape))
    for w, v, f in zip(weight, values, frame, strict=True):
        gram = w.T @ w / shape[0]
        wanted = np.sort(np.linalg.eigvalsh(gram))[::-1]
        assert np.allclose(v, wanted[: min(shape)], rtol=1e-10)
        assert np.allclose(wanted[min(shape) :], 0, atol=1e-12)
        assert np.allclose(gram @ f, f * v, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 40])
def test_the_participation_ratio_counts_equal_eigenvalues(k):
    values = np.zeros(50)
    values[:k] = 0.3
    assert participation_ratio(values) == pytest.approx(k)
    assert participation_ratio(np.array([values, 1e6 * values])) == pytest.approx([k, k])


def test_the_participation_ratio_of_nothing_is_not_a_number():
    assert np.isnan(participation_ratio(np.zeros(4)))


def test_the_participation_ratio_of_an_exponential_spectrum():
    # (sum q^i)^2/sum q^2i = (1 + q)/(1 - q).
    assert participation_ratio(0.8 ** np.arange(400)) == pytest.approx(1.8 / 0.2)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.7])
@pytest.mark.parametrize("ranks", [14, 15, 200])
def test_the_slope_of_a_power_law_is_its_exponent(alpha, ranks):
    rank = np.arange(1, ranks + 1.0)
    values = np.array([rank**-alpha, 100 * rank**-alpha])
    assert power_law_slope(values) == pytest.approx([alpha, alpha], abs=1e-12)
    # Neither the leading ranks nor those beyond half of them matter.
    values[:, :3] *= 50
    values[:, ranks // 2 :] = 0
    assert power_law_slope(values) == pytest.approx([alpha, alpha], abs=1e-12)
    assert power_law_slope(values, first=3) != pytest.approx([alpha, alpha], abs=1e-3)


def test_the_slope_of_a_curved_spectrum_is_a_weighted_least_squares_fit():
    values = np.exp(-0.1 * np.arange(1, 31.0))
    rank = np.arange(4, 16)
    # numpy.polyfit's weights multiply residuals, hence the root.
    wanted = -np.polyfit(np.log(rank), np.log(values[3:15]), 1, w=rank**-0.5)[0]
    assert power_law_slope(values) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "values", [np.ones(13), np.ones(3), np.ones(0), np.r_[np.ones(6), np.zeros(14)], np.zeros(20)]
)
def test_no_slope_of_too_few_ranks_or_of_zeros(values):
    found = power_law_slope(np.array([values, values]))
    assert found.shape == (2,)
    assert np.isnan(found).all()
