"""The derivatives of the kernels' activations, all of the table, against 40 digits."""

import numpy as np
import pytest
from mpmath import mp

from finitewidth.models.activations.table import TABLE, get
from finitewidth.sampling.fused.activations import CODES, activate, code_of
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.fused.slopes import activate_with_slopes

#: Units in the last place of 1, as fused/slopes.py states.
MOST = 4
EXACT = {
    "tanh": lambda z: mp.sech(z) ** 2,
    "gelu": lambda z: mp.ncdf(z) + z * mp.npdf(z),
    "silu": lambda z: _silu(z),
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)) / (1 + mp.exp(z)),
    "erf": lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(-z * z),
    "softplus": lambda z: 1 / (1 + mp.exp(-z)),
    "arctan": lambda z: 1 / (1 + z * z),
    "sin": mp.cos,
    "cos": lambda z: -mp.sin(z),
}


def _silu(z):
    g = 1 / (1 + mp.exp(-z))
    return g + z * g * (1 - g)


def apply(name, z):
    """sigma(z) and sigma'(z)."""
    activation, s, slope = get(name), np.full_like(z, 7), z.copy()
    slopes = activation.slopes or (1.0, 1.0)
    at_zero = float(activation.derivative(np.zeros(1))[0])
    activate_with_slopes(code_of(activation), *slopes, at_zero, slope, 0, s, 0, len(z))
    return s, slope


def arguments(precision, most=300.0):
    rng = np.random.default_rng(0)
    size = np.concatenate(
        [[0.0, 1e-30], 10.0 ** rng.uniform(-8, 0, 200), rng.uniform(0, 6, 500),
         rng.uniform(0, 30, 200), 10.0 ** rng.uniform(0, np.log10(most), 100)]
    )  # fmt: skip
    z = np.concatenate([size, -size])
    return np.resize(z, -(-len(z) // LANES) * LANES).astype(precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_errors_in_units_in_the_last_place_of_1(name, precision):
    assert EXACT.keys() == CODES.keys()
    mp.dps = 40
    z = arguments(precision)
    _, found = apply(name, z)
    exact = np.array([float(EXACT[name](mp.mpf(float(value)))) for value in z])
    gaps = np.abs(found.astype(float) - exact)
    assert gaps.max() <= MOST * np.finfo(precision).eps, z[gaps.argmax()]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)", "leaky_relu(-0.5)"])
def test_as_the_table_says(name, precision):
    z = arguments(precision, 20.0)
    s, slope = apply(name, z)
    exact = get(name).derivative(z.astype(float))
    tolerance = 1e-6 if precision == "float32" else 1e-14
    assert np.allclose(slope, exact, rtol=0, atol=tolerance)
    # The activation itself is that of the other kernels, to the byte.
    alone = z.copy()
    activate(code_of(get(name)), *(get(name).slopes or (1.0, 1.0)), alone, 0, len(z))
    assert np.array_equal(s, alone)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", [*EXACT, "relu", "abs", "linear"])
def test_ends_and_numbers_that_are_none(name, precision):
    largest = np.finfo(precision).max
    z = np.resize(np.array([np.nan, largest, -largest, 1e10, -1e10], precision), LANES)
    s, slope = apply(name, z)
    assert np.isnan(s[0])
    assert not np.isnan(slope[1:5]).any()
    if name in ("sin", "cos"):
        assert (np.abs(slope[1:5]) <= 1).all()
    else:
        with np.errstate(all="ignore"):
            assert np.allclose(slope[1:5], get(name).derivative(z[1:5].astype(float)), atol=1e-6)
