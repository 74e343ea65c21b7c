"""Means and errors over replicas and over their pairs.

False alarms: calibration is told from 2000 ensembles, whose standard deviation is known to 1.6 %,
against bounds of 20 %; seeds are fixed.
"""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finitewidth.comparison.compare import as_normal
from finitewidth.trained.representations.replicas import over_pairs, over_replicas

pytestmark = pytest.mark.fast


def pairs_of(count):
    return list(combinations(range(count), 2))


@pytest.mark.parametrize("count", [3, 4, 11])
def test_over_replicas_is_what_scipy_says(count):
    values = np.random.default_rng(count).standard_normal((count, 2, 3))
    found = over_replicas(values)
    assert np.allclose(found.mean, values.sum(0) / count)
    assert np.allclose(found.stderr, stats.sem(values, axis=0))
    assert np.allclose(found.spread, np.sqrt(values.var(0, ddof=1)))
    assert found.trusted.all()


def test_an_error_takes_three_replicas():
    values = np.array([[1.0, 2.0], [3.0, 2.0]])
    two, one = over_replicas(values), over_replicas(values[:1])
    assert two.mean.tolist() == [2, 2]
    assert two.spread == pytest.approx([np.sqrt(2), 0])
    assert np.isnan(two.stderr).all()
    assert one.mean.tolist() == [1, 2]
    assert np.isnan(one.spread).all()
    assert np.isnan(one.stderr).all()
    assert not one.trusted.any()
    assert not two.trusted.any()
    assert over_replicas(values.repeat(2, 0)).trusted.tolist() == [True, False]


def test_over_pairs_by_hand():
    # Leaving out replica 0, 1, 2 leaves the pairs (1, 2), (0, 2), (0, 1).
    found = over_pairs(np.array([1.0, 2.0, 6.0]), pairs_of(3))
    assert found.mean == 3
    assert found.spread == pytest.approx(np.sqrt(7))
    assert found.stderr == pytest.approx(np.sqrt(2 / 3 * 14))
    assert found.trusted.all()


@pytest.mark.parametrize("count", [3, 6])
def test_a_pair_mean_of_sums_has_twice_the_error_of_the_replicas(count):
    """Of the pairwise statistic (x_r + x_s)/2 the mean over pairs is the mean over replicas."""
    x = np.random.default_rng(1).standard_normal((count, 4))
    sums = np.array([(x[a] + x[b]) / 2 for a, b in pairs_of(count)])
    found, wanted = over_pairs(sums, pairs_of(count)), over_replicas(x)
    assert np.allclose(found.mean, wanted.mean)
    assert np.allclose(found.stderr, wanted.stderr)


def test_one_or_two_replicas_have_no_error():
    one = over_pairs(np.full((1, 2), np.nan), [])
    assert np.isnan([one.mean, one.stderr, one.spread]).all()
    assert not one.trusted.any()
    two = over_pairs(np.array([[0.5, 0.7]]), [(0, 1)])
    assert two.mean.tolist() == [0.5, 0.7]
    assert np.isnan([two.stderr, two.spread]).all()
    assert not two.trusted.any()


@pytest.mark.parametrize("count", [5, 10])
def test_the_error_over_pairs_is_calibrated(count):
    """Mean over pairs of products of normals: its scatter from one ensemble to the next."""
    rng = np.random.default_rng(2)
    x = 1.5 + rng.standard_normal((count, 2000))
    products = np.array([x[a] * x[b] for a, b in pairs_of(count)])
    found = over_pairs(products, pairs_of(count))
    scatter = found.mean.std(ddof=1)
    assert np.sqrt(np.mean(found.stderr**2)) == pytest.approx(scatter, rel=0.2)
    # As if pairs were independent, the error would be far too small.
    naive = np.sqrt(np.mean(found.spread**2) / len(products))
    assert naive < 0.7 * scatter


def test_the_error_over_pairs_that_share_nothing_is_too_large_by_the_root_of_2():
    """Products of normals of mean 0: the jackknife is on the safe side."""
    count = 12
    x = np.random.default_rng(3).standard_normal((count, 2000))
    products = np.array([x[a] * x[b] for a, b in pairs_of(count)])
    found = over_pairs(products, pairs_of(count))
    ratio = np.sqrt(np.mean(found.stderr**2)) / found.mean.std(ddof=1)
    assert ratio == pytest.approx(np.sqrt(2 * (count - 1) / (count - 2)), rel=0.1)


def test_variables_say_where_the_error_is_to_be_trusted():
    values = np.array([[1.0, 2.0, np.nan], [2.0, 2.0, np.nan], [4.0, 2.0, np.nan]])
    found = over_replicas(values).variables("a", ("layer",), long_name="what it is", units="nat")
    ends = ("", "_stderr", "_spread", "_trusted", "_reason", "_diagnostic")
    assert list(found) == [f"a{end}" for end in ends]
    assert found["a_trusted"][1].tolist() == [1, 0, 0]
    for name, (dims, value, about) in found.items():
        assert dims == ("layer",)
        assert value.shape == (3,)
        assert "what it is" in about["long_name"], name
    assert found["a"][2]["units"] == "nat"


@pytest.mark.parametrize("count", [3, 4, 8, 20])
@pytest.mark.parametrize("kind", ["replicas", "pairs"])
def test_z_of_few_replicas_is_standard_normal(kind, count):
    """Not what the error of few replicas would make of it: of eight beyond 3 in 2 %, not 0.27 %.

    40,000 z: shares beyond 1, 2 and 3 within 4.5 standard errors, a false alarm for one seed in
    6000.
    """
    values = np.random.default_rng(count).standard_normal((count, 40_000))
    if kind == "replicas":
        found = over_replicas(values)
    else:
        pairs = pairs_of(count)
        found = over_pairs(np.stack([values[i] + values[j] for i, j in pairs]), pairs)
    variables = found.variables("x", ("number",), long_name="x")
    ratio = pd.Series(found.mean / found.stderr)
    z = as_normal(ratio, variables["x_stderr"][2])
    for bound in (1, 2, 3):
        share = 2 * stats.norm.sf(bound)
        assert abs(np.mean(abs(z) > bound) - share) < 4.5 * np.sqrt(share / len(z))
    assert np.mean(abs(ratio) > 3) > 2.5 * 2 * stats.norm.sf(3)
    # However far off, and of either sign.
    far = as_normal(pd.Series([-1e9, -40.0, 0.0, 40.0, np.nan]), variables["x_stderr"][2])
    assert np.isfinite(far[:4]).all()
    assert far[:4].is_monotonic_increasing
    assert np.isnan(far[4])
