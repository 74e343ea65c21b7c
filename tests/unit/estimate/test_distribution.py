"""Histograms and quantiles against numpy, and their errors against repeated ensembles."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.estimate.errors.empirical import Empirical, histogram
from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations.distribution import distribution

pytestmark = pytest.mark.fast

BOUNDS = block_bounds(1000, 50)


def ensemble(rng, sigma, networks=1000, neurons=8, width=64):
    """Recorded z and the pooled kernel of networks with z = sqrt(g) x, g log-normal, E g = 1."""
    g = np.exp(sigma * rng.standard_normal(networks) - sigma**2 / 2)
    x = rng.standard_normal((networks, width))
    z = np.sqrt(g)[:, None] * x
    return z[:, :neurons].astype(np.float32), np.mean(z**2, axis=1)


def shares(z, kernel):
    x = (z / np.sqrt(kernel.mean())).ravel()
    return np.histogram(np.clip(x, -9, 9), np.clip(EDGES, -10, 10))[0] / x.size


def test_histogram_is_numpys():
    z, kernel = ensemble(np.random.default_rng(0), 0.8)
    estimate, _ = distribution(z, kernel, BOUNDS)
    np.testing.assert_allclose(estimate.value, shares(z.astype(float), kernel), atol=1e-12)
    assert estimate.value.sum() == pytest.approx(1)


def test_quantiles_are_numpys():
    z, kernel = ensemble(np.random.default_rng(1), 0.5)
    _, estimate = distribution(z, kernel, BOUNDS)
    expected = np.quantile(z.astype(float) / np.sqrt(kernel.mean()), PROBABILITIES)
    np.testing.assert_allclose(estimate.value, expected)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_errors_are_the_spread_over_repeated_ensembles(sigma):
    # With 150 ensembles a spread is known to 6 %: bounds of 30 % on single numbers are 5 sigma
    # wide, and medians over trusted numbers come within 10 %.
    rng = np.random.default_rng(2)
    found = [distribution(*ensemble(rng, sigma), BOUNDS) for _ in range(150)]
    for which, low in ((0, 0.002), (1, 0.0)):
        value = np.array([f[which].value for f in found])
        stderr = np.sqrt(np.mean([f[which].stderr ** 2 for f in found], axis=0))
        trusted = np.mean([f[which].trusted for f in found], axis=0) > 0.9
        trusted &= np.median(value, axis=0) > low if which == 0 else True
        ratio = stderr[trusted] / value.std(axis=0, ddof=1)[trusted]
        assert trusted.sum() >= 12
        assert np.median(ratio) == pytest.approx(1, abs=0.1)
        assert np.all(np.abs(ratio - 1) < 0.3)


def test_gaussian_preactivations_give_the_gaussian_law():
    rng = np.random.default_rng(3)
    z, kernel = ensemble(rng, 0.0, networks=4000)
    bins, quantiles = distribution(z, kernel, block_bounds(4000))
    pulls = np.concatenate(
        [
            ((e.value - truth)[e.trusted] / e.stderr[e.trusted])
            for e, truth in ((bins, np.diff(ndtr(EDGES))), (quantiles, ndtri(PROBABILITIES)))
        ]
    )
    # About 50 pulls with 49 degrees of freedom: one beyond 4.5 once in 500 seeds.
    assert len(pulls) > 40
    assert np.abs(pulls).max() < 4.5


def test_bins_that_few_networks_hit_or_miss_are_not_trusted():
    z, kernel = ensemble(np.random.default_rng(4), 0.0)
    bins, quantiles = distribution(z, kernel, BOUNDS)
    hit = [
        np.sum(np.any((z >= a * kernel.mean() ** 0.5) & (z < b * kernel.mean() ** 0.5), axis=1))
        for a, b in itertools.pairwise(EDGES)
    ]
    assert not bins.trusted[np.array(hit) < 50].any()
    # 8000 neurons, 11 of them below the first quantile.
    assert not quantiles.trusted[0]
    assert quantiles.trusted[12]
    # One value for nearly all: a bin that fewer than 50 networks miss.
    same = np.full((1000, 2), 0.1, np.float32)
    same[np.random.default_rng(8).permutation(1000)[:45]] = -3
    bins, _ = distribution(same, np.mean(same**2, axis=1), BOUNDS)
    assert not bins.trusted.any()


@pytest.mark.parametrize("spoil", ["inf", "all zero", "denormal", "infinite kernel"])
def test_what_left_the_range_of_floating_point_is_none(spoil):
    z, kernel = ensemble(np.random.default_rng(5), 0.0)
    if spoil == "inf":
        z[7, 3] = np.inf
    elif spoil == "all zero":
        z, kernel = 0 * z, 0 * kernel
    elif spoil == "denormal":
        z, kernel = z * np.float32(1e-39), kernel * 1e-78
    else:
        kernel[3] = np.inf
    assert distribution(z, kernel, BOUNDS) is None


def test_dead_networks_make_an_atom_in_the_bin_right_of_zero():
    z, kernel = ensemble(np.random.default_rng(6), 0.0)
    z[:300], kernel[:300] = 0, 0
    bins, quantiles = distribution(z, kernel, BOUNDS)
    right = np.flatnonzero(EDGES == 0)[0]
    assert bins.value[right] > 0.3
    assert bins.value[right - 1] < 0.1
    assert quantiles.value[12] == 0
    # Within the atom a quantile stays where it is, whichever block is left out: no spread.
    still = quantiles.value == 0
    assert (np.isnan(quantiles.stderr) == still).all()
    assert not quantiles.trusted[still].any()


def test_the_error_of_the_unit_moves_the_edges():
    # A unit that varies far more than the counts: the error of a bin's probability is that of the
    # unit times its derivative, x f(x) at the right edge less that at the left.
    rng = np.random.default_rng(7)
    law = Empirical(rng.standard_normal((1000, 100)), BOUNDS)
    pseudo = rng.standard_normal(50)
    pseudo -= pseudo.mean()
    unit_error = 0.4 * pseudo.std(ddof=1) / np.sqrt(50)
    bins = histogram(law, 0.0, 1.0, np.zeros(50), 1 - 0.4 * pseudo / 49)
    x = EDGES[1:-1]
    slope = np.diff(x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))
    strong = np.abs(slope) > 0.04
    assert strong.sum() >= 8
    np.testing.assert_allclose(
        bins.stderr[1:-1][strong], unit_error * np.abs(slope[strong]), rtol=0.2
    )
