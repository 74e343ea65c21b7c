"""Derivatives of <sigma sigma> by the covariances: against differences of the mean itself."""

import numpy as np
import pytest

from finitewidth.models.activations.table import TABLE, get
from finitewidth.theory.gaussian.covariance_derivatives import (
    pair_derivatives,
    variance_derivatives,
)
from finitewidth.theory.gaussian.expectations import covariance, pair_expectation, second_moment

NAMES = (*TABLE, "leaky_relu(0.2)")
CLOSED = ("erf", "gelu", "sin", "cos")


def differences(f, point, step):
    """Gradient and Hessian of f at ``point`` (3,), by differences whose error is step^4."""
    at = {}

    def value(*shift):
        if shift not in at:
            at[shift] = float(f(*(point + step * np.array(shift))))
        return at[shift]

    unit = np.eye(3, dtype=int)
    weights = {1: 2 / 3, -1: -2 / 3, 2: -1 / 12, -2: 1 / 12}
    first = [sum(w * value(*(k * e)) for k, w in weights.items()) for e in unit]
    second = [
        [
            sum(
                w1 * w2 * value(*(k1 * e1 + k2 * e2))
                for k1, w1 in weights.items()
                for k2, w2 in weights.items()
            )
            for e2 in unit
        ]
        for e1 in unit
    ]
    return np.array(first) / step, np.array(second) / step**2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("point", [(0.7, 0.2, 1.3), (4.0, -3.0, 5.0)])
def test_against_differences(name, point):
    activation = get(name)
    K11, K12, K22 = point
    first, second = differences(
        lambda a, c, b: covariance(activation, a, b, c), np.array(point), 0.01
    )
    found = pair_derivatives(activation, K11, K22, K12)
    assert found.value.item() == pytest.approx(
        float(covariance(activation, K11, K22, K12)), rel=1e-11
    )
    assert found.first[0] == pytest.approx(first, rel=1e-5, abs=1e-7)
    assert found.second[0] == pytest.approx(second, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("K", [1e-6, 0.3, 20.0, 1e3])
def test_closed_forms_against_integrals(name, K):
    activation = get(name)
    rho = np.array([-1, -0.999, -0.5, 0, 0.3, 0.999, 1])
    kernel = K + 0 * rho, 2 * K + 0 * rho, np.sqrt(2) * K * rho
    closed = pair_derivatives(activation, *kernel)
    found = pair_derivatives(activation, *kernel, method="quadrature")
    for one, other in zip(closed, found, strict=True):
        size = np.abs(other).max(axis=0)
        assert np.all(np.abs(one - other) <= 1e-8 * size + 1e-15)


@pytest.mark.parametrize("name", ["tanh", "arctan", "silu", "softplus", "sigmoid"])
def test_lattices_against_panels(name):
    # Panels in polar coordinates share nothing with grids but the derivatives themselves.
    activation = get(name)
    kernel = np.array([0.5, 3.0]), np.array([2.0, 1e-4]), np.array([1.0, -0.5 * np.sqrt(3e-4)])
    found = pair_derivatives(activation, *kernel)
    d = activation.derivatives
    for value, left, right in (
        (found.value, 0, 0),
        (found.first[:, 1], 1, 1),
        (2 * found.first[:, 2], 0, 2),
        (4 * found.second[:, 0, 0], 4, 0),
        (2 * found.second[:, 2, 1], 1, 3),
        (found.second[:, 1, 1], 2, 2),
    ):
        expected, error = pair_expectation(
            lambda z1, z2, i=left, j=right: d(z1)[i] * d(z2)[j], *kernel, error=True
        )
        assert np.all(np.abs(value - expected) < 1e-10 * np.abs(expected) + error)


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu"])
def test_large_variances_change_to_panels(name):
    activation = get(name)
    K = 1e3
    kernel = np.array([K]), np.array([K]), np.array([0.6 * K])
    found = pair_derivatives(activation, *kernel, method="quadrature")
    first, _ = differences(
        lambda a, c, b: covariance(activation, a, b, c), np.array([K, 0.6 * K, K]), 20.0
    )
    assert found.first[0] == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("K", [1e-4, 0.7, 30.0])
def test_one_variance(name, K):
    activation = get(name)
    found = variance_derivatives(activation, K)
    step = 0.02 * K
    near = second_moment(activation, K + step * np.arange(-2, 3))
    assert found.value == pytest.approx(near[2], rel=1e-11)
    first = np.array([1, -8, 0, 8, -1]) @ near / 12 / step
    second = np.array([-1, 16, -30, 16, -1]) @ near / 12 / step**2
    assert found.first == pytest.approx(first, rel=1e-5)
    assert found.second == pytest.approx(second, rel=1e-3, abs=1e-9 * near[2] / step**2)


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "sin", "softplus"])
def test_equal_inputs_of_a_smooth_activation(name):
    # Along K11 = K12 = K22 the derivatives add up to those of one variance.
    activation = get(name)
    pair = pair_derivatives(activation, 1.3, 1.3, 1.3)
    one = variance_derivatives(activation, 1.3)
    assert pair.first.sum() == pytest.approx(one.first.item(), rel=1e-10)
    assert pair.second.sum() == pytest.approx(one.second.item(), rel=1e-9)


def test_two_slopes_are_finite_where_the_matrix_is_singular():
    K11, K22 = np.array([1.0, 1.0, 0.0, 0.0]), np.array([4.0, 4.0, 1.0, 0.0])
    found = pair_derivatives(get("relu"), K11, K22, np.array([2.0, -2.0, 0.0, 0.0]))
    assert all(np.isfinite(part).all() for part in found)
    # <s1' s2'> is the probability that both are positive.
    assert found.first[:2, 1] == pytest.approx([0.5, 0.0])


def test_errors():
    with pytest.raises(ValueError, match="no derivatives"):
        pair_derivatives(get("relu"), 1.0, 1.0, 0.5, method="quadrature")
    with pytest.raises(ValueError, match="none of auto, quadrature"):
        pair_derivatives(get("tanh"), 1.0, 1.0, 0.5, method="hermite")
