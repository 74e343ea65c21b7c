"""Populations of networks of any layers: the kernel of the read-out, by streams that are kept."""

from itertools import pairwise

import numpy as np
import pytest

from finitewidth.core.indices import kernel_products
from finitewidth.core.torch_random import torch_stream
from finitewidth.estimate.families import estimate
from finitewidth.members.stages import Population
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.population.network_growth import grow_network
from finitewidth.sampling.population.network_populations import sample_network_populations
from finitewidth.sampling.population.populations import contributions
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_blocks import predict_blocks

pytestmark = pytest.mark.fast

X = np.array([[1.0, 0.5, -0.5], [0.3, -1.0, 0.8]])
LAW = {"C_W": 1.2, "C_b": 0.1}


def dense(inputs, neurons, C_W=1.2, C_b=0.1):
    return Dense(inputs=inputs, neurons=neurons, C_W=C_W, C_b=C_b)


def streams(blocks, n, activation="relu", beta=1.0, norm=False, C_W=2.0, outputs=1):
    """A skip of one map a block, and a read-out without an activation."""
    branch = [*([RmsNorm()] if norm else []), Nonlinearity(activation), dense(n, n, C_W, 0.0)]
    layers = [dense(3, n, 1.0, 0.0), *[Block(branch, 1.0, beta, "b")] * blocks]
    ends = range(2, blocks + 3)
    return Architecture((3,), [*layers, dense(n, outputs, 1.0, 0.0)], ends)


def images(n=4):
    """Two convolutions along a line of four positions, a skip, and means over places."""
    law = {"kernel": (1, 3), "stride": 1, "padding": (0, 1), "circular": True} | LAW
    first = Convolution(channels=1, neurons=n, **law)
    branch = [Nonlinearity("tanh"), Convolution(channels=n, neurons=n, **law)]
    layers = [first, *[Block(branch, 1.0, 0.7, "c")] * 2, AveragePool(), dense(n, 1)]
    return Architecture((1, 1, 4), layers, [2, 3, 5])


NETWORKS = {
    "skips": (streams(3, 5, "tanh"), X),
    "norms": (streams(3, 5, norm=True), X),
    "images": (images(), np.array([[0.5, 1.0, -1.0, 0.2], [1.0, 0.1, 0.4, -0.6]])),
}


def grown(network, x, islands, members, power, of, named):
    found = []
    for j in range(islands):
        stream = torch_stream(*named, j)
        now = grow_network(network, x, members, power, of, stream, "float32")
        found.append(contributions(now, power).mean(axis=0))
    return np.array(found)


@pytest.mark.parametrize("which", NETWORKS)
@pytest.mark.parametrize(("power", "of"), [(2.0, None), (1.0, 1)])
def test_populations_tell_the_moments_of_plain_networks(which, power, of):
    """Means and products of two kernels of two inputs, within 4.5 errors of what 40,000 members
    that nothing was resampled of tell: one of 54 beyond in 7e-4 of seeds."""
    network, x = NETWORKS[which]
    plain = grow_network(network, x, 40_000, 0.0, None, torch_stream("plain"), "float32")
    assert np.all(plain.log_weight == 0)
    each = contributions(plain, 1.0)
    islands = grown(network, x, 30, 200, power, of, (which, power))
    _, order = kernel_products(len(x))
    low = np.isin(order, (1, 2))
    error = np.hypot(np.std(islands, axis=0, ddof=1) / 30**0.5, np.std(each, axis=0) / 40_000**0.5)
    off = np.abs(islands.mean(axis=0) - each.mean(axis=0))
    assert np.all(off[low] < 4.5 * error[low])


@pytest.mark.parametrize("which", NETWORKS)
def test_what_is_not_resampled_is_what_the_sampler_draws(which):
    """Means of the kernels, those of 40,000 networks with many outputs: within 4.5 errors."""
    network, x = NETWORKS[which]
    plain = grow_network(network, x, 40_000, 0.0, None, torch_stream("same"), "float32")
    last = len(network.ends)
    drawn = sample(network, x, networks=40_000, seed=4, layers=[last], record=1)["kernel"].values
    drawn = drawn[:, 0]
    error = np.hypot(np.std(drawn, axis=0), np.std(plain.gram, axis=0)) / 200
    assert np.all(np.abs(drawn.mean(axis=0) - plain.gram.mean(axis=0)) < 4.5 * error)


def test_a_stream_whose_moment_plain_networks_miss_is_measured():
    """Linear networks with skips on one input: a block multiplies the square of the stream's length
    by an independent |e + (2/n)^(1/2) g|^2, e a unit vector and g normal, whose mean is 3 and whose
    variance is 16/n. Within 4.5 errors; E[Ghat^2] is some 120 E[Ghat]^2."""
    blocks, n = 12, 4
    network, x = streams(blocks, n, "linear"), X[:1]
    mean = float(x[0] @ x[0]) / 3
    square = mean**2 * (1 + 2 / n) * (9 + 16 / n) ** blocks
    for power, column, exact in ((2.0, 1, square), (1.0, 0, mean * 3**blocks)):
        found = grown(network, x, 20, 400, power, None, ("stream", power))[:, column] / exact
        error = np.std(found, ddof=1) / 20**0.5
        assert error < 0.1
        assert abs(found.mean() - 1) < 4.5 * error


def asked(**change):
    about = {"powers": (), "orders": (1, 2), "islands": 20, "members": 60, "tangents": ()}
    return Population(**about | {"of": None, "exact": True} | change)


def sampled(network, x, population, islands, networks=1000):
    return sample_network_populations(
        network, x, population, networks=networks, seed=3, name=("e", "m"), precision="float32",
        islands=islands,
    )  # fmt: skip


@pytest.mark.parametrize("cuts", [(0, 8, 20), (0, 1, 19, 20)])
def test_an_island_does_not_depend_on_which_job_draws_it(cuts):
    network, x = NETWORKS["skips"]
    whole = sampled(network, x, asked(powers=(2.0, 1.0)), (0, 20))
    shards = [sampled(network, x, asked(powers=(2.0, 1.0)), at) for at in pairwise(cuts)]
    for part in ("mean", "square", "families", "ancestors"):
        name = f"population_{part}"
        joined = np.concatenate([shard[name].values for shard in shards])
        assert joined.tobytes() == whole[name].values.tobytes()


def test_a_pilot_asks_for_populations_where_plain_networks_are_too_few():
    deep = sampled(streams(40, 8, beta=0.7), X[:1], asked(), (0, 20))
    assert deep["power"].values.tolist() == [1.0, 2.0]
    wide = sampled(streams(2, 128, outputs=64), X[:1], asked(), (0, 20), networks=20_000)
    assert "population_mean" not in wide
    # What a norm has made of a stream of any length is read out.
    normed = streams(40, 8, outputs=64)
    *before, last = normed.layers
    network = Architecture((3,), [*before, RmsNorm(), last], [*normed.ends[:-1], 43])
    assert "population_mean" not in sampled(network, X[:1], asked(), (0, 20))


def test_an_ensemble_takes_its_moments_from_the_populations_beside_it():
    network, x = streams(6, 6, outputs=16), X
    last = len(network.ends)
    about = {"networks": 20_000, "seed": 1}
    plain = sample(
        network, x, layers=[last], record=8, measure=("preactivations", "quartic"), **about
    )
    grown = sample_network_populations(
        network, x, asked(powers=(1.0, 2.0), islands=30, members=400), name=("e",),
        precision="float32", islands=(0, 30), **about,
    )  # fmt: skip
    grown["population_spread"][:] = 20.0
    how = {"seed": 0, "ensemble": "e", "member": "m"}
    families = ["covariance", "four_point"]
    alone = estimate([plain], families, **how)
    both = estimate([plain.merge(grown)], families, **how)
    for name in ("covariance", "four_point", "intralayer"):
        assert "population of power" in both[f"{name}_estimator"].attrs["estimators"]
        error = np.hypot(both[f"{name}_stderr"], alone[f"{name}_stderr"])
        assert np.all(np.abs(both[name] - alone[name]) < 4.5 * error)


def test_a_limit_is_not_meant_to_hold_where_depth_is_comparable_to_width():
    """The third cumulant of 24 linear blocks 16 wide with skips, by the moments of independent
    factors: of |e + n^(-1/2) g|^2 the cumulants are 2, 6/n and 32/n^2."""
    n, blocks, x = 16, 24, X[:1]
    network = streams(blocks, n, "linear", C_W=1.0, outputs=8)
    k1, k2, k3 = 2.0, 6 / n, 32 / n**2
    ratio = [(k1**2 + k2) / k1**2, (k1**3 + 3 * k1 * k2 + k3) / k1**3]
    square, cube = (1 + 2 / n) * ratio[0] ** blocks, (1 + 2 / n) * (1 + 4 / n) * ratio[1] ** blocks
    third = (cube - 3 * square + 2) * (float(x[0] @ x[0]) / 3 * 2**blocks) ** 3
    case = BlockCase(network, x, [blocks + 1], 8, 1000)
    found = with_neglected(predict_blocks(case, ["six_point"]), [], x, blocks=case)
    left = found["six_point_neglected"].sel(order="infinite_width").item()
    assert 0.1 * third < left < 10 * third
