"""The kernels' activations, all of the table, against 40 digits, in units in the last place."""

import sys

import numba
import numpy as np
import pytest
from mpmath import mp

from finitewidth.models.activations.table import TABLE, get
from finitewidth.sampling.fused import elementary
from finitewidth.sampling.fused.activations import CODES, SLOPES, activate, code_of
from finitewidth.sampling.fused.conversions import borrowed, load, store
from finitewidth.sampling.fused.lanes import LANES

KINDS = ("float32", "float64")
#: Units in the last place, as fused/activations.py states.
MOST = {"gelu": 8}
EXACT = {
    "tanh": mp.tanh,
    "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    "silu": lambda z: z / (1 + mp.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "erf": mp.erf,
    "softplus": lambda z: mp.log1p(mp.exp(z)),
    "arctan": mp.atan,
    "sin": mp.sin,
    "cos": mp.cos,
}


def apply(name, z):
    out = z.copy()
    slopes = get(name).slopes or (1.0, 1.0)
    activate(code_of(get(name)), *slopes, out, 0, len(out))
    return out


def arguments(precision, name=""):
    """Of every size, both signs, and both sides of the places where a function changes its way."""
    rng = np.random.default_rng(0)
    far = {"sin": (5, 9), "cos": (5, 9)}.get(name, (30, 300))[precision == "float64"]
    most = far if name not in ("sin", "cos") else 10.0**far
    seams = np.array([0.625, 1.0, 0.5 * np.log(2), 4.0, np.pi / 4, np.pi / 2, np.sqrt(0.5)])
    size = np.concatenate(
        [
            [0.0, 1e-30],
            10.0 ** rng.uniform(-8, 0, 300),
            rng.uniform(0, 6, 700),
            rng.uniform(0, 30, 200),
            10.0 ** rng.uniform(0, np.log10(most), 100),
            *(seams * (1 + step * np.finfo(precision).eps) for step in (-2, -1, 0, 1, 2)),
        ]
    )
    z = np.concatenate([size, -size])
    return np.resize(z, -(-len(z) // LANES) * LANES).astype(precision)


def errors(found, exact):
    """In units in the last place of the exact values, or of 64 times the smallest normal number."""
    info = np.finfo(found.dtype)
    units = []
    for value, true in zip(found.tolist(), exact, strict=True):
        size = found.dtype.type(max(abs(float(true)), 64 * float(info.tiny)))
        units.append(abs(float((mp.mpf(value) - true) / mp.mpf(float(np.spacing(size))))))
    return np.array(units)


def test_the_table_is_known():
    for name, activation in TABLE.items():
        assert (code_of(activation) == SLOPES) == (activation.slopes is not None), name
        assert code_of(activation) is not None, name
    assert sorted(CODES.values()) == list(range(1, 1 + len(CODES)))
    assert CODES.keys() == EXACT.keys()


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("name", EXACT)
def test_errors_in_units_in_the_last_place(name, precision):
    mp.dps = 40
    z = arguments(precision, name)
    found = apply(name, z)
    exact = [EXACT[name](mp.mpf(float(value))) for value in z]
    units = errors(found, exact)
    assert units.max() <= MOST.get(name, 3), z[units.argmax()]


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)", "leaky_relu(-0.5)"])
def test_as_the_table_says(name, precision):
    z = arguments(precision)
    # Beyond, theirs lose digits of their own.
    z = np.where(np.abs(z) < 20, z, 1)
    exact = get(name).function(z.astype(float))
    tolerance = 1e-5 if precision == "float32" else 1e-13
    assert np.allclose(apply(name, z), exact, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("name", EXACT)
def test_ends_and_numbers_that_are_none(name, precision):
    largest = np.finfo(precision).max
    z = np.resize(np.array([np.nan, largest, -largest], precision), LANES)
    found = apply(name, z)
    assert np.isnan(found[0])
    assert not np.isnan(found[1:3]).any()
    with np.errstate(all="ignore"):
        limit = get(name).function(z[1:3].astype(float))
    if name in ("sin", "cos"):
        assert (np.abs(found[1:3]) <= 1).all()
    else:
        assert np.allclose(found[1:3], limit, rtol=1e-6, atol=1e-30)


@numba.njit
def exponentials(x, out):
    for i in range(0, len(x), LANES):
        store(out, i, elementary.exp(load(x, i)))


@numba.njit
def logarithms(x, out):
    for i in range(0, len(x), LANES):
        store(out, i, elementary.log(load(x, i)))


def test_exp_and_log_over_the_whole_range():
    """They bring scales back, which may be of any size."""
    mp.dps = 40
    x = np.resize(np.concatenate([np.linspace(-800, 800, 3999), [0.0]]), 4000)
    out = np.empty_like(x)
    exponentials(x, out)
    with np.errstate(over="ignore"):
        inside = (np.exp(x) > 0) & np.isfinite(np.exp(x))
        assert np.array_equal(out[~inside], np.exp(x[~inside]))
    exact = [mp.exp(mp.mpf(value)) for value in x[inside].tolist()]
    assert errors(out[inside], exact).max() <= 2
    x = np.resize(10.0 ** np.linspace(-323, 308, 4000), 4000)
    out = np.empty_like(x)
    logarithms(x, out)
    assert errors(out, [mp.log(mp.mpf(value)) for value in x.tolist()]).max() <= 2
    x = np.resize(np.array([0.0, np.inf, np.nan, -1.0, 5e-324, 1.0]), LANES)
    out = np.empty_like(x)
    logarithms(x, out)
    assert out[0] == -np.inf
    assert out[1] == np.inf
    assert np.isnan(out[2])
    assert out[4] == pytest.approx(np.log(5e-324), rel=1e-15)
    assert out[5] == 0


def test_borrowed_arrays_are_the_same_memory():
    """In tuples of tuples, beside numbers; and nobody counts them, so that none is given up."""

    @numba.njit
    def write(values):
        (one, factor), two = borrowed(values)
        for i in range(len(one)):
            one[i] = two[i, 0] * factor
        return len(borrowed(two)[0])

    one, two = np.zeros(3), np.arange(6, dtype="float32").reshape(3, 2)
    counts = sys.getrefcount(one), sys.getrefcount(two)
    for _ in range(3):
        assert write(((one, 2.0), two)) == 2
    np.testing.assert_array_equal(one, [0, 4, 8])
    assert (sys.getrefcount(one), sys.getrefcount(two)) == counts
