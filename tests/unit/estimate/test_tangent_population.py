"""Moments of tangent kernels from islands: unbiased products, and what takes whose place."""

import itertools

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.families import estimate
from finitewidth.estimate.population.tangents import TangentsBeside
from finitewidth.members.stages import Population
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.population.tangent_populations import sample_tangent_populations

pytestmark = pytest.mark.fast

X = np.array([[1.0, 0.5, -0.5]])
HOW = {"seed": 0, "ensemble": "e", "member": "m"}
NAMES = ("ntk", "ntk_variance", "ntk_second_moment")


def populations(means, powers, needed=(1, 1), members=100):
    """Islands with these means of the two moments: (island, population, 2)."""
    dims = ("island", "tangent_population", "tangent_product")
    square = (dims, means**2)
    return xr.Dataset(
        {
            "population_tangent_needed": ("tangent_moment", np.array(needed)),
            "population_tangent_mean": (dims, means),
            "population_tangent_square": square,
            "population_tangent_families": square,
        },
        {
            "tangent_moment": [1, 2],
            "tangent_power": ("tangent_population", np.array(powers)),
            "tangent_members": ("tangent_population", np.full(len(powers), members)),
        },
    )


def nothing():
    shapes = {"ntk": (1, 1, 1), "ntk_variance": (1, 1, 1), "ntk_second_moment": (1, 1)}
    return {name: Estimate.unknown(shape, Reason.NOT_MEASURED) for name, shape in shapes.items()}


@pytest.mark.parametrize("powers", [(1.0, 2.0), (1.5,), (2.0,)])
def test_products_of_means_are_products_over_different_islands_or_networks(powers):
    """Against loops over all of them; the population of power 2 alone says nothing of the mean."""
    rng = np.random.default_rng(0)
    means = rng.gamma(3.0, size=(8, len(powers), 2))
    theta = rng.gamma(3.0, size=60)
    beside = TangentsBeside(populations(means, powers), theta[:, None], np.arange(61))
    found, words = beside.put(nothing())
    one = theta if powers == (2.0,) else means[:, 0, 0]
    product = np.mean([a * b for a, b in itertools.permutations(one, 2)])
    second = np.mean(means[:, -1, 1])
    assert found["ntk_variance"].value.item() == pytest.approx(second - product)
    if powers == (2.0,):
        assert "ntk" not in words
        assert words["ntk_variance"].endswith("; plain networks")
    else:
        assert found["ntk"].value.item() == pytest.approx(np.mean(one))
    assert [found[name].value.shape for name in NAMES] == [(1, 1, 1), (1, 1, 1), (1, 1)]


def test_where_plain_networks_are_enough_they_stay():
    means = np.ones((8, 2, 2))
    beside = TangentsBeside(populations(means, (1.0, 2.0), (0, 1)), np.ones((60, 1)), np.arange(61))
    found, words = beside.put(nothing())
    assert set(words) == {"ntk_variance", "ntk_second_moment"}
    assert found["ntk"].reason.item() == Reason.NOT_MEASURED


@pytest.mark.parametrize(
    ("activation", "sampler", "outputs"),
    [("tanh", "marginal", 2), ("relu", "scalar", 1), ("gelu", "marginal", 1)],
)
def test_an_ensemble_takes_moments_of_its_kernel_from_the_populations_beside_it(
    activation, sampler, outputs
):
    """Both ways tell the same within 4.5 errors: 40,000 plain networks, three numbers each."""
    network = Perceptron.uniform_width(activation, dimension=3, width=6, depth=4, C_W=1.4, C_b=0.0)
    rates = LearningRates.named("pdlt", network, 0.3, 1.0)
    about = {"networks": 40_000, "seed": 1}
    plain = sample_ntk(network, rates, X, sampler=sampler, outputs=outputs, **about)
    asked = Population(
        powers=(1.0, 2.0), orders=(), islands=30, members=200, of=None, exact=True, tangents=(1, 2)
    )
    grown = sample_tangent_populations(
        network, rates, X, asked, name=("e",), precision="float32", islands=(0, 30), **about
    )
    grown["population_tangent_needed"][:] = 1
    alone = estimate([plain], ["ntk"], **HOW)
    both = estimate([plain.merge(grown)], ["ntk"], **HOW)
    for name in NAMES:
        assert both[name].dims == alone[name].dims
        assert both[f"{name}_estimator"].values.tolist() == [1]
        assert "30 islands of 200" in both[f"{name}_estimator"].attrs["estimators"]
        error = np.hypot(both[f"{name}_stderr"].item(), alone[f"{name}_stderr"].item())
        assert abs(both[name].item() - alone[name].item()) < 4.5 * error
        assert both[f"{name}_trusted"].item()
    # However islands and networks are divided.
    merged = plain.merge(grown)
    parts = [
        merged.isel(network=slice(17_000, None), island=slice(11, None)),
        merged.isel(network=slice(17_000), island=slice(11)),
    ]
    xr.testing.assert_identical(estimate(parts, ["ntk"], **HOW), both)


def test_products_of_several_inputs_are_over_different_islands_or_networks():
    """Two inputs, against loops over islands; each number stands where its inputs say."""
    rng = np.random.default_rng(3)
    means = rng.gamma(3.0, size=(7, 2, 9))
    beside = TangentsBeside(populations(means, (1.0, 2.0)), np.ones((60, 3)), np.arange(61))
    shapes = {"ntk": (1, 2, 2), "ntk_variance": (1, 3, 3), "ntk_second_moment": (1, 2)}
    found, _ = beside.put(
        {name: Estimate.unknown(shape, Reason.NOT_MEASURED) for name, shape in shapes.items()}
    )
    assert {name: found[name].value.shape for name in NAMES} == shapes
    mean, square = means[:, 0, :3], means[:, 1, 3:].mean(axis=0)
    # Pairs are 00, 01, 11.
    np.testing.assert_allclose(found["ntk"].value[0].ravel(), mean.mean(axis=0)[[0, 1, 1, 2]])
    for k, (p, q) in enumerate([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]):
        product = np.mean([mean[i, p] * mean[j, q] for i, j in itertools.permutations(range(7), 2)])
        for at in ((p, q), (q, p)):
            assert found["ntk_variance"].value[0][at] == pytest.approx(square[k] - product)
    ratio = found["ntk_second_moment"]
    for a, (k, p) in enumerate([(0, 0), (5, 2)]):
        product = np.mean([mean[i, p] * mean[j, p] for i, j in itertools.permutations(range(7), 2)])
        # Freed of its bias, of a part of its error.
        assert abs(ratio.value[0, a] - square[k] / product) < ratio.stderr[0, a]


def test_a_number_is_doubted_as_the_worst_of_its_inputs():
    """Islands of which one family tells all of input 1."""
    means = 1 + 0.01 * np.random.default_rng(4).random((20, 2, 9))
    grown = populations(means, (1.0, 2.0))
    families = np.full(means.shape, 1.02)
    families[..., [2, 8]] = 100.0
    grown["population_tangent_families"] = (grown["population_tangent_mean"].dims, families)
    beside = TangentsBeside(grown, np.ones((60, 3)), np.arange(61))
    shapes = {"ntk": (1, 2, 2), "ntk_variance": (1, 3, 3), "ntk_second_moment": (1, 2)}
    found, _ = beside.put(
        {name: Estimate.unknown(shape, Reason.NOT_MEASURED) for name, shape in shapes.items()}
    )
    doubted = {name: found[name].reason[0] == Reason.ISLANDS for name in NAMES}
    assert doubted["ntk"].tolist() == [[False, True], [True, True]]
    assert doubted["ntk_variance"].tolist() == [[False, True, True], [True] * 3, [True] * 3]
    assert doubted["ntk_second_moment"].tolist() == [False, True]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_an_ensemble_on_two_inputs_takes_moments_from_the_populations_beside_it(activation):
    """As on one input: 40,000 plain networks, twelve numbers each within 4.5 errors."""
    x = np.array([[1.0, 0.5, -0.5], [0.4, -0.9, 0.6]])
    network = Perceptron.uniform_width(activation, dimension=3, width=6, depth=4, C_W=1.4, C_b=0.0)
    rates = LearningRates.named("pdlt", network, 0.3, 1.0)
    about = {"networks": 40_000, "seed": 1}
    plain = sample_ntk(network, rates, x, outputs=1, **about)
    asked = Population(
        powers=(1.0, 2.0), orders=(), islands=30, members=200, of=None, exact=True, tangents=(1, 2)
    )
    grown = sample_tangent_populations(
        network, rates, x, asked, name=("e",), precision="float32", islands=(0, 30), **about
    )
    grown["population_tangent_needed"][:] = 1
    alone = estimate([plain], ["ntk"], **HOW)
    both = estimate([plain.merge(grown)], ["ntk"], **HOW)
    for name in NAMES:
        assert both[name].dims == alone[name].dims
        assert both[f"{name}_estimator"].values.tolist() == [1]
        error = np.hypot(both[f"{name}_stderr"], alone[f"{name}_stderr"])
        assert np.all(np.abs(both[name] - alone[name]) < 4.5 * error)
        assert np.all(both[f"{name}_trusted"])
