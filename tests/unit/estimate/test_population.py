"""Estimates from islands: unbiased products, errors of several sources, and when not to trust."""

import itertools

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.indices import kernel_products, pairs
from finitewidth.core.reasons import Reason, sentence
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.estimate.population import cumulants
from finitewidth.estimate.population.known import Moments
from finitewidth.estimate.population.sources import Source, joint
from finitewidth.estimate.population.trusted import Grown
from finitewidth.members.stages import Population
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.population.populations import sample_populations

pytestmark = pytest.mark.fast

#: The pilot's word that plain networks are too few for anything.
FAR = {1: 9.0, 2: 20.0, 3: 20.0, -1: 9.0}


def of_kernels(x, power=1.0, members=100, exact=False, square=None):
    """A population whose islands have these means of Ghat_ab: shape (island, pair)."""
    inputs = {1: 1, 3: 2}[x.shape[1]]
    factors, order = kernel_products(inputs)
    mean = np.stack([np.prod(x[:, f[f >= 0]], axis=1) for f in factors], axis=1)
    mean[:, order < 0] = 1 / mean[:, order < 0]
    square = mean**2 if square is None else square
    return Grown(mean, square, square, power, members, exact)


def plain(rng, networks=200, pairs=1):
    return rng.gamma(4.0, size=(networks, pairs)), np.arange(networks + 1)


def test_products_of_means_are_products_over_different_islands_or_networks():
    """Against loops over all of them, with one population for all orders and with one for each."""
    rng = np.random.default_rng(0)
    x, y, z = (rng.gamma(3.0, size=(8, 3)) for _ in range(3))
    kernel, bounds = plain(rng, pairs=3)
    first, second = np.triu_indices(3)
    alone = [0, 2]
    one = of_kernels(x, power=1.5)
    m = Moments(kernel, bounds, (one,), 2, FAR)
    off = ~np.eye(8, dtype=bool)
    np.testing.assert_allclose(
        cumulants.covariance(m).value,
        np.mean(x[:, first] * x[:, second], axis=0)
        - np.array(
            [np.mean(np.outer(x[:, p], x[:, q])[off]) for p, q in zip(first, second, strict=True)]
        ),
    )
    triples = np.array(list(itertools.permutations(range(8), 3)))
    i, j, k = triples.T
    two, three = x[:, alone] ** 2, x[:, alone] ** 3
    own = x[:, alone]
    np.testing.assert_allclose(
        cumulants.third(m).value,
        three.mean(axis=0)
        - 3 * np.mean(two[i] * own[j], axis=0)
        + 2 * np.mean(own[i] * own[j] * own[k], axis=0),
    )
    # Of several populations: means of one, squares of another, cubes of a third.
    each = [of_kernels(part, power=p) for part, p in ((x, 1.0), (y, 2.0), (z, 3.0))]
    m = Moments(kernel, bounds, tuple(each), 2, FAR)
    np.testing.assert_allclose(
        cumulants.third(m).value,
        np.mean(z[:, alone] ** 3, axis=0)
        - 3 * np.mean(y[:, alone] ** 2, axis=0) * np.mean(own, axis=0)
        + 2 * np.mean(own[i] * own[j] * own[k], axis=0),
    )


@pytest.mark.parametrize("powers", [(1.5,), (2.0, 3.0)])
def test_cumulants_are_unbiased_of_three_islands(powers):
    """Islands that scatter as widely as their mean: squares of one estimate would be off by 1/3.
    Within 4.5 errors of 1000 repetitions: 4 numbers, one of them beyond in 3e-5 of seeds."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(1000):
        grown = []
        for power in powers:
            g = rng.gamma(2.0, size=(3, 1, 1))
            island = g * (1 + 0.1 * rng.standard_normal((3, 5, 1)))
            x = island[..., 0]
            mean = np.stack([np.mean(x**k, axis=1) for k in (1, 2, 3, 1)], axis=1)
            grown.append(Grown(mean, mean**2, mean**2, power, 5, False))
        kernel = rng.gamma(2.0, size=(60, 1)) * (1 + 0.1 * rng.standard_normal((60, 1)))
        m = Moments(kernel, np.arange(61), tuple(grown), 1, FAR)
        found.append([cumulants.covariance(m).value[0], cumulants.third(m).value[0]])
    noise = 1.01
    exact = [6 * noise - 4, 24 * (1 + 3 * 0.01) - 3 * 6 * noise * 2 + 16]
    found = np.array(found)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0) - exact) < 4.5 * error)


def test_errors_of_independent_sources_add_in_squares():
    rng = np.random.default_rng(2)
    one, two = rng.standard_normal((40, 1)) + 5, rng.standard_normal((300, 1)) + 3
    sources = {
        "1": Source({"x": one}, np.ones(40), "one"),
        "2": Source({"x": two}, np.ones(300), "two"),
    }
    found = joint(sources, lambda s: s["1"].mean("x") * s["2"].mean("x"))
    a, b = one.mean(), two.mean()
    t = np.sqrt(39 / 37), np.sqrt(299 / 297)
    errors = b * one.std(ddof=1) / np.sqrt(40) * t[0], a * two.std(ddof=1) / np.sqrt(300) * t[1]
    assert found.value[0] == pytest.approx(a * b)
    assert found.stderr[0] == pytest.approx(np.hypot(*errors), rel=0.02)
    alone = joint({"1": sources["1"], "2": sources["1"]}, lambda s: s["2"].mean("x"))
    assert alone.stderr[0] == pytest.approx(one.std(ddof=1) / np.sqrt(40) * t[0])


@pytest.mark.parametrize(
    ("families", "count", "exact", "power", "reason"),
    [
        (30, 80, False, 2.0, Reason.NONE),
        (8, 80, False, 2.0, Reason.ISLANDS),
        (30, 3, False, 2.0, Reason.FEW_MEMBERS),
        (30, 80, True, 1.75, Reason.NONE),
        (100, 100, True, 2.0, Reason.KNOWN),
    ],
)
@pytest.mark.parametrize("scatter", [0.001, 0.05, 0.4])
def test_few_families_and_few_members_are_not_trusted_however_islands_scatter(
    scatter, families, count, exact, power, reason
):
    """``families`` and ``count`` are how many count of 100 members, alike in every island. Islands
    that agree by luck have the error that families tell, and others the one that is seen."""
    rng = np.random.default_rng(3)
    mean = np.tile([1.0, 3.0, 9.0, 1.0], (40, 1))
    mean[:, 1] *= 1 + scatter * np.linspace(-1.6, 1.6, 40)
    each = (mean**2 * 100 / k for k in (count, families))
    grown = Grown(mean, *each, power, 100, exact)
    m = Moments(*plain(rng), (grown,), 1, {**FAR, 1: 0.0})
    for found in (cumulants.covariance(m), cumulants.kurtosis(m), cumulants.same_neuron(m)):
        assert found.reason.ravel()[0] == reason
        assert np.isfinite(found.stderr.ravel()[0]) == (reason != Reason.KNOWN)
    assert "{" not in sentence(reason, float(found.diagnostic[0]))
    seen = np.std(mean[:, 1], ddof=1) / 3 * np.sqrt(39 / 37)
    told = np.sqrt((1 / families - 1 / 100) * 100 / 99)
    if reason == Reason.NONE:
        error = cumulants.covariance(m).stderr[0]
        together = seen if seen > told else np.sqrt((seen**2 + told**2) / 2)
        assert error >= 0.99 * 3 * together / np.sqrt(40)


@pytest.mark.parametrize(
    ("powers", "order", "nearest"),
    [
        ((1.0, 2.0, 3.0), 2, 2.0), ((2.0,), 1, None), ((2.0,), 3, 2.0), ((5.0,), 2, None),
        ((0.75, 1.75), 1, 0.75), ((1.75, 2.75), 3, 2.75), ((-1.0, 2.0), -1, -1.0),
        ((2.0,), -1, None),
    ],
)  # fmt: skip
def test_a_moment_comes_from_the_population_of_the_nearest_power(powers, order, nearest):
    grown = tuple(of_kernels(np.ones((5, 1)), power=p) for p in powers)
    m = Moments(np.ones((60, 1)), np.arange(61), grown, 1, FAR)
    found = m.nearest(order)
    assert (found.power if found else None) == nearest
    # Where plain networks are enough, nothing is taken from a population.
    assert (
        Moments(np.ones((60, 1)), np.arange(61), grown, 1, dict.fromkeys(FAR, 0.0)).nearest(order)
        is None
    )


def mlp(**change):
    about = {"activation": "tanh", "dimension": 3, "width": 5, "depth": 4, "C_W": 2.0, "C_b": 0.2}
    return Perceptron.uniform_width(**about | change)


X = np.array([[1.0, 0.5, -0.5], [0.2, 1.0, 0.3]])


def beside(samples, network, x, layers, orders=(1, 2, 3), networks=60):
    """Samples with populations beside them that are asked for everywhere."""
    about = {"powers": (1.0, 2.0, 3.0), "orders": orders, "islands": 30, "members": 200}
    population = Population(**about, of=None, exact=True)
    grown = sample_populations(
        [network], x, population, networks=networks, seed=1, name=("e",), layers=layers,
        precision="float32", islands=(0, 30),
    )  # fmt: skip
    grown["population_spread"][:] = 20.0
    return samples.merge(grown)


FAMILIES = ("covariance", "correlation", "four_point", "six_point", "kurtosis")


def test_an_ensemble_takes_its_moments_from_the_populations_beside_it():
    """And what both ways tell is the same within their errors: 2 inputs, 60,000 plain networks."""
    network, layers = mlp(), (2, 4)
    measure = ("preactivations", "quartic", "sextic")
    about = {"networks": 60_000, "seed": 0, "layers": layers, "measure": measure}
    samples = sample(network, X, **about)
    how = {"seed": 0, "ensemble": "e", "member": "m"}
    alone = estimate([samples], FAMILIES, **how)
    both = estimate([beside(samples, network, X, layers, networks=60_000)], FAMILIES, **how)
    names = ("covariance", "correlation", "four_point", "four_point_same", "intralayer",
             "six_point", "excess_kurtosis")  # fmt: skip
    checked = 0
    for name in names:
        assert both[f"{name}_estimator"].dims == ("layer",)
        assert (both[f"{name}_estimator"] > 0).all()
        assert both[name].dims == alone[name].dims
        words = both[f"{name}_estimator"].attrs["estimators"].split("\n")
        assert all("30 islands of 200" in text for text in words[1:])
        error = np.hypot(both[f"{name}_stderr"].values, alone[f"{name}_stderr"].values)
        off = np.abs(both[name].values - alone[name].values) / error
        sure = both[f"{name}_trusted"].values & alone[f"{name}_trusted"].values == 1
        checked += np.count_nonzero(sure)
        assert np.all(off[sure] < 4.5)
    assert checked > 45
    # What populations do not tell stays as it is.
    assert both["neuron_covariance"].identical(alone["neuron_covariance"])
    assert "neuron_covariance_estimator" not in both


def test_a_ladder_has_a_population_a_rung_and_their_rungs_are_independent():
    mlps = [mlp(width=n) for n in (4, 6)]
    samples = sample_ladder(mlps, X[:1], networks=400, seed=0, layers=(1, 3), controls=False)
    about = {"powers": (1.0, 2.0, 3.0, -1.0), "orders": (-1, 1, 2, 3), "islands": 20}
    population = Population(**about, members=100, of=0, exact=True)
    grown = sample_populations(
        mlps, X[:1], population, networks=400, seed=1, name=("e",), layers=(1, 3),
        precision="float32", islands=(0, 20),
    )  # fmt: skip
    grown["population_spread"][0, 1] = 20.0
    grown["population_spread"][1] = 0.0
    how = {"seed": 0, "ensemble": "e", "member": "m"}
    families = ["kernel_moments", "inverse_kernel"]
    alone = estimate_ladder([samples], families, **how)
    found = estimate_ladder([samples.merge(grown)], families, **how)
    for name in ("kernel_mean", "kernel_covariance", "kernel_third", "inverse_kernel_mean"):
        assert found[f"{name}_estimator"].dims == ("rung", "layer")
        np.testing.assert_array_equal(found[f"{name}_estimator"] > 0, [[False, True], [False] * 2])
        same = found[name].isel(rung=1)
        assert same.identical(alone[name].isel(rung=1).assign_attrs(same.attrs))
        assert not np.any(found[name].isel(rung=0, layer=1) == alone[name].isel(rung=0, layer=1))
    covariance = found["kernel_covariance_rungs"].isel(layer=1).values[..., 0, 0]
    assert covariance[0, 1] == covariance[1, 0] == 0
    assert covariance[0, 0] == found["kernel_covariance_stderr"].values[0, 1, 0, 0] ** 2
    assert covariance[1, 1] > 0


def test_estimates_do_not_depend_on_how_islands_are_divided():
    network, layers = mlp(), (2, 4)
    samples = sample(network, X, networks=60, seed=0, layers=layers)
    whole = beside(samples, network, X, layers, orders=(1,))
    halves = [
        whole.isel(network=slice(30, None), island=slice(11, None)),
        whole.isel(network=slice(30), island=slice(11)),
    ]
    how = {"seed": 0, "ensemble": "e", "member": "m"}
    one, other = (estimate(parts, ["covariance"], **how) for parts in ([whole], halves))
    xr.testing.assert_identical(one, other)
    assert (one["covariance_estimator"] > 0).all()


def test_networks_of_one_width_have_no_rungs_whatever_stands_beside_them():
    """Neither in samples nor in estimates, where numbers that are not finite are counted."""
    network, layers = mlp(), (2, 4)
    samples = sample(network, X, networks=60, seed=0, layers=layers)
    samples["kernel"][3, 1] = np.inf
    found = beside(samples, network, X, layers, orders=(1,))
    found["population_spread"][:] = 0.0
    assert "rung" not in found.dims
    e = estimate([found], ["covariance"], seed=0, ensemble="e", member="m")
    assert "rung" not in e.dims
    assert e["not_finite_networks"].values.tolist() == [0, 1]


def test_products_of_kernels_are_listed_once():
    factors, order = kernel_products(3)
    assert len(factors) == len(pairs(3)) + 21 + 3 + 3
    assert len(
        {(o, *sorted(f)) for f, o in zip(factors.tolist(), order.tolist(), strict=True)}
    ) == len(order)
