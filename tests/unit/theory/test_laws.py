"""Distributions: Fourier inversion against closed forms, moments and explicit networks."""

import numpy as np
import pytest
from scipy import special

from finitewidth.core.bins import EDGES, PROBABILITIES, QUANTILE_U
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions import scale_invariant
from finitewidth.theory.distributions.gains import log_gain
from finitewidth.theory.mlp.exact import dead_fraction, moment_ratios
from finitewidth.theory.mlp.expansions import log_growth

pytestmark = pytest.mark.fast

X = np.array([[1.0, 2.0, -1.0, 0.5]])


def deep(activation, width, depth, **how):
    return Perceptron.uniform_width(activation, dimension=4, width=width, depth=depth, **how)


@pytest.mark.parametrize(("n", "tolerance"), [(1, 1e-14), (8, 1e-14), (100, 1e-12), (12288, 1e-10)])
def test_one_chi_square(n, tolerance):
    law = scale_invariant.gaussian_log_norm(n, np.log(3.0))
    y = law.mean + law.sd * np.linspace(-40, 40, 201)
    with np.errstate(over="ignore"):
        expected = special.gammainc(n / 2, n * np.exp(2 * y) / 6)
    assert law.cdf(y) == pytest.approx(expected, abs=tolerance)
    u = np.linspace(-4, 4, 9)
    y = law.mean + law.sd * u
    log_density = np.log(2) + n * y - n * np.exp(2 * y) / 6 - n / 2 * np.log(6 / n)
    assert scale_invariant.standard_density(law, u) == pytest.approx(
        law.sd * np.exp(log_density - special.gammaln(n / 2)), abs=10 * tolerance
    )
    p = np.array([1e-6, 0.02, 0.5, 0.999])
    assert law.cdf(law.quantile(p)) == pytest.approx(p, abs=tolerance)
    assert np.array_equal(law.cdf([-np.inf, np.inf]), [0, 1])
    assert np.array_equal(law.quantile([0, 1]), [-np.inf, np.inf])


def test_two_hidden_neurons_make_a_laplace_law():
    squares = scale_invariant.log_square(deep("linear", 2, 2), 2)
    x = np.linspace(-8, 8, 64)
    tail = np.exp(-np.sqrt(2) * np.abs(x)) / 2
    expected = np.where(x < 0, tail, 1 - tail)
    assert scale_invariant.symmetric_cdf(squares, x) == pytest.approx(expected, abs=1e-13)
    assert scale_invariant.preactivation_density(squares, x) == pytest.approx(
        np.sqrt(2) * tail, abs=1e-13
    )
    quantile = np.sign(PROBABILITIES - 0.5) * -np.log(2 * special.ndtr(-np.abs(QUANTILE_U)))
    assert scale_invariant.symmetric_quantile(squares, PROBABILITIES) == pytest.approx(
        quantile / np.sqrt(2), abs=1e-9
    )


def test_one_hidden_neuron_makes_a_product_of_two_normals():
    # ReLU, alive with probability 1/2: z/sqrt(G) = sqrt(2) |g1| g2.
    squares = scale_invariant.log_square(deep("relu", 1, 2, C_W=2.0), 2)
    x = np.array([-3.0, -0.2, 0.1, 1.5])
    expected = 0.5 * special.k0(np.abs(x) / np.sqrt(2)) / np.pi / np.sqrt(2)
    assert scale_invariant.preactivation_density(squares, x, dead=0.5) == pytest.approx(
        expected, rel=1e-9
    )
    assert scale_invariant.symmetric_cdf(squares, [-1e-9, 0, 1e-9], dead=0.5) == pytest.approx(
        [0.25, 0.25, 0.75], abs=1e-6
    )
    quantiles = scale_invariant.symmetric_quantile(squares, [0.2, 0.26, 0.5, 0.74, 0.8], dead=0.5)
    assert np.array_equal(quantiles[1:4], np.zeros(3))
    assert quantiles[0] == pytest.approx(-quantiles[4])
    assert quantiles[0] < 0
    assert scale_invariant.symmetric_cdf(squares, quantiles[4], dead=0.5) == pytest.approx(0.8)


@pytest.mark.parametrize("slopes", [(1.0, 1.0), (1.0, 0.0), (0.0, -2.0), (1.0, 0.01), (1.0, -1.0)])
@pytest.mark.parametrize("n", [1, 2, 9, 300, 12288])
def test_gain_is_consistent(slopes, n):
    gain = log_gain(slopes, n)
    u = (1e-3 if n < 10 else 0.1) * np.array([1, -1, 1j, -1j])
    k = gain.log_mgf(np.array([0.0, *u]))
    assert k[0] == pytest.approx(0, abs=1e-10)
    # Fourth-order differences of the cumulant generating function.
    assert np.sum(k[1:] / u).real / 4 == pytest.approx(0, abs=1e-6)
    assert np.sum(k[1:] / u**2).real / 2 == pytest.approx(
        gain.variance, rel=1e-4 + 1e-3 * (gain.variance > 10), abs=1e-6
    )
    # The mean of X itself is 1; given B >= 1 it is larger where the others were zero.
    alive = 1 - 2.0**-n * (0 in slopes)
    moment = np.exp(gain.log_mgf(np.array([1.0, 2.0])) + gain.mean * np.array([1, 2])).real
    expected = [1, moment_ratios_of(slopes, n)]
    assert alive * moment == pytest.approx(expected, rel=1e-9)


def moment_ratios_of(slopes, n):
    a, b = np.square(slopes)
    return 1 + (6 * (a**2 + b**2) / (a + b) ** 2 - 1) / n


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(0.1)", "leaky_relu(-0.5)"])
def test_explicit_networks(activation, simulate, assert_mean):
    mlp = Perceptron(activation, (4, 3, 5, 2, 3), (0.0,) * 4, (1.3,) * 4)
    networks = 40_000
    dead = dead_fraction(mlp, X, [4])[0, 0]
    z = simulate(mlp, X, networks, seed=31)[3][..., 0]
    with np.errstate(divide="ignore"):
        log_norm = np.log(np.mean(z**2, axis=1)) / 2
    alive = np.sort(log_norm[np.isfinite(log_norm)])
    log_G = np.log(np.sum(X**2) / 4 * 1.3**4 * ((1 + mlp.activation.slopes[1] ** 2) / 2) ** 3)
    exact = scale_invariant.log_norm(mlp, 4, log_G)
    assert_mean(alive, exact.mean)
    assert_mean((alive - exact.mean) ** 2, exact.variance)
    # Kolmogorov-Smirnov: sqrt(n) times the distance exceeds 2.6 once in 370 000 times.
    steps = (np.arange(len(alive)) + 0.5) / len(alive)
    assert np.max(np.abs(exact.cdf(alive[::20]) - steps[::20])) * np.sqrt(len(alive)) < 2.6
    z = np.sort(z[:, 0]) / np.exp(log_G / 2)
    squares = scale_invariant.log_square(mlp, 4)
    below = np.searchsorted(z, EDGES) / networks
    distance = np.max(np.abs(scale_invariant.symmetric_cdf(squares, EDGES, dead) - below))
    assert distance * np.sqrt(networks) < 2.6


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(0.2)"])
def test_moments_of_the_law_of_one_preactivation(activation):
    mlp = deep(activation, 6, 4)
    squares = scale_invariant.log_square(mlp, 4)
    dead = dead_fraction(mlp, X, [4])[0, 0]
    ratios = moment_ratios(mlp, X, [4])[:, 0, 0]
    k = np.arange(1, 5)
    moments = np.exp(squares.log_mgf(k.astype(complex)) + squares.mean * k).real
    assert (1 - dead) * moments == pytest.approx(ratios * [1, 3, 15, 105], rel=1e-10)


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(0.1)"])
def test_log_normal_limit(activation):
    mlp = deep(activation, 4000, 1001)
    growth = log_growth(mlp, [1001])[0]
    exact = scale_invariant.log_norm(mlp, 1001)
    limit = scale_invariant.log_normal(growth).scaled(0.5)
    assert exact.mean == pytest.approx(limit.mean, rel=2e-2)
    assert exact.variance == pytest.approx(limit.variance, rel=2e-2)
    assert limit.mean == pytest.approx(-growth / 4)
    assert limit.variance == pytest.approx(growth / 4)
    assert scale_invariant.standard_bins(limit, EDGES) == pytest.approx(
        np.diff(special.ndtr(EDGES)), abs=1e-12
    )
    assert scale_invariant.standard_bins(exact, EDGES) == pytest.approx(
        np.diff(special.ndtr(EDGES)), abs=1e-3
    )


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(0.1)"])
@pytest.mark.parametrize(("width", "depth"), [(8, 100_000), (16, 100_000), (12288, 3), (1, 3)])
def test_extreme_shapes(activation, width, depth):
    mlp = deep(activation, width, depth)
    norm = scale_invariant.log_norm(mlp, depth)
    bins = scale_invariant.standard_bins(norm, EDGES)
    assert bins.min() >= 0
    assert bins.sum() == pytest.approx(1, abs=1e-9)
    # The first two moments, from the CDF that Fourier inversion gives.
    u = np.linspace(-40, 12, 5201)
    tail = np.where(u > 0, 1.0, 0.0) - norm.cdf(norm.mean + norm.sd * u)
    tail[u == 0] = 0.5 - norm.cdf(norm.mean)
    assert np.trapezoid(tail, u) == pytest.approx(0, abs=1e-5)
    assert np.trapezoid(2 * u * tail, u) == pytest.approx(1, abs=1e-3)
    below = scale_invariant.symmetric_cdf(scale_invariant.log_square(mlp, depth), EDGES)
    assert np.all(np.diff(below) >= -1e-9)
    assert below[[0, -1]] == pytest.approx([0, 1], abs=1e-12)


def test_normal_plus_uniform():
    rng = np.random.default_rng(41)
    n = 400_000
    for share in (0.0, 1e-3, 0.3, 5 / 6, 1.0):
        y = np.sqrt(1 - share) * rng.normal(size=n)
        y += np.sqrt(3 * share) * rng.uniform(-1, 1, size=n)
        below = np.searchsorted(np.sort(y), EDGES) / n
        cdf = scale_invariant.normal_plus_uniform_cdf(EDGES, share)
        assert np.max(np.abs(cdf - below)) * np.sqrt(n) < 2.6
        quantile = scale_invariant.normal_plus_uniform_quantile(PROBABILITIES, share)
        assert scale_invariant.normal_plus_uniform_cdf(quantile, share) == pytest.approx(
            PROBABILITIES
        )


def test_refusals():
    for mlp in (
        deep("tanh", 4, 3),
        deep("relu", 4, 3, C_b=0.1),
        deep("relu", 4, 3, weights="uniform"),
    ):
        with pytest.raises(ValueError, match="exact law"):
            scale_invariant.log_norm(mlp, 2)
    with pytest.raises(ValueError, match="two zero slopes"):
        log_gain((0.0, 0.0), 3)
