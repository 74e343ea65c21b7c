"""The statistic of quadruples against a loop, its noise floor, and its control."""

from itertools import combinations

import numpy as np
import pytest

from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations import quadruples as module
from finitewidth.estimate.preactivations.quadruples import (
    draw_quadruples,
    gaussian_control,
    quadruple,
)


def by_hand(z, members):
    def mean(*neurons):
        return np.mean(np.prod(z[:, neurons], axis=1))

    total = 0
    for i, j, k, m in members:
        disconnected = mean(i, j) * mean(k, m) + mean(i, k) * mean(j, m) + mean(i, m) * mean(j, k)
        total += abs(mean(i, j, k, m) - disconnected)
    return total / len(members) / np.mean(z**2) ** 2


def as_drawn(quadruples, number):
    return np.repeat(quadruples.members, np.round(quadruples.weights * number).astype(int), axis=0)


@pytest.mark.parametrize("chunk", [1, 10**7])
def test_value_and_error_are_those_of_loops(chunk, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_FLOATS", chunk)
    rng = np.random.default_rng(0)
    z = 3 * rng.standard_normal((60, 6)) + rng.standard_normal((60, 1))
    drawn = draw_quadruples(6, rng, 40)
    estimate = quadruple(z, drawn, block_bounds(60, 10))
    members = as_drawn(drawn, 40)
    assert len(members) == 40
    assert estimate.value == pytest.approx(by_hand(z, members))
    without = [by_hand(np.delete(z, np.s_[6 * b : 6 * b + 6], axis=0), members) for b in range(10)]
    assert estimate.stderr == pytest.approx(np.sqrt(9 * np.var(without)))


def test_every_quadruple_of_different_neurons_is_equally_likely():
    drawn = draw_quadruples(6, np.random.default_rng(1), 30_000)
    assert {tuple(q) for q in drawn.members} == set(combinations(range(6), 4))
    # 15 sets, 2000 +- 43 each: 5 sigma.
    assert np.all(np.abs(drawn.weights * 30_000 - 2000) < 216)


def test_fewer_than_four_neurons_are_refused():
    with pytest.raises(ValueError, match="at least 4 recorded neurons, not 3"):
        draw_quadruples(3, np.random.default_rng(0))


def test_gaussian_samples_lie_on_the_noise_floor_within_an_error_that_is_not_too_small():
    rng = np.random.default_rng(2)
    drawn = draw_quadruples(24, rng)
    bounds = block_bounds(2000)
    found = [quadruple(rng.standard_normal((2000, 24)), drawn, bounds) for _ in range(40)]
    values, errors = (np.array([getattr(f, a) for f in found]) for a in ("value", "stderr"))
    floor = np.sqrt(2 / np.pi / 2000)
    # The mean of 40 ensembles, 5 sigma, and the finite-N correction of the same order as 1/N.
    assert values.mean() == pytest.approx(floor, abs=5 * values.std() / np.sqrt(40) + floor / 500)
    assert values.std() < 1.2 * errors.mean()


def test_a_common_variance_of_neurons_is_seen_above_the_floor():
    rng = np.random.default_rng(3)
    g = rng.gamma(4, 1 / 4, (20_000, 1))
    z = np.sqrt(g) * rng.standard_normal((20_000, 8))
    estimate = quadruple(z, draw_quadruples(8, rng), block_bounds(20_000))
    # Different neurons of a scale mixture are uncorrelated: i, j, k, l all different give nothing
    # but noise, that of a product of four with E[g^4] = 3.28 in place of 1.
    assert estimate.value == pytest.approx(np.sqrt(2 / np.pi * 3.28 / 20_000), rel=0.25)


def test_long_tails_are_not_trusted_although_their_noise_has_either_sign():
    rng = np.random.default_rng(6)
    drawn = draw_quadruples(8, rng)
    trusted = {0.0: 0, 1.0: 0}
    for spread in trusted:
        for _ in range(30):
            z = rng.lognormal(0, spread, (5000, 1)) * rng.standard_normal((5000, 8))
            trusted[spread] += int(quadruple(z, drawn, block_bounds(5000)).trusted)
    assert trusted[0.0] == 30
    assert trusted[1.0] <= 1


@pytest.mark.parametrize(("spread", "least", "most"), [(0, 0.8, 1), (0.1, 0.2, 1), (0.3, 0, 0.02)])
def test_samples_that_lack_the_tail_of_their_law_are_not_trusted(spread, least, most):
    """Normal neurons of log-normal variance G, Var log G = spread.

    Samples that show little noise are those without large G, and too low.
    """
    rng = np.random.default_rng(4)
    drawn = draw_quadruples(8, rng)
    found = []
    for _ in range(300):
        G = np.exp(np.sqrt(spread) * rng.standard_normal((600, 1)))
        one = quadruple(np.sqrt(G) * rng.standard_normal((600, 8)), drawn, block_bounds(600, 60))
        found.append((float(one.value), float(one.stderr), bool(one.trusted)))
    value, stderr, trusted = map(np.array, zip(*found, strict=True))
    assert least <= trusted.mean() <= most
    if least:
        # The error is too large rather than too small.
        z = ((value - value.mean()) / stderr)[trusted]
        assert np.sqrt(np.mean(z**2)) < 1.1
        assert abs(z.mean()) < 0.6


def test_the_control_has_the_variance_of_the_ensemble_and_no_correlation():
    rng = np.random.default_rng(4)
    z = np.array([1e-20, 3.0])[:, None] * rng.standard_normal((5000, 2, 4)).astype(np.float32)
    control = gaussian_control(z.astype(np.float32), rng)
    np.testing.assert_allclose(np.sqrt(np.mean(control**2, axis=(0, 2))), [1e-20, 3], rtol=0.03)
    assert control.shape == z.shape


@pytest.mark.parametrize("spoil", [0.0, np.inf, 1e-42])
def test_what_is_no_number_is_unknown(spoil):
    z = np.full((100, 5), spoil, np.float32)
    drawn = draw_quadruples(5, np.random.default_rng(5))
    assert not quadruple(z, drawn, block_bounds(100)).trusted
    assert np.isnan(quadruple(z, drawn, block_bounds(100)).value)
