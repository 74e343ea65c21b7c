"""What the tests of theory share: networks with explicit weights, and the size of a coincidence."""

import numpy as np
import pytest

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


def _simulate(law, x, networks, seed):
    rng = np.random.default_rng(seed)

    def draw(variance, *shape):
        if law.weights == "normal":
            return np.sqrt(variance) * rng.normal(size=shape)
        return np.sqrt(3 * variance) * rng.uniform(-1, 1, size=shape)

    s = np.broadcast_to(np.asarray(x).T, (networks, *np.shape(x)[::-1]))
    layers = []
    for n_in, n_out, C_b, C_W in zip(
        law.widths[:-1], law.widths[1:], law.C_b, law.C_W, strict=True
    ):
        z = draw(C_W / n_in, networks, n_out, n_in) @ s + draw(C_b, networks, n_out, 1)
        layers.append(z)
        s = law.activation.function(z)
    return layers


def _assert_mean(samples, expected):
    samples = np.asarray(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    pull = (samples.mean(axis=0) - expected) / np.where(error > 0, error, 1e-12)
    assert np.all(np.abs(pull) < SIGMAS), f"pulls {pull}"
