"""How often trust errs: numbers far off that are trusted, good numbers that are not.

Networks are linear, on one input: given the layers before, the last layer is Gaussian with the
variance g, a product of L - 1 independent chi^2_n/n, so every moment is known exactly.
docs/estimates.md states the rates; here 40 ensembles of each law are drawn anew, with seeds of
their own, and held against bounds that chance passes in less than one of a thousand seeds.

Random small ensembles of every sampler, as `make calibrate` draws them by the thousand, follow.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations import moments
from finitewidth.estimate.preactivations.pooled import Pooled

ENSEMBLES = 40
QUANTITIES = {
    "covariance": moments.covariance,
    "four_point": moments.four_point,
    "six_point": moments.six_point,
    "excess_kurtosis": moments.excess_kurtosis,
}


def exact(width, depth):
    """Covariance, four_point, six_point and kurtosis, from E[g^2] and E[g^3]."""
    two = (1 + 2 / width) ** (depth - 1)
    three = ((width + 2) * (width + 4) / width**2) ** (depth - 1)
    return np.array([1, two - 1, three - 3 * two + 2, 3 * two - 3])


def ensemble(rng, width, depth, networks):
    """Values, standard errors and trust of the four quantities."""
    g = np.exp(np.sum(np.log(rng.chisquare(width, (depth - 1, networks)) / width), axis=0))
    squares = g[:, None] * rng.standard_normal((networks, width)) ** 2
    powers = [np.mean(squares**k, axis=1).reshape(networks, *(1,) * (k == 1), 1) for k in (1, 2, 3)]
    with np.errstate(all="ignore"):
        pooled = Pooled(width, block_bounds(networks), *powers)
        found = [function(pooled) for function in QUANTITIES.values()]
    return [[np.ravel(x)[0] for x in (e.value, e.stderr, e.trusted)] for e in found]


def drawn(width, depth, networks):
    """|z| and trust, shape (ensemble, quantity)."""
    rng = np.random.default_rng([7, width, depth, networks])
    found = np.array([ensemble(rng, width, depth, networks) for _ in range(ENSEMBLES)])
    return np.abs(found[..., 0] - exact(width, depth)) / found[..., 1], found[..., 2] == 1


@pytest.mark.parametrize(("width", "depth"), [(4, 100), (8, 50)])
def test_deep_narrow_networks_are_never_trusted(width, depth):
    """Stated: none; of 8800 numbers of such laws it was none. If one of 3000 is, more than two of
    160 are in 2e-5 of seeds; a rate of 6 % is seen in 99 of 100."""
    z, trusted = drawn(width, depth, 2000)
    # All but the covariance of width 8 are nearly always far off, with a small error.
    assert (z[:, 1:] > 5).mean() > 0.9
    assert trusted.sum() <= 2


@pytest.mark.parametrize(("width", "depth"), [(16, 12), (32, 12)])
def test_where_tails_are_long_few_that_are_far_off_are_trusted(width, depth):
    """Stated: not one of 3507. If it were one of 1000, more than 2 of 160 would be in 6e-4 of
    seeds."""
    z, trusted = drawn(width, depth, 2000)
    assert (trusted & (z > 5)).sum() <= 2
    # The covariance has a sound error, and is mostly trusted.
    assert trusted[:, 0].mean() > 0.6


@pytest.mark.parametrize(("width", "networks"), [(64, 2000), (128, 20_000)])
def test_good_ensembles_are_trusted(width, networks):
    """Stated false alarms: covariance none of 400, four_point 5 %, kurtosis 1 %, or none."""
    z, trusted = drawn(width, 3, networks)
    assert trusted[:, 0].all()
    # Of 40, more than 8 at a rate of 5 %: 3e-4 of seeds.
    assert (~trusted[:, [1, 3]]).sum(axis=0).max() <= 8
    if networks == 20_000:
        assert trusted[:, 2].mean() > 0.8
    assert (z[:, [0, 1, 3]] < 5).all()


@pytest.fixture(scope="module")
def calibrate():
    """The measurement of `make calibrate`, a script."""
    path = Path(__file__).parents[2] / "benchmarks" / "calibrate" / "trust.py"
    spec = importlib.util.spec_from_file_location("calibrate_trust", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_of_few_networks_hardly_a_trusted_number_is_far_off(calibrate):
    """Random ensembles of 50 to 150 networks, the hardest: stated in docs/estimates.md.
    With the stated 2 of 1000 of some 1100 trusted rows, more than 8 are in 4e-4 of seeds (rows of
    one ensemble are not independent: say 2e-3); without the look ahead it is 16."""
    drawn = [calibrate.drawn(seed, (50, 150)) for seed in range(200)]
    found = pd.concat(calibrate.rows(one, compare=k < 40) for k, one in enumerate(drawn))
    table = calibrate.rates(found[~found["quantity"].str.contains("histogram")], "quantity")
    assert table.loc["all", "trusted"] > 900
    assert table.loc["all", "beyond 4"] <= 8
    # And the look ahead is what they are told by.
    assert table.loc["all", "of these beyond 4"] > 4
    # The same by the numbers of networks, as the table of `make calibrate` begins.
    by_networks = calibrate.rates(found, "networks")
    assert list(by_networks.index) == ["[50, 100)", "[100, 300)", "all"]
    # Most of what symptoms alone would trust, and was right, is still trusted.
    kept = by_networks["of these kept"] / by_networks["right by symptoms"]
    assert 0.5 < kept["all"] < 1
