"""Populations of tangent kernels: moments given the forward pass, and no bias."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.stages import Population
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.conditional_ntk import conditional_ntk, layer_sums
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.population import tangents
from finitewidth.sampling.population.tangent_growth import counted, grow_tangents, log_moments
from finitewidth.sampling.population.tangent_populations import sample_tangent_populations
from finitewidth.theory.mlp_ntk.ntk_exact import second_moments

pytestmark = pytest.mark.fast

X = np.array([[1.0, 0.5, -0.5]])


def mlp(activation="tanh", width=5, depth=4, C_W=1.3, C_b=0.2):
    return Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_W=C_W, C_b=C_b
    )


def rates_of(network, lambda_b=0.4, lambda_W=1.0):
    return LearningRates.named("pdlt", network, lambda_b, lambda_W)


def forward(network, networks, seed=0):
    """z, s and slopes of every hidden layer of networks without weights, float64."""
    generator = torch.Generator().manual_seed(seed)
    gram = torch.full((networks,), network.C_b[0] + network.C_W[0] / 3 * float(X[0] @ X[0]))
    gram = gram.double()
    layers = []
    for layer in range(1, network.depth):
        n = network.widths[layer]
        z = torch.randn(networks, n, generator=generator, dtype=torch.float64)
        z = z * gram[:, None].sqrt()
        s = network.activation.on_tensor(torch, z)
        slope = network.activation.derivative_on_tensor(torch, z, s)
        squares = (s * s).sum(dim=1)
        following = network.C_b[layer] + network.C_W[layer] / n * squares
        layers.append((gram, z, s, slope, squares, following))
        gram = following
    return layers


def carried(network, rates, layers):
    """The coefficients at the last layer."""
    term = float(counted(network, rates, 1, float(X[0] @ X[0])))
    known = tangents.first(term, len(layers[0][0]))
    for layer, (gram, z, s, slope, squares, following) in enumerate(layers, start=1):
        fresh = network.C_W[layer] / network.widths[layer]
        sums = tangents.scaled(
            tangents.sums_of(z, s, slope), gram.numpy(), fresh, following.numpy()
        )
        term = counted(network, rates, layer + 1, squares.numpy())
        known = tangents.beyond(known, sums, fresh, term)
    return known


ACTIVATIONS = [("tanh", 0.2), ("gelu", 0.1), ("relu", 0.0), ("leaky_relu(0.3)", 0.3), ("sin", 0.0)]


@pytest.mark.parametrize(("activation", "C_b"), ACTIVATIONS)
def test_the_mean_given_the_forward_pass_is_that_of_the_way_back(activation, C_b):
    """By :func:`conditional_ntk`, which goes from the output down, by other sums."""
    network = mlp(activation, C_b=C_b)
    rates, layers = rates_of(network), forward(network, 20)
    sums = [
        layer_sums(
            z[:, None], s[:, None], slope[:, None], squares[:, None, None],
            following[:, None, None], network.C_W[layer], None,
        )
        for layer, (_, z, s, slope, squares, following) in enumerate(layers, start=1)
    ]  # fmt: skip
    first = torch.tensor(X @ X.T)
    expected = conditional_ntk(sums, first, rates, network.widths, network.C_W)[:, 0, 0]
    one, _ = tangents.moments(carried(network, rates, layers))
    np.testing.assert_allclose(one, expected.numpy(), rtol=1e-10)


@pytest.mark.parametrize(("activation", "C_b"), ACTIVATIONS)
def test_the_mean_square_given_the_forward_pass_is_that_of_weights_that_fit_it(activation, C_b):
    """Of two networks each, over weights and biases that are drawn given what they made of the
    layer before: 40,000 ways back by plain gradients. Of ten numbers one is beyond 4.5 errors in
    7e-5 of seeds."""
    network = mlp(activation, width=3, depth=3, C_b=C_b)
    rates, layers = rates_of(network), forward(network, 2, seed=1)
    _, square = tangents.moments(carried(network, rates, layers))
    rng = np.random.default_rng(2)
    many = 40_000
    for k in range(2):
        total, delta, z_above = np.zeros(many), None, None
        for layer in range(network.depth, 0, -1):
            n = network.widths[layer - 1]
            before = float(X[0] @ X[0]) if layer == 1 else float(layers[layer - 2][4][k])
            count = rates.lambda_b[layer - 1] + rates.lambda_W[layer - 1] / n * before
            if delta is None:
                # The output, which is Gaussian given the layer before.
                delta = np.ones((many, 1))
                z_above = np.sqrt(float(layers[-1][5][k])) * rng.standard_normal((many, 1))
            total += count * np.sum(delta**2, axis=1)
            if layer == 1:
                break
            _, z, s, slope, _, _ = (part[k].numpy() for part in layers[layer - 2])
            # Weights and bias in one row; what is known of each row is its product with ``v``.
            v = np.append(s, 1.0)
            size = np.append(np.full(n, network.C_W[layer - 1] / n), network.C_b[layer - 1])
            row = np.sqrt(size) * rng.standard_normal((many, z_above.shape[1], n + 1))
            # Of a dead layer without bias nothing is known.
            off = (z_above - row @ v) / max((size * v) @ v, 1e-300)
            W = (row + off[..., None] * (size * v))[..., :n]
            delta = np.einsum("mi,mij->mj", delta, W) * slope
            z_above = np.broadcast_to(z, (many, n))
        error = np.std(total**2) / np.sqrt(many)
        assert abs(np.mean(total**2) - square[k]) < 4.5 * error + 1e-12


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu(0.3)", "abs"])
def test_a_short_layer_adds_up_what_its_neurons_would(activation, monkeypatch):
    """Given the same normals: how many are positive, and their squares on either side."""
    network = mlp(activation, C_b=0.0)
    z = torch.randn(50, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    s = network.activation.on_tensor(torch, z)
    expected = tangents.sums_of(z, s, network.activation.derivative_on_tensor(torch, z, s))
    on = z.numpy() > 0
    plus, minus = network.activation.slope_pair
    sides = [np.sum(np.where(side, z.numpy() ** 2, 0), axis=1) for side in (on, ~on)]
    drawn = (
        [sum(sides)]
        if plus**2 == minus**2
        else [q for q, a in zip(sides, (plus, minus), strict=True) if a]
    )

    class Given:
        def binomial(self, n, p, size):
            return on.sum(axis=1)

        def standard_gamma(self, shape):
            return drawn.pop(0) / 2

    found = tangents.two_slopes((plus, minus), 5, 50, Given())
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("activation", "C_b", "power"),
    [("tanh", 0.2, 2.0), ("gelu", 0.1, 1.0), ("relu", 0.0, 2.0), ("relu", 0.1, 0.0)],
)
def test_populations_tell_the_moments_of_plain_networks(activation, C_b, power):
    """Two moments each, within 4.5 errors of 50,000 networks and 40 islands."""
    network = mlp(activation, C_b=C_b)
    rates = rates_of(network)
    plain = sample_ntk(network, rates, X, networks=50_000, seed=3, outputs=1)["ntk"].values.ravel()
    islands = []
    for j in range(40):
        named = ("tangents", activation, j)
        streams = torch_stream(*named), numpy_stream(*named)
        now = grow_tangents(network, rates, X, 300, power, *streams, "float32")
        islands.append([np.mean(np.exp(now.log_weight + part)) for part in log_moments(now)])
    islands = np.array(islands)
    for m in (1, 2):
        error = np.std(islands[:, m - 1], ddof=1) / np.sqrt(40)
        error = np.hypot(error, np.std(plain**m) / np.sqrt(len(plain)))
        assert abs(np.mean(islands[:, m - 1]) - np.mean(plain**m)) < 4.5 * error


@pytest.mark.parametrize("activation", ["relu", "leaky_relu(0.4)"])
def test_depth_of_four_widths_is_within_reach(activation):
    """E[Theta^2] of 33 layers 8 wide, some 10^6 times E[Theta]^2, which no ensemble of plain
    networks meets: twenty islands are within 4.5 errors of the exact value, of some 5 %."""
    slopes = {"relu": 1.0, "leaky_relu(0.4)": 1.16}[activation]
    network = mlp(activation, 8, 33, 2 / slopes, 0.0)
    rates = rates_of(network, 0.0)
    exact = second_moments(network, rates, X, [33])
    square = float(exact.ratio[0, 0] * exact.H[0, 0] ** 2)
    found = []
    for j in range(20):
        streams = torch_stream("deep", activation, j), numpy_stream("deep", activation, j)
        now = grow_tangents(network, rates, X, 2000, 2.0, *streams, "float32")
        found.append(np.mean(np.exp(now.log_weight + log_moments(now)[1])) / square)
    error = np.std(found, ddof=1) / np.sqrt(20)
    assert error < 0.12
    assert abs(np.mean(found) - 1) < 4.5 * error


def asked(**change):
    about = {"powers": (), "orders": (), "islands": 5, "members": 60, "tangents": (1, 2)}
    return Population(**about | {"of": None, "exact": True} | change)


def sampled(network, population, islands, networks=100):
    return sample_tangent_populations(
        network, rates_of(network), X, population, networks=networks, seed=3, name=("e", "m"),
        precision="float32", islands=islands,
    )  # fmt: skip


@pytest.mark.parametrize("network", [mlp(), mlp("relu", C_b=0.0)], ids=["tanh", "relu"])
@pytest.mark.parametrize("cuts", [(0, 5), (0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_an_island_does_not_depend_on_which_job_draws_it(network, cuts):
    whole = sampled(network, asked(powers=(2.0, 1.0)), (0, 5))
    shards = [sampled(network, asked(powers=(2.0, 1.0)), at) for at in pairwise(cuts)]
    for part in ("mean", "square", "families", "ancestors"):
        name = f"population_tangent_{part}"
        joined = np.concatenate([shard[name].values for shard in shards])
        assert joined.tobytes() == whole[name].values.tobytes()
    means = whole["population_tangent_mean"].values
    assert len({island.tobytes() for island in means}) == 5


def test_a_pilot_asks_for_populations_where_plain_networks_are_too_few():
    deep, wide = mlp("relu", 8, 17, 2.0, 0.0), mlp("relu", 512, 3, 2.0, 0.0)
    found = sampled(deep, asked(), (0, 5), networks=1000)
    assert found["tangent_power"].values.tolist() == [1.0, 2.0]
    assert found["population_tangent_needed"].values.tolist() == [1, 1]
    found = sampled(wide, asked(), (0, 5), networks=20_000)
    assert "population_tangent_mean" not in found
    assert found["population_tangent_needed"].values.tolist() == [0, 0]
    # A variance is about a mean that it takes from a population, too.
    medium = sampled(mlp("relu", 64, 9, 2.0, 0.0), asked(), (0, 5), networks=100_000)
    assert medium["population_tangent_needed"].values.tolist() == [0, 1]
    assert medium["tangent_power"].values.tolist() == [1.0, 2.0]


def test_an_island_of_dead_networks_tells_what_is_left_of_its_kernels():
    """One neuron a layer of ReLU: after 29 layers nobody lives, and nothing is divided by 0."""
    network = mlp("relu", 1, 30, 2.0, 0.0)
    with np.errstate(all="raise"):
        now = grow_tangents(
            network, rates_of(network, 0.4), X, 50, 2.0,
            torch_stream("dead"), numpy_stream("dead"), "float32",
        )  # fmt: skip
        one, square = tangents.moments(now.tangent)
    assert np.all(np.isfinite(one))
    assert np.all(one >= 0.4)
    assert np.all(square >= one**2 * (1 - 1e-12))
