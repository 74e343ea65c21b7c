"""Covariances of recorded neurons against loops."""

import numpy as np
import pytest

from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations.neurons import cross_covariance, neuron_covariance

pytestmark = pytest.mark.fast

BOUNDS = block_bounds(9, 3)


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((9, 3, 4)) + rng.standard_normal((9, 1, 1))).astype(np.float32)


def test_neuron_covariance_is_the_mean_over_networks(z):
    estimate = neuron_covariance(z, BOUNDS)
    assert estimate.value.shape == (4, 4, 3, 3)
    for i, j, a, b in np.ndindex(4, 4, 3, 3):
        products = z[:, a, i].astype(float) * z[:, b, j]
        assert estimate.value[i, j, a, b] == pytest.approx(products.mean())
        blocks = products.reshape(3, 3).mean(axis=1)
        assert estimate.stderr[i, j, a, b] == pytest.approx(blocks.std(ddof=1) / np.sqrt(3))


def test_cross_covariance_is_the_mean_over_different_neurons(z):
    estimate = cross_covariance(z, BOUNDS)
    for a, b in np.ndindex(3, 3):
        products = [
            z[:, a, i].astype(float) * z[:, b, j] for i in range(4) for j in range(4) if i != j
        ]
        each = np.mean(products, axis=0)
        assert estimate.value[a, b] == pytest.approx(each.mean())
        blocks = each.reshape(3, 3).mean(axis=1)
        assert estimate.stderr[a, b] == pytest.approx(blocks.std(ddof=1) / np.sqrt(3))


def test_one_neuron_has_no_other(z):
    assert np.isnan(cross_covariance(z[..., :1], BOUNDS).value).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_single_precision_squares_neither_overflow_nor_underflow(z, scale):
    one, other = neuron_covariance(z, BOUNDS), neuron_covariance(z * np.float32(scale), BOUNDS)
    np.testing.assert_allclose(other.value / scale**2, one.value, rtol=1e-5, atol=1e-6)


def test_preactivations_beyond_their_type_are_unknown(z):
    spoilt = z.copy()
    spoilt[3, 0, 0] = np.inf
    for estimate in (neuron_covariance(spoilt, BOUNDS), cross_covariance(spoilt, BOUNDS)):
        assert np.isnan(estimate.value[..., 0, :]).all()
        assert np.isfinite(estimate.value[..., 1, 1]).all()
    assert np.isnan(cross_covariance(z * np.float32(1e-40), BOUNDS).value).all()
