"""What chance aligns: against singular values of drawn data, and limits known otherwise.

Seeds are fixed; means of simulations are compared to 4.5 standard errors, which chance exceeds in
one comparison of 150 000.
"""

import numpy as np
import pytest
from scipy import integrate, stats

from finitewidth.theory.spectra.procrustes import (
    chance_r2,
    chance_r2_of_spectra,
    expected_r2_of_spectra,
)

SIGMAS = 4.5


def brute_force(a, b, N, draws, seed, centred=True):
    """r^2 of drawn data, (draws,): what the rotation and scale leave of the wider of the two."""
    stream = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        X = np.sqrt(a)[:, None] * stream.normal(size=(len(a), N))
        Y = np.sqrt(b)[:, None] * stream.normal(size=(len(b), N))
        if centred:
            X, Y = X - X.mean(axis=1, keepdims=True), Y - Y.mean(axis=1, keepdims=True)
        U, _, Vt = np.linalg.svd(Y @ X.T, full_matrices=False)
        rotated = U @ Vt @ X
        if len(b) < len(a):
            X, Y, rotated = Y, X, Vt.T @ U.T @ Y
        scale = (Y * rotated).sum() / (X**2).sum()
        found.append(1 - ((Y - scale * rotated) ** 2).sum() / (Y**2).sum())
    return np.array(found)


@pytest.mark.parametrize(
    ("n", "m", "N", "centred"),
    [
        (60, 60, 300, True),
        (60, 60, 61, True),  # as many dimensions as degrees of freedom
        (40, 120, 200, True),
        (120, 40, 60, False),
        (200, 150, 30, True),  # fewer samples than dimensions
    ],
)
def test_white_data(n, m, N, centred):
    found = brute_force(np.ones(n), np.full(m, 7.0), N, 60, 1, centred)
    error = found.std() / len(found) ** 0.5
    k = min(n, m, N - centred)
    # What the formula neglects is a power of 1/k: measured, 0.5/k.
    expected = chance_r2(n, m, N, centred=centred)
    assert abs(found.mean() - expected) < SIGMAS * error + 0.6 / k * expected


def test_what_is_neglected_falls_with_the_dimension():
    gaps = []
    for n in (8, 32):
        found = chance_r2_of_spectra(
            np.ones(n), np.ones(n), 2 * n + 1, np.random.default_rng(2), 3000
        )
        gaps.append(abs(chance_r2(n, n, 2 * n + 1) / found.mean - 1))
    assert gaps[0] < 0.6 / 8
    assert gaps[1] < gaps[0] / 2


def test_limits():
    # Many samples: 64/(9 pi^2) n/N, from the mean of a Marchenko-Pastur singular value.
    assert chance_r2(10, 10, 10**8, centred=False) == pytest.approx(
        64 / (9 * np.pi**2) * 1e-7, rel=1e-6
    )
    # One side far smaller: the rows of a wide Gaussian matrix are orthogonal, of length sqrt(n).
    assert chance_r2(10**6, 2, 10**12) == pytest.approx(2 * 1e-12, rel=1e-5)
    # Few samples, large dimensions: everything can be rotated onto everything.
    assert chance_r2(10**7, 10**7, 5) == pytest.approx(1, abs=1e-6)
    # Square Gaussian matrices, both: 2/pi B(1/2, 5/2) = 3/4.
    assert chance_r2(50, 50, 50, centred=False) == pytest.approx(9 / 16)
    assert chance_r2(30, 80, 50) == pytest.approx(chance_r2(80, 30, 50))
    assert chance_r2(30, 80, 51) == pytest.approx(chance_r2(30, 80, 50, centred=False))


def test_wide_aspect_is_the_mean_of_a_marchenko_pastur_root():
    n, m, N = 30, 90, 10**9
    mean = singular_value_mean(n, m)
    assert chance_r2(n, m, N) == pytest.approx(n * n * mean**2 / (n * m * N), rel=1e-6)


def singular_value_mean(n, m):
    """Of an n by m Gaussian matrix, n < m, by its limiting density."""
    low, high = (m**0.5 - n**0.5) ** 2, (m**0.5 + n**0.5) ** 2

    def density(x):
        return np.sqrt((high - x) * (x - low)) / (2 * np.pi * n * x)

    return integrate.quad(lambda x: np.sqrt(x) * density(x), low, high)[0]


@pytest.mark.parametrize(("n", "m", "N"), [(50, 1000, 70), (64, 64, 64), (3, 9, 5)])
def test_equal_eigenvalues_are_white(n, m, N):
    spectra = expected_r2_of_spectra(np.full(n, 1e-5), np.full(m, 3e8), N)
    assert spectra == pytest.approx(chance_r2(n, m, N), rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "N", "centred"),
    [
        (np.arange(1, 6) ** -1.0, np.array([3.0, 1.0, 0.2]), 12, True),
        (np.arange(1, 6) ** -1.0, np.array([3.0, 1.0, 0.2]), 4, True),  # 3 < n
        (np.array([1.0]), np.array([2.0]), 9, False),
        (np.ones(2), np.arange(1.0, 9.0), 5, False),
    ],
)
def test_simulation_has_the_law_of_drawn_data(a, b, N, centred):
    direct = brute_force(a, b, N, 2500, 3, centred)
    found = chance_r2_of_spectra(a, b, N, np.random.default_rng(4), 2500, centred=centred)
    error = np.hypot(found.standard_error, direct.std() / len(direct) ** 0.5)
    assert abs(found.mean - direct.mean()) < SIGMAS * error
    assert found.deviation == pytest.approx(direct.std(), rel=0.15)
    assert found.standard_error == pytest.approx(found.deviation / 50)


def test_simulation_of_two_numbers_is_a_squared_correlation():
    # r^2 of a correlation of d = 9 degrees of freedom is Beta(1/2, (d - 1)/2), of mean 1/d.
    found = chance_r2_of_spectra([1.0], [1.0], 10, np.random.default_rng(5), 4000)
    law = stats.beta(0.5, 4)
    assert abs(found.mean - law.mean()) < SIGMAS * found.standard_error
    assert found.deviation == pytest.approx(law.std(), rel=0.1)


@pytest.mark.parametrize(("slope", "accuracy"), [(0.5, 0.01), (1.0, 0.02)])
@pytest.mark.parametrize("N", [100, 1000])
def test_spectra_that_fall_off(slope, accuracy, N):
    a, b = np.arange(1, 151) ** -slope, np.arange(1, 101) ** -slope
    found = chance_r2_of_spectra(a, b, N, np.random.default_rng(6), 80)
    expected = expected_r2_of_spectra(a, b, N)
    assert abs(found.mean - expected) < SIGMAS * found.standard_error + accuracy * expected
    # Correlated neurons are fewer: chance aligns them less.
    assert expected < chance_r2(150, 100, N)


def test_what_is_zero_counts_for_nothing():
    a, b = np.array([2.0, 1.0, 0.5]), np.ones(4)
    padded = np.concatenate([a, np.zeros(5), [-1e-13]])
    assert expected_r2_of_spectra(padded, b, 30) == expected_r2_of_spectra(a, b, 30)
    first, second = (
        chance_r2_of_spectra(x, b, 30, np.random.default_rng(7), 5) for x in (a, padded)
    )
    assert first == second


def test_what_is_no_covariance_is_refused():
    stream = np.random.default_rng(8)
    for a in ([0.0, 0.0], [1.0, -0.1], [np.nan, 1.0], []):
        with pytest.raises(ValueError, match="eigenvalues"):
            expected_r2_of_spectra(a, [1.0], 10)
    with pytest.raises(ValueError, match="too few"):
        chance_r2(3, 3, 1)
    with pytest.raises(ValueError, match="positive"):
        chance_r2(0, 3, 10)
    with pytest.raises(ValueError, match="2 draws"):
        chance_r2_of_spectra([1.0], [1.0], 10, stream, 1)
