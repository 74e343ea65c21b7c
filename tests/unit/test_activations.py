"""Derivatives of activations, against numerical differentiation in high precision."""

import mpmath
import numpy as np
import pytest

from finitewidth.activations import TABLE, get

IN_HIGH_PRECISION = {
    "linear": lambda z: z,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "arctan": mpmath.atan,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "gelu": lambda z: z * mpmath.ncdf(z),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
}


@pytest.mark.parametrize("name", IN_HIGH_PRECISION)
def test_derivatives(name):
    z = np.array([-8.0, -1.3, 0.0, 0.4, 2.7])
    f = IN_HIGH_PRECISION[name]
    with mpmath.workdps(60):
        expected = [[float(mpmath.diff(f, mpmath.mpf(x), k)) for x in z] for k in range(5)]
    found = get(name).derivatives(z)
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-15)
    assert found[0] == pytest.approx(get(name).function(z), rel=1e-15, abs=0)
    assert found[1] == pytest.approx(get(name).derivative(z), rel=1e-12, abs=0)


def test_every_smooth_activation_is_tested():
    smooth = {name for name, a in TABLE.items() if a.derivatives is not None}
    assert smooth == set(IN_HIGH_PRECISION)
    assert all((a.derivatives is None) == (a.strip is None) for a in TABLE.values())


def test_derivatives_keep_shapes_and_are_finite_far_out():
    z = np.array([[-1e3, -40.0, 0.0], [40.0, 1e3, 1.0]])
    for name in IN_HIGH_PRECISION:
        assert get(name).derivatives(z).shape == (5, 2, 3)
        assert np.isfinite(get(name).derivatives(z)).all()
