"""Means of powers and their derivatives in K, against adaptive integration and interpolation."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from scipy.integrate import quad

from finitewidth.models.activations.table import get
from finitewidth.theory.gaussian.powers import power_derivatives


def mean(f, K):
    """<f>_K by adaptive integration in u = z/sqrt(K)."""
    root = np.sqrt(K)
    weight = 1 / np.sqrt(2 * np.pi)
    integrand = lambda u: f(root * u) * np.exp(-u * u / 2) * weight  # noqa: E731
    pieces = [-13, -5, -2, -0.5, 0, 0.5, 2, 5, 13]
    return sum(quad(integrand, a, b, epsabs=0, epsrel=1e-13)[0] for a, b in pairwise(pieces))


@pytest.mark.parametrize("name", ["tanh", "arctan", "gelu", "silu", "softplus", "sin", "cos"])
@pytest.mark.parametrize("K", [0.05, 1.7, 12.0])
def test_derivatives_are_those_of_the_mean(name, K):
    f = get(name).function
    for power, highest in ((2, 4), (4, 2), (6, 0)):
        found = power_derivatives(get(name), K, power, highest)
        curve = Chebyshev.interpolate(
            lambda k, p=power: np.array([mean(lambda z: f(z) ** p, one) for one in k]),
            14,
            domain=[0.75 * K, 1.25 * K],
        )
        for order in range(highest + 1):
            expected = curve.deriv(order)(K)
            # Interpolation to 1e-13 loses a factor of 4 j^2/K or so with each derivative.
            scale = curve(K) / K**order
            assert found[order] == pytest.approx(expected, rel=1e-9, abs=1e-8 * scale)


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "linear", "abs"])
def test_two_slopes_are_polynomials_in_K(name):
    z = np.random.default_rng(1).standard_normal(10**6)
    for power in (2, 4, 6):
        sample = get(name).function(z) ** power
        found = power_derivatives(get(name), [1.0, 2.0], power, 3)
        error = sample.std() / 1e3
        assert abs(found[0, 0] - sample.mean()) < 4 * error
        assert found[0, 1] == pytest.approx(2 ** (power // 2) * found[0, 0])
        # Euler: K d/dK multiplies a monomial by its degree.
        assert 2 * found[1, 1] == pytest.approx(power / 2 * found[0, 1])


def test_a_kernel_of_zero_has_the_value_at_zero():
    found = power_derivatives(get("softplus"), [0.0, 1.0], 2, 2)
    assert found[0, 0] == pytest.approx(np.log(2) ** 2)
    assert np.isfinite(found).all()
    assert power_derivatives(get("tanh"), 0.0, 4, 1).tolist() == [0, 0]
