"""The density of deep linear networks, against mpmath's Meijer G and against Fourier inversion."""

import mpmath
import numpy as np
import pytest

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions.meijer import deep_linear_density
from finitewidth.theory.distributions.scale_invariant import log_square, preactivation_density


def linear(*widths, C_W=1.3, **how):
    depth = len(widths) - 1
    return Perceptron("linear", widths, (0.0,) * depth, (C_W,) * depth, **how)


def reference(z, mlp, layer, norm2):
    """The formula as it stands, by mpmath."""
    hidden = [mpmath.mpf(n) for n in mlp.widths[1:layer]]
    G = norm2 * mpmath.fprod(mlp.C_W[:layer])
    C = 2 * G * mpmath.fprod(2 / n for n in hidden)
    norm = mpmath.sqrt(C) * mpmath.gamma(0.5) * mpmath.fprod(mpmath.gamma(n / 2) for n in hidden)
    orders = [mpmath.mpf(0), *((n - 1) / 2 for n in hidden)]
    return float(mpmath.meijerg([[], []], [orders, []], mpmath.mpf(z) ** 2 / C) / norm)


@pytest.mark.parametrize("widths", [(3, 7), (3, 2, 4), (3, 1, 2, 2), (3, 3, 4, 3), (3, 5, 2, 6, 1)])
@pytest.mark.parametrize("z", [1e-3, 0.4, 3.0, 25.0])
def test_against_mpmath(widths, z):
    mlp = linear(*widths)
    result = deep_linear_density(z, mlp, mlp.depth, 0.7)
    assert result == pytest.approx(reference(z, mlp, mlp.depth, 0.7), rel=1e-9)


@pytest.mark.parametrize("widths", [(3, *(16,) * 100), (3, 12288, 12288, 2), (3, *(64,) * 1000)])
def test_against_fourier_inversion(widths):
    mlp = linear(*widths, C_W=1.0)
    z = np.array([-2.0, 0.05, 0.6, 1.7, 4.0])
    inverted = preactivation_density(log_square(mlp, mlp.depth), z)
    assert deep_linear_density(z, mlp, mlp.depth, 1.0) == pytest.approx(inverted, rel=1e-7)


def test_first_layer_is_gaussian_and_the_law_scales():
    mlp = linear(3, 4, 5, C_W=2.0)
    z = np.array([[-1.0, 0.0], [2.0, np.inf]])
    expected = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    assert deep_linear_density(z, mlp, 1, 0.5) == pytest.approx(expected, rel=1e-12)
    wide = deep_linear_density(3 * z, mlp, 2, 4.5)
    assert 3 * wide == pytest.approx(deep_linear_density(z, mlp, 2, 0.5), rel=1e-12)


def test_at_zero():
    mlp = linear(3, 4, 5, 2)
    assert deep_linear_density(0.0, mlp, 3, 1.0) == pytest.approx(
        deep_linear_density(1e-9, mlp, 3, 1.0), rel=1e-6
    )
    assert np.isinf(deep_linear_density(0.0, linear(3, 1, 2), 2, 1.0))


def test_errors():
    for mlp in (
        Perceptron("relu", (3, 4), (0.0,), (1.0,)),
        Perceptron("linear", (3, 4), (0.1,), (1.0,)),
        Perceptron("linear", (3, 4), (0.0,), (1.0,), "uniform"),
    ):
        with pytest.raises(ValueError, match="linear networks"):
            deep_linear_density(1.0, mlp, 1, 1.0)
    with pytest.raises(ValueError, match="numbered from 1"):
        deep_linear_density(1.0, linear(3, 4), 2, 1.0)
    with pytest.raises(ValueError, match="must not be zero"):
        deep_linear_density(1.0, linear(3, 4), 1, 0.0)
