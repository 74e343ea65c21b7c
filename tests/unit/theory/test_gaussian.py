"""Gaussian expectations: closed forms against quadrature, quadrature against mpmath."""

import mpmath
import numpy as np
import pytest
from scipy import integrate

from finitewidth.models.activations.table import get
from finitewidth.theory.gaussian import closed_forms
from finitewidth.theory.gaussian.expectations import covariance, expectation, moment, second_moment
from high_precision import ACTIVATIONS as IN_HIGH_PRECISION
from high_precision import check_listed

CORRELATIONS = np.array(
    [-1, -1 + 1e-10, -1 + 1e-4, -0.9, -0.3, 0, 0.5, 0.99, 1 - 1e-5, 1 - 1e-12, 1]
)
WITH_CLOSED_FORM = ("linear", "relu", "leaky_relu(0.1)", "abs", "erf", "gelu", "sin", "cos")
WITHOUT = ("tanh", "arctan", "silu", "softplus", "sigmoid")


def scale(activation, K1, K2):
    return np.sqrt(second_moment(activation, K1) * second_moment(activation, K2))


@pytest.mark.parametrize("name", WITH_CLOSED_FORM)
@pytest.mark.parametrize("K1", [1e-6, 0.3, 5.0, 1e3])
@pytest.mark.parametrize("K2", [1e-6, 2.0, 1e3])
def test_closed_form_agrees_with_quadrature(name, K1, K2):
    activation = get(name)
    K12 = CORRELATIONS * np.sqrt(K1 * K2)
    error = covariance(activation, K1, K2, K12) - covariance(activation, K1, K2, K12, "quadrature")
    assert np.max(np.abs(error)) < 1e-12 * scale(activation, K1, K2)


def test_every_closed_form_is_tested():
    assert set(closed_forms.BY_NAME) <= set(WITH_CLOSED_FORM)


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("K", [1e-6, 0.5, 30.0, 1e3])
def test_two_dimensional_quadrature_agrees_with_one_dimensional(name, K):
    activation = get(name)
    both = covariance(activation, K, 4 * K, 2 * K)
    one = expectation(lambda z: activation.function(z) * activation.function(2 * z), K)
    assert both == pytest.approx(one, rel=1e-12)
    apart = covariance(activation, K, 4 * K, 0)
    product = expectation(activation.function, K) * expectation(activation.function, 4 * K)
    assert apart == pytest.approx(product, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("K", [1e-6, 0.5, 30.0, 1e3])
def test_expectation_of_tanh_squared_against_mpmath(K):
    def integrand(u):
        return mpmath.tanh(mpmath.sqrt(K) * u) ** 2 * mpmath.npdf(u)

    points = [0, *(2.0**k for k in range(-8, 4)), 14]
    assert expectation(lambda z: np.tanh(z) ** 2, K) == pytest.approx(
        float(2 * mpmath.quad(integrand, points)), rel=1e-12
    )


@pytest.mark.parametrize("name", IN_HIGH_PRECISION)
@pytest.mark.parametrize("K", [1e-6, 0.7, 1e3])
def test_moments_against_mpmath(name, K):
    f, root = IN_HIGH_PRECISION[name], mpmath.sqrt(K)
    side = [*(4.0**k for k in range(-4, 0)), *np.arange(0.5, 10, 0.5)]
    points = [-u for u in reversed(side)] + [0, *side]
    cache = {}

    def value(u):
        if u not in cache:
            cache[u] = f(root * u), mpmath.npdf(u)
        return cache[u]

    for order in (2, 4, 6):
        result = float(moment(get(name), order, K))
        # mpmath's tolerance is absolute: what it integrates has to be about 1.
        ratio = mpmath.quad(
            lambda u, p=order, m=result: value(u)[0] ** p * value(u)[1] / m,
            points,
            method="gauss-legendre",
        )
        expected = result * float(ratio)
        assert result == pytest.approx(expected, rel=1e-10, abs=0)
        if name in ("sin", "cos") and K > 10:  # they oscillate too fast for the panels
            continue
        z_order, error = expectation(lambda z, p=order: get(name).function(z) ** p, K, error=True)
        assert z_order == pytest.approx(expected, rel=1e-10, abs=0)
        assert abs(z_order - expected) <= error + 1e-13 * expected


def test_every_activation_is_tested_against_mpmath():
    check_listed()


@pytest.mark.parametrize("name", IN_HIGH_PRECISION)
@pytest.mark.parametrize("size", [1e-6, 1e3])
def test_covariance_against_nested_sums(name, size, one_factor):
    activation, points = get(name), 4001 if size > 100 else 601
    for load, rest in (([0.9, 0.7], [0.2, 0.6]), ([0.6, -0.8], [0.5, 0.01])):
        K, expected = one_factor(
            activation, np.sqrt(size) * np.array(load), size * np.array(rest), [[1, 1]], points
        )
        found, error = covariance(activation, K[0, 0], K[1, 1], K[0, 1], error=True)
        whole = scale(activation, K[0, 0], K[1, 1])
        assert found == pytest.approx(expected.item(), rel=1e-8, abs=1e-10 * whole)
        assert abs(found - expected.item()) <= error + 1e-11 * whole


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_oscillations_at_large_variances(name):
    activation = get(name)
    for K11, K22, K12 in ((1e3, 1e3, 999.0), (50.0, 40.0, -44.0)):
        closed = covariance(activation, K11, K22, K12)
        found, error = covariance(activation, K11, K22, K12, "quadrature", error=True)
        assert found == pytest.approx(float(closed), abs=1e-12)
        assert abs(found - closed) <= error


@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_covariance_against_adaptive_integration(name):
    K11, K22, rho = 4.0, 9.0, 0.6
    f = get(name).function
    slope, rest = rho * np.sqrt(K22 / K11), np.sqrt(K22 * (1 - rho**2))

    def normal(u):
        return np.exp(-u * u / 2) / np.sqrt(2 * np.pi)

    def inner(u):
        z1 = np.sqrt(K11) * u
        value, _ = integrate.quad(lambda v: f(slope * z1 + rest * v) * normal(v), -9, 9)
        return f(z1) * normal(u) * value

    expected, _ = integrate.quad(inner, -9, 9)
    result = covariance(get(name), K11, K22, rho * np.sqrt(K11 * K22))
    assert result == pytest.approx(expected, rel=1e-8)


def test_polynomial_moments():
    K = np.array([[0.0, 1e-3], [2.0, 1e3]])
    for degree, factor in ((2, 1), (4, 3), (6, 15), (8, 105)):
        expected = factor * K ** (degree / 2)
        assert np.allclose(expectation(lambda z, d=degree: z**d, K), expected, rtol=1e-12)
    assert expectation(np.cos, np.zeros(2)) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("name", WITH_CLOSED_FORM + WITHOUT)
@pytest.mark.parametrize("method", ["auto", "quadrature"])
def test_singular_kernels(name, method):
    activation = get(name)
    f = activation.function
    # One zero input: sigma(0) factors out. Two: nothing is left but sigma(0)^2.
    at_zero = float(f(np.zeros(())))
    mean = expectation(f, 3.0)
    assert covariance(activation, 0, 3, 0, method) == pytest.approx(at_zero * mean, abs=1e-12)
    assert covariance(activation, 0, 0, 0, method) == pytest.approx(at_zero**2, abs=1e-12)
    opposite = expectation(lambda z: f(z) * f(-z), 3.0)
    assert covariance(activation, 3, 3, -3, method) == pytest.approx(float(opposite), abs=1e-11)
    beyond = covariance(activation, 3, 3, 3 * (1 + 1e-15), method)
    assert beyond == pytest.approx(float(second_moment(activation, 3.0)), rel=1e-12)


def test_broadcasting_and_shapes():
    K = np.linspace(0.1, 4, 6).reshape(2, 3)
    for name in ("relu", "tanh"):
        result = covariance(get(name), K, 2.0, 0.1)
        assert result.shape == (2, 3)
        assert result[1, 2] == pytest.approx(covariance(get(name), 4.0, 2.0, 0.1), rel=1e-12)
        assert second_moment(get(name), K).shape == (2, 3)


def test_errors():
    with pytest.raises(ValueError, match="not negative"):
        expectation(np.tanh, -1.0)
    with pytest.raises(ValueError, match="not negative"):
        covariance(get("tanh"), -1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="none of auto, quadrature"):
        covariance(get("tanh"), 1.0, 1.0, 0.0, "hermite")
