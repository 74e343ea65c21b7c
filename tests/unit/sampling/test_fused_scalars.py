"""The compiled scalar sampler: against numpy on the same counters, and what it draws by its law.

tests/unit/sampling/test_ntk_samplers.py holds it against the other samplers in distribution.
"""

import numba
import numpy as np
import pytest
from scipy import stats

from finitewidth.core.random import stream_words
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused import chances, scalars
from finitewidth.sampling.fused.conversions import counting, load, store
from finitewidth.sampling.fused.drawing import key_of
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.mlp import scalar_ntk
from finitewidth.sampling.ntk_ensemble import sample_ntk
from plain_networks import MASK, philox

#: 30 p-values are looked at: chance fails the file once in 30,000 choices of the seeds.
LEAST_P = 1e-6


# --- the same in numpy alone ---------------------------------------------------------------------


class Plain:
    """What kernels draw for networks 0, 1, ..., under the names of numpy's generators.

    ``order`` says which (layer, which) each call is about, in the order of the calls.
    """

    def __init__(self, seed, networks, order):
        self._words = [int(word) for word in stream_words(seed, "scalars", count=3)]
        self._networks, self._order = np.arange(networks), iter(order)

    def _draw(self, place, layer, which):
        k0, k1, more = self._words
        last = ((more & 0xFFFF) << 16) | which
        shape = np.zeros_like(self._networks)
        return philox((shape + place, self._networks, shape + layer, shape + last), (k0, k1))

    def _normals(self, place, layer, which):
        a, b, c, d = self._draw(place, layer, which)
        v = (a >> np.uint64(1)).astype(float) * 2.0**32 + b.astype(float)
        v = v + np.where(b < 2**31, 2.0**31, -(2.0**31)) + 0.5
        radius = np.sqrt(-2 * np.log(v / 2.0**63))
        y = (c << np.uint64(1) & MASK).astype(np.int64)
        y = np.where(y < 2**31, y, y - 2**32) * 2.0**32
        y = y + 2 * (d.astype(float) + np.where(d < 2**31, 2.0**31, -(2.0**31)) + 0.5)
        turn = np.pi / 2 * y * 2.0**-63
        return radius * np.cos(turn) * np.where(c < 2**31, 1.0, -1.0), radius * np.sin(turn)

    def standard_normal(self, networks):
        return self._normals(0, *next(self._order))[0]

    def binomial(self, n, p, networks):
        assert p == 0.5
        name, found = next(self._order), 0
        for place in range(-(-n // 128)):
            bits = np.concatenate(
                [word[:, None] >> np.arange(32, dtype=np.uint64) & np.uint64(1)
                 for word in self._draw(place, *name)], axis=1
            )  # fmt: skip
            found = found + bits[:, : n - 128 * place].sum(1).astype(int)
        return found

    def standard_gamma(self, shape):
        """Marsaglia and Tsang's, network by network, and a half of a square for half a unit."""
        name, found = next(self._order), np.zeros(len(shape))
        x, _ = self._normals(0, *name)
        found[shape == 0.5] = x[shape == 0.5] ** 2 / 2
        pending, place = shape >= 1, 0
        d = np.where(pending, shape, 1) - 1 / 3
        while pending.any():
            uniforms = self._draw(place + 1, *name).astype(float)
            for x, high, low in zip(
                self._normals(place, *name), uniforms[::2], uniforms[1::2], strict=True
            ):
                u = (high + (low + 0.5) / 2**32) / 2**32
                v = (1 + x / np.sqrt(9 * d)) ** 3
                with np.errstate(invalid="ignore"):
                    good = (v > 0) & (np.log(u) < x * x / 2 + d - d * v + d * np.log(v))
                good &= pending
                found[good] = (d * v)[good]
                pending = pending & ~good
            place += 2
        return found


COUNT, ONE, OTHER, BACK_ONE, BACK_OTHER, BETWEEN, OUTPUT = range(7)
CALLS = {
    "relu": ((COUNT, ONE), (BACK_ONE,)),
    "leaky_relu(0.3)": ((COUNT, ONE, OTHER), (BETWEEN, BACK_ONE, BACK_OTHER)),
    "linear": ((ONE,), (BACK_ONE,)),
    "abs": ((ONE,), (BACK_ONE,)),
}


@pytest.mark.parametrize("activation", CALLS)
@pytest.mark.parametrize("widths", [(1, 2, 3), (31, 128, 200), (1000, 33, 1024)])
def test_networks_against_numpy_on_the_same_counters(activation, widths):
    depth = len(widths) + 1
    mlp = Perceptron(activation, (4, *widths, 1), (0.0,) * depth, (1.6, 2.0, 1.4, 1.8))
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    there, back = CALLS[activation]
    order = [(layer, which) for layer in range(1, depth) for which in there]
    order += [(depth, OUTPUT)]
    order += [(layer, which) for layer in range(depth - 1, 0, -1) for which in back]
    x, networks = np.random.default_rng(1).standard_normal((1, 4)), 2000
    exact = scalar_ntk.sample(mlp, rates, float(x[0] @ x[0]), networks, Plain(3, networks, order))
    samples = sample_ntk(mlp, rates, x, networks=networks, seed=3, sampler="scalar")
    assert samples.attrs["precision"] == "float64"
    for name, values in exact.items():
        assert np.allclose(samples[name].values.ravel(), values, rtol=1e-11, atol=1e-14), name


# --- what is drawn -------------------------------------------------------------------------------


@numba.njit
def counts(trials, out, key):
    for i in range(0, len(out), LANES):
        store(out, i, chances.fair_count(trials, counting(i), key, 1, 0))


@numba.njit
def lengths(freedom, out, key):
    for i in range(0, len(out), LANES):
        store(out, i, chances.chi_square(load(freedom, i), counting(i), key, 1, 0))


@pytest.mark.parametrize(
    "trials", [1, 31, 32, 33, 127, 128, 129, 1024, 1025, 1500, 20_001, 10**6, 10**9]
)
def test_counts_are_binomial(trials):
    found = np.empty(160_000)
    counts(trials, found, key_of(1, str(trials)))
    assert np.array_equal(found, np.floor(found))
    law = stats.binom(trials, 0.5)
    # In cells of about the same probability, by the exact distribution function.
    edges = np.unique(law.ppf(np.linspace(0, 1, 200)[1:-1]))
    chance = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, found), minlength=len(chance))
    keep = chance * len(found) > 5
    assert seen[~keep].sum() <= 50
    expected = chance[keep] / chance[keep].sum() * seen[keep].sum()
    assert stats.chisquare(seen[keep], expected).pvalue > LEAST_P


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 50, 4096, 10**6])
def test_lengths_are_chi_square(freedom):
    # All kinds beside each other: what a lane draws is its own affair.
    kinds = np.resize([freedom, 0, -1, 2, freedom, 3, 1, freedom], 320_000).astype(float)
    found = np.empty_like(kinds)
    lengths(kinds, found, key_of(2, str(freedom)))
    assert (found[kinds <= 0] == 0).all()
    here = found[kinds == freedom]
    assert stats.kstest(here, stats.chi2(freedom).cdf).pvalue > LEAST_P
    # Where the acceptance is wrong the fourth moment tells it before the distribution does.
    z = (here - freedom) / np.sqrt(2 * freedom)
    for power in (1, 2, 3):
        exact = (
            stats.chi2(freedom).expect(
                lambda v, p=power: ((v - freedom) / np.sqrt(2 * freedom)) ** p
            )
            if freedom < 100
            else {1: 0.0, 2: 1.0, 3: np.sqrt(8 / freedom)}[power]
        )
        error = (z**power).std() / np.sqrt(len(z))
        assert abs((z**power).mean() - exact) < 5 * error


def test_any_division_of_the_work_gives_the_same_bytes(monkeypatch):
    mlp = Perceptron("leaky_relu(0.2)", (4, 20, 2000, 30, 1), (0.0,) * 4, (2.0,) * 4)
    rates, x = LearningRates.named("ntk", mlp), np.ones((1, 4))
    about = {"seed": 4, "sampler": "scalar"}
    whole = sample_ntk(mlp, rates, x, networks=70_000, **about)
    parts = [
        sample_ntk(mlp, rates, x, networks=70_000, blocks=b, **about) for b in ((0, 1), (1, 2))
    ]
    for name in whole.data_vars:
        assert np.array_equal(np.concatenate([p[name].values for p in parts]), whole[name])
    monkeypatch.setattr(scalars, "TILE", 1001)
    told = []
    again = sample_ntk(mlp, rates, x, networks=3001, on_tile=lambda *at: told.append(at), **about)
    assert told == [(1001, 3001), (2002, 3001), (3001, 3001)]
    assert again.equals(whole.isel(network=slice(3001)))


def test_networks_do_not_share_what_they_draw():
    """Neighbours, layers and ensembles: no correlation, by 5 standard errors."""
    mlp = Perceptron("relu", (4, 5, 5, 1), (0.0,) * 3, (2.0,) * 3)
    rates, x = LearningRates.named("ntk", mlp), np.ones((1, 4))
    one, other = (
        sample_ntk(mlp, rates, x, networks=40_000, seed=4, sampler="scalar", name=(name,))
        for name in ("one", "other")
    )
    theta, z = (one[k].values.ravel() for k in ("ntk", "output_preactivation"))
    pairs = [(theta, other["ntk"].values.ravel()), (theta[1:], theta[:-1]), (z[16:], z[:-16])]
    pairs += [(np.abs(z[1:]), np.abs(z[:-1])), (theta, z)]
    for a, b in pairs:
        # Of ranks: tails of products of lengths are heavy.
        assert abs(stats.spearmanr(a, b).statistic) < 5 / np.sqrt(len(a))
