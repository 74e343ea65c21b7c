"""Populations: resampling that moves no expectation, the tilted law, and bytes that do not depend
on how the work is divided."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.stages import Population
from finitewidth.models.perceptron import Perceptron
from finitewidth.provenance.digests import samples_digest
from finitewidth.sampling.population.growth import Members, grow, resampled, systematic
from finitewidth.sampling.population.populations import contributions, sample_populations
from finitewidth.sampling.population.potential import Potential
from finitewidth.sampling.population.tilted import _Gain, draw_tilted, is_known

pytestmark = pytest.mark.fast

X = np.array([[1.0, 0.5, -0.5], [0.2, 1.0, 0.3]])


def mlp(activation="tanh", width=6, depth=5, C_W=1.2, C_b=0.1):
    return Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_W=C_W, C_b=C_b
    )


def asked(**change):
    about = {"powers": (1.0, 2.5), "orders": (1, 2, 3), "islands": 5, "members": 60}
    return Population(**about | {"of": None, "exact": True} | change)


def sampled(network, x, population, islands, **change):
    about = {"networks": 100, "seed": 3, "name": ("e", "m"), "layers": (2, 5)}
    about |= {"precision": "float32"} | change
    return sample_populations([network], x, population, islands=islands, **about)


@pytest.mark.parametrize(
    ("network", "x"),
    [(mlp(), X), (mlp("relu", C_b=0.0, C_W=2.0), X), (mlp("relu", C_b=0.0, C_W=2.0), X[:1])],
    ids=["tanh", "relu", "tilted"],
)
@pytest.mark.parametrize("cuts", [(0, 5), (0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_an_island_does_not_depend_on_which_job_draws_it(network, x, cuts):
    whole = sampled(network, x, asked(), (0, 5))
    shards = [sampled(network, x, asked(), at) for at in pairwise(cuts)]
    for name in (
        "population_mean",
        "population_square",
        "population_families",
        "population_ancestors",
    ):
        joined = np.concatenate([shard[name].values for shard in shards])
        assert joined.tobytes() == whole[name].values.tobytes()
    # And no two islands are one.
    islands = whole["population_mean"].values
    assert len({island.tobytes() for island in islands}) == len(islands)


def test_a_digest_of_samples_takes_islands_wherever_they_stand():
    network = mlp()
    shards = [sampled(network, X, asked(), at) for at in ((0, 2), (2, 5))]
    whole = sampled(network, X, asked(), (0, 5)).assign_coords(network=[0, 1])
    shards = [shard.assign_coords(network=[k]) for k, shard in enumerate(shards)]
    # What is no island's, and no network's, is the same in every shard.
    assert "population_spread" in whole
    assert samples_digest(shards) == samples_digest([whole])
    shards[1]["population_mean"].values[0, 0, 0, 0] += 1e-12
    assert samples_digest(shards) != samples_digest([whole])


@pytest.mark.parametrize("seed", range(3))
def test_systematic_resampling_picks_each_member_as_often_as_its_share_says(seed):
    rng = np.random.default_rng(seed)
    share, order = rng.exponential(size=30) * (rng.random(30) > 0.2), rng.random(30)
    expected = 30 * share / share.sum()
    # The mean over the offset, by a fine grid of them.
    grid = (np.arange(4000) + 0.5) / 4000
    picked = np.array([np.bincount(systematic(share, order, u), minlength=30) for u in grid])
    assert np.all(np.abs(picked - expected) < 1)
    np.testing.assert_allclose(picked.mean(axis=0), expected, atol=2e-2)
    assert not picked[:, share == 0].any()


class Offset:
    """What ``torch.rand`` is asked for, at a given number."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([self.value]))


@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_resampling_keeps_the_expectation_of_every_function_that_vanishes_with_the_weight(
    monkeypatch, scale
):
    """The mean over offsets of the mean of u f is what the mean of u f was; where weights are even
    nobody is resampled."""
    rng, offset = np.random.default_rng(0), Offset(monkeypatch)
    kernel = np.exp(scale * rng.standard_normal(40))
    kernel[:3] = 0 if scale > 1 else kernel[:3]
    u = rng.exponential(size=40) + 0.5
    now = Members(kernel[:, None, None], np.zeros((40, 1)), np.log(u), np.arange(40))
    f = kernel**1.3
    grid = (np.arange(4000) + 0.5) / 4000
    after, moved = [], 0
    for offset.value in grid:
        with np.errstate(divide="ignore"):
            then = resampled(now, 2 * now.log_kernel[:, 0], None)
        after.append(np.mean(np.exp(then.log_weight) * f[then.ancestor]))
        moved += then is not now
    assert moved == (len(grid) if scale > 1 else 0)
    assert np.mean(after) == pytest.approx(np.mean(u * f), rel=3e-3 if moved else 1e-12)


def test_an_island_of_dead_networks_counts_nothing_and_ends_well():
    kept = []
    network = mlp("relu", width=1, depth=30, C_b=0.0, C_W=2.0)
    potential = Potential(network, X, None)
    generator = torch_stream(0, "dead")
    # One member alone, which is dead after 29 layers but for a chance of 2^-29.
    grow(network, X, 1, 1.0, potential, generator, 30, "float32", lambda k, m: kept.append(m))
    last = contributions(kept[-1], 1.0)
    assert np.all(kept[-1].log_weight == -np.inf)
    assert np.all(last[:, :-2] == 0)


def test_an_input_that_is_grown_leaves_no_network_out_of_the_means_of_another():
    """Of ReLU networks two wide, a quarter of those that are dead on one input are alive on the
    other: E[Ghat] of either is exact within 5 errors, whichever is grown."""
    network, x = mlp("relu", 2, 4, 2.0, 0.0), np.array([X[0], -X[0]])
    first = 2 / 3 * np.sum(X[0] ** 2)
    for of in (0, 1):
        population = asked(powers=(1.0,), islands=40, members=500, of=of)
        found = sampled(network, x, population, (0, 40), layers=(4,))
        mean = found["population_mean"].values[:, 0, 0][:, [0, 2]]
        error = mean.std(axis=0, ddof=1) / np.sqrt(40)
        assert np.all(np.abs(mean.mean(axis=0) - first) < 5 * error)


def test_what_leaves_the_range_of_floats_is_no_number_and_not_dead():
    kernel = np.array([1.0, np.inf])[:, None, None]
    now = Members(kernel, np.zeros((2, 1)), np.zeros(2), np.arange(2))
    with np.errstate(all="ignore"):
        after = resampled(now, 2 * now.log_kernel[:, 0], torch_stream(0, "lost"))
        assert np.isnan(after.log_weight).all()
        assert np.isnan(contributions(after, 2.0)[:, 0]).all()


def test_of_power_0_members_are_an_ordinary_ensemble():
    kept = []
    network = mlp()
    grow(network, X, 50, 0.0, Potential(network, X, None), torch_stream(0, "plain"), 5, "float64",
         lambda k, m: kept.append(m))  # fmt: skip
    assert all(np.all(m.log_weight == 0) for m in kept)
    assert all(np.array_equal(m.ancestor, np.arange(50)) for m in kept)


@pytest.mark.parametrize(
    ("slopes", "k"),
    [((1.0, 0.0), 1.7), ((0.0, -2.0), 3.0), ((1.0, 1.0), -0.4), ((1.0, -1.0), 2.6),
     ((1.0, 0.3), 3), ((0.2, -1.5), 2)],
)  # fmt: skip
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_tilted_gain_has_the_moments_of_the_law_weighed_by_its_power(slopes, k, n):
    """E[S^k] and E[S^(k+1)]/E[S^k] by quadrature over the sum's law, which for one neuron is that
    of a square, and for more that of independent ones: by a large sample of the plain law."""
    if n == 1 and k < 0:
        pytest.skip("the tilt of one square has no finite moment here")
    gain = _Gain(slopes, n, k)
    rng = np.random.default_rng(5)
    g = rng.standard_normal((400_000, n))
    plain = np.sum(np.where(g > 0, slopes[0], slopes[1]) ** 2 * g**2, axis=1)
    with np.errstate(divide="ignore"):
        weight = np.where(plain > 0, plain, np.inf if k < 0 else 0.0) ** k
    error = np.std(weight) / np.mean(weight) / np.sqrt(len(plain))
    assert math.exp(gain.log_total) == pytest.approx(np.mean(weight), rel=5 * error)
    drawn = np.exp(gain.draw(100_000, numpy_stream(1, "gain")))
    aim = np.mean(weight * plain) / np.mean(weight)
    spread = np.std(drawn) / np.sqrt(len(drawn))
    beside = np.std(weight * (plain - aim)) / np.mean(weight) / np.sqrt(len(plain))
    assert np.mean(drawn) == pytest.approx(aim, abs=5 * math.hypot(spread, beside))


@pytest.mark.parametrize(
    ("network", "inputs", "power", "known"),
    [
        (mlp("relu", C_b=0.0), 1, 1.5, True),
        (mlp("relu", C_b=0.0), 1, -0.2, False),
        (mlp("relu", C_b=0.0), 2, 1.5, False),
        (mlp("relu", C_b=0.1), 1, 1.5, False),
        (mlp("linear", C_b=0.0), 1, -2.9, True),
        (mlp("linear", C_b=0.0), 1, -3.1, False),
        (mlp("leaky_relu(0.5)", C_b=0.0), 1, 2.0, True),
        (mlp("leaky_relu(0.5)", C_b=0.0), 1, 1.5, False),
        (mlp("tanh", C_b=0.0), 1, 2.0, False),
    ],
)
def test_the_law_is_drawn_from_where_it_is_known(network, inputs, power, known):
    assert is_known(network, inputs, power) is known


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu(0.5)"])
def test_resampled_and_tilted_members_are_of_one_law(activation):
    """E[Ghat] and E[Ghat^3] at width 4, depth 5, within 5 errors of the exact moments of a product
    of independent gains, whichever way they are drawn: of 12 numbers one is in 1e-5 of seeds."""
    network = mlp(activation, width=4, depth=5, C_b=0.0, C_W=1.5)
    slopes = np.array(network.activation.slope_pair) ** 2
    first = 1.5 / 3 * np.sum(X[0] ** 2)
    exact = {}
    for m in (1, 3):
        # Moments of a sum of 4 squares from those of one: by the multinomial theorem.
        one = [np.mean(slopes**j) * math.prod(range(1, 2 * j, 2)) for j in range(m + 1)]
        total = [1.0, *[0.0] * m]
        for _ in range(4):
            total = [
                sum(math.comb(j, i) * one[i] * total[j - i] for i in range(j + 1))
                for j in range(m + 1)
            ]
        exact[m] = first**m * ((1.5 / 4) ** m * total[m]) ** 4
    for known in (True, False):
        population = asked(powers=(2.0,), islands=30, members=1000, exact=known)
        found = sampled(network, X[:1], population, (0, 30), layers=(5,))
        assert bool(found["exact"].values[0]) is known
        mean = found["population_mean"].values[:, 0, 0]
        for m, column in ((1, 0), (3, 2)):
            error = np.std(mean[:, column], ddof=1) / np.sqrt(30)
            assert abs(np.mean(mean[:, column]) - exact[m]) < 5 * error


def test_the_potential_is_the_mean_over_inputs_or_one_of_them():
    network = mlp("linear", C_b=0.0, C_W=1.0)
    kernel = np.array([[1.0, 4.0], [2.0, 0.0], [0.0, 0.0]])
    norms = np.sum(X**2, axis=1) / 3
    with np.errstate(divide="ignore"):
        logs = np.log(kernel)
        mean, one = (Potential(network, X, of).to_power(3, logs, 1.0) for of in (None, 1))
        aim = np.log(np.mean(kernel / norms, axis=1))
    np.testing.assert_allclose(mean, aim, rtol=1e-12)
    share = np.array([1e-3, 1.0]) / 1.001
    np.testing.assert_allclose(np.exp(one), kernel / norms @ share, rtol=1e-12)
    # Alive on any input, no network has the weight 0.
    np.testing.assert_array_equal(np.isfinite(one), [True, True, False])
    # An input that is zero has no say.
    zero = np.array([X[0], 0 * X[0]])
    with np.errstate(divide="ignore"):
        alone = Potential(network, zero, None).to_power(2, np.log([[3.0, 0.0]]), 1.0)
    np.testing.assert_allclose(alone, np.log(3 / norms[0] / 2))
    # Small networks are those that are small on any input.
    small = Potential(network, X, None).to_power(3, logs[:1], -2.0)
    np.testing.assert_allclose(np.exp(small), np.mean(norms / kernel[0]) ** 2)


@pytest.mark.parametrize("power", [2.0, -1.0])
def test_what_members_add_is_the_weight_times_a_product(power):
    rng = np.random.default_rng(3)
    half = rng.standard_normal((7, 2, 4))
    gram, scale, u = half @ half.transpose(0, 2, 1), rng.standard_normal((7, 2)), rng.random(7)
    found = contributions(Members(gram, scale, np.log(u), np.arange(7)), power)
    kernel = gram * np.exp(scale[:, :, None] + scale[:, None, :])
    x = [kernel[:, 0, 0], kernel[:, 0, 1], kernel[:, 1, 1]]
    if power < 0:
        np.testing.assert_allclose(found[:, -2:], (u / np.array([x[0], x[2]])).T)
        assert np.isnan(found[:, :-2]).all()
        return
    two = [x[p] * x[q] for p in range(3) for q in range(p, 3)]
    np.testing.assert_allclose(found[:, :-2], (u * np.array([*x, *two, x[0] ** 3, x[2] ** 3])).T)
    assert np.isnan(found[:, -2:]).all()


def test_the_pilot_asks_for_populations_where_plain_networks_are_too_few():
    deep, wide = mlp("relu", 8, 33, 2.0, 0.0), mlp("relu", 512, 3, 2.0, 0.0)
    population = asked(powers=(), islands=20, members=50)
    about = {"layers": (2,), "networks": 1000}
    assert "power" not in sampled(wide, X, population, (0, 1), **about).coords
    found = sampled(deep, X, population, (0, 1), layers=(2, 33), networks=1000)
    assert found["power"].values.tolist() == [1.0, 2.0, 3.0]
    # Of one input the law itself, beside the powers of the moments.
    found = sampled(deep, X[:1], population, (0, 1), layers=(2, 33), networks=1000)
    assert found["power"].values.tolist() == [0.75, 1.75, 2.75]
    assert found["exact"].values.all()
    # Log-normal: m^2 times the variance of the logarithm, 5/n a layer to first order.
    spread = found["population_spread"].values[0]
    assert spread[0, 0] == pytest.approx(5 / 8, rel=0.35)
    assert spread[1, 1] / spread[1, 0] == pytest.approx(4, rel=0.5)


def test_a_tilted_law_has_weights_of_mean_one_of_living_networks():
    kept, network = [], mlp("linear", width=5, depth=4, C_b=0.0, C_W=1.0)
    draw_tilted(network, X[:1], 200_000, 0.5, numpy_stream(0, "w"), 4, lambda k, m: kept.append(m))
    u = np.exp(kept[-1].log_weight)
    assert np.mean(u) == pytest.approx(1, abs=5 * np.std(u) / np.sqrt(len(u)))
