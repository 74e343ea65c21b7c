"""What the tests of theory share: networks with explicit weights, and the size of a coincidence."""

import numpy as np
import pytest
from scipy import special

#: Every comparison with a simulation passes if it is this many standard errors off: by chance one
#: number in 150 000 is further. The seeds are fixed, so a test that passes goes on passing.
SIGMAS = 4.5


@pytest.fixture
def simulate():
    """Function (law, x, networks, seed) -> list over layers of z, (networks, n_l, N)."""
    return _simulate


@pytest.fixture
def assert_mean():
    """Function (samples, expected): means over axis 0 agree within SIGMAS standard errors."""
    return _assert_mean


@pytest.fixture
def one_factor():
    """Function (activation, loadings, rest, powers, points): K, means of prod_a sigma(z_a)^p_a.

    z_a = loadings_a w + sqrt(rest_a) e_a with independent standard normal w and e_a, so that K is
    any matrix of two inputs and a family of those of more. Given w the product falls apart: two
    nested sums of ``points`` points, dense enough at 1201 for functions that change over 1 at
    variances up to 100.
    """
    return _one_factor


def _one_factor(activation, loadings, rest, powers, points=1201):
    loadings, rest = np.asarray(loadings, dtype=float), np.asarray(rest, dtype=float)
    K = np.outer(loadings, loadings) + np.diag(rest)
    u = np.linspace(-10, 10, points)
    weight = np.exp(-u * u / 2) / np.sqrt(2 * np.pi) * (u[1] - u[0])
    given = {}
    means = []
    for chosen in powers:
        product = weight
        for a, p in enumerate(chosen):
            if (a, p) not in given:
                mean, spread = loadings[a] * u, np.sqrt(rest[a])
                given[a, p] = _given_factor(activation, mean, spread, p, u, weight)
            product = product * given[a, p]
        means.append(product.sum())
    return K, np.array(means)


def _given_factor(activation, mean, spread, power, u, weight):
    """Mean of sigma^power for z of this mean, (m,), and spread; exact for two slopes."""
    if power == 0:
        return np.ones_like(mean)
    if activation.slopes is None:
        return activation.function(mean[:, None] + spread * u) ** power @ weight
    plus, minus = activation.slopes
    total = 0.0
    for side, slope in ((1, plus), (-1, -minus)):
        m = side * mean / spread
        # Moments of a standard normal variable plus m, cut off below 0.
        moments = [special.ndtr(m), m * special.ndtr(m) + np.exp(-m * m / 2) / np.sqrt(2 * np.pi)]
        for k in range(2, power + 1):
            moments.append(m * moments[-1] + (k - 1) * moments[-2])
        total = total + (slope * spread) ** power * moments[power]
    return total


def _simulate(mlp, x, networks, seed):
    rng = np.random.default_rng(seed)

    def draw(variance, *shape):
        if mlp.weights == "normal":
            return np.sqrt(variance) * rng.normal(size=shape)
        return np.sqrt(3 * variance) * rng.uniform(-1, 1, size=shape)

    s = np.broadcast_to(np.asarray(x).T, (networks, *np.shape(x)[::-1]))
    layers = []
    for n_in, n_out, C_b, C_W in zip(
        mlp.widths[:-1], mlp.widths[1:], mlp.C_b, mlp.C_W, strict=True
    ):
        z = draw(C_W / n_in, networks, n_out, n_in) @ s + draw(C_b, networks, n_out, 1)
        layers.append(z)
        s = mlp.activation.function(z)
    return layers


def _assert_mean(samples, expected):
    samples = np.asarray(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    pull = (samples.mean(axis=0) - expected) / np.where(error > 0, error, 1e-12)
    assert np.all(np.abs(pull) < SIGMAS), f"pulls {pull}"
