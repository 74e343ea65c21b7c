"""Means of signs and gates: against orthant probabilities and integrals known otherwise."""

import numpy as np
import pytest
from scipy import integrate

from finitewidth.theory.gaussian.signs import four_signs, sign_mean, sign_moments


def random_covariance(seed, rank=4, size=4):
    A = np.random.default_rng(seed).normal(size=(size, rank))
    return A @ A.T


def test_orthant_of_equal_correlations():
    # P(all of n positive) = 1/(n + 1) at correlation 1/2: each is the largest of n + 1 equally
    # often. Expanding prod (1 + sgn)/2 gives the mean of four signs.
    C = (np.eye(4) + 1) / 2
    pairs = 6 * 2 / np.pi * np.arcsin(0.5)
    assert four_signs(C[None]).item() == pytest.approx(16 / 5 - 1 - pairs, rel=1e-13)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_four_signs_by_counting(rank):
    # Pulls beyond 4.5 happen by chance once in 150 000.
    C = random_covariance(rank, rank)
    rng = np.random.default_rng(7)
    w, v = np.linalg.eigh(C)
    z = rng.normal(size=(400_000, 4)) @ (v * np.sqrt(np.maximum(w, 0))).T
    value = four_signs(C[None]).item()
    error = np.sqrt((1 - value**2) / len(z))
    assert abs(np.prod(np.sign(z), axis=1).mean() - value) < 4.5 * error


@pytest.mark.parametrize(("rank", "tolerance"), [(2, 1e-7), (3, 1e-7), (4, 1e-12)])
def test_four_signs_do_not_depend_on_the_order(rank, tolerance):
    # At the end of the path a singular matrix leaves differences of equal numbers: digits go.
    C = np.stack([random_covariance(seed, rank) for seed in range(20)])
    value = four_signs(C)
    for order in ([0, 2, 1, 3], [3, 1, 2, 0], [1, 2, 3, 0]):
        assert four_signs(C[:, order][:, :, order]) == pytest.approx(value, abs=tolerance)


def test_few_signs():
    C = random_covariance(1)[None]
    assert sign_mean(C[:, :0, :0]) == 1
    assert sign_mean(C[:, :1, :1]) == sign_mean(C[:, :3, :3]) == 0
    rho = C[0, 0, 1] / np.sqrt(C[0, 0, 0] * C[0, 1, 1])
    assert sign_mean(C[:, :2, :2]).item() == pytest.approx(2 / np.pi * np.arcsin(rho), rel=1e-14)
    apart = np.array([[[1.0, 0], [0, 0]]])
    assert sign_mean(apart) == 0


def test_four_absolute_values_in_a_plane():
    # z_a = r c_a cos(phi - p_a), <r^4> = 8: an integral over one angle.
    rng = np.random.default_rng(3)
    A = rng.normal(size=(4, 2))

    def product(phi):
        return np.prod(np.abs(A @ [np.cos(phi), np.sin(phi)]))

    kinks = np.sort(np.arctan2(A[:, 0], -A[:, 1]) % np.pi)
    parts = zip(kinks, [*kinks[1:], kinks[0] + np.pi], strict=True)
    whole = 2 * sum(integrate.quad(product, a, b, epsabs=1e-13)[0] for a, b in parts)
    K = (A @ A.T)[None]
    S = np.block([[K, K], [K, K]])
    zero, one = np.zeros((1, 4)), np.ones((1, 4))
    assert sign_moments(S, zero, one).item() == pytest.approx(8 * whole / (2 * np.pi), rel=1e-11)


def test_batches_are_rows():
    K = np.stack([random_covariance(seed, 2 + seed % 3) for seed in range(6)])
    S = np.block([[K, K], [K, K]])
    rng = np.random.default_rng(0)
    even, odd = rng.normal(size=(2, 6, 4))
    together = sign_moments(S, even, odd)
    for k in range(6):
        one = slice(k, k + 1)
        assert sign_moments(S[one], even[one], odd[one]).item() == pytest.approx(
            together[k], rel=1e-9
        )
