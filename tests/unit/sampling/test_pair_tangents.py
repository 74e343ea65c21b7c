"""Moments of tangent kernels of several inputs: given the forward pass, and from populations."""

import numpy as np
import pytest
import torch

from finitewidth.core.indices import pairs
from finitewidth.core.random import numpy_stream
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.conditional_ntk import conditional_ntk, layer_sums
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.population import tangent_forms, tangents
from finitewidth.sampling.population.potential import TangentPotential
from finitewidth.sampling.population.tangent_forms import Forms, products
from finitewidth.sampling.population.tangent_growth import (
    counted,
    grow_tangents,
    kernel_moments,
)
from finitewidth.sampling.population.tangent_sums import pair_sums
from finitewidth.theory.mlp_ntk.ntk_exact import second_moments

pytestmark = pytest.mark.fast

X = np.array([[1.0, 0.5, -0.5], [0.3, -1.0, 0.8], [0.2, 0.9, 1.4]])
ACTIVATIONS = [("tanh", 0.2), ("gelu", 0.1), ("relu", 0.0), ("leaky_relu(0.3)", 0.3), ("sin", 0.0)]


def mlp(activation="tanh", width=5, depth=4, C_W=1.3, C_b=0.2):
    return Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_W=C_W, C_b=C_b
    )


def rates_of(network, lambda_b=0.4, lambda_W=1.0):
    return LearningRates.named("pdlt", network, lambda_b, lambda_W)


def forward(network, x, networks, seed=0):
    """z, s, slopes and kernels of every hidden layer of networks without weights, float64."""
    generator = torch.Generator().manual_seed(seed)
    gram = network.C_b[0] + network.C_W[0] / 3 * torch.tensor(x @ x.T)
    gram, layers = gram.expand(networks, -1, -1).contiguous(), []
    for layer in range(1, network.depth):
        n = network.widths[layer]
        root = np.linalg.svd(gram.numpy())
        root = torch.tensor(root[0] * np.sqrt(root[1])[:, None])
        z = root @ torch.randn(networks, len(x), n, generator=generator, dtype=torch.float64)
        s = network.activation.on_tensor(torch, z)
        slope = network.activation.derivative_on_tensor(torch, z, s)
        squares = s @ s.transpose(1, 2)
        following = network.C_b[layer] + network.C_W[layer] / n * squares
        layers.append((gram, z, s, slope, squares, following))
        gram = following
    return layers


def carried(network, rates, x, layers):
    """Both moments given the forward pass at the last layer, (pair and product, network)."""
    a, b = pairs(len(x)).T
    term = counted(network, rates, 1, np.sum(x[a] * x[b], axis=1))
    known = tangent_forms.begin(term, len(layers[0][0]))
    for layer, (gram, z, s, slope, squares, following) in enumerate(layers, start=1):
        fresh = network.C_W[layer] / network.widths[layer]
        sums = pair_sums(z, s, slope, gram, following, fresh)
        term = counted(network, rates, layer + 1, squares.numpy()[:, a, b].T)
        known = tangent_forms.beyond(Forms.of(known, len(x)), sums, fresh, term)
    root = np.sqrt(np.einsum("maa->ma", following.numpy()))
    root[root == 0] = np.inf
    correlation = following.numpy() / root[:, :, None] / root[:, None]
    return tangent_forms.moments(Forms.of(known, len(x)), np.moveaxis(correlation, 0, -1))


@pytest.mark.parametrize(("activation", "C_b"), ACTIVATIONS)
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_the_mean_given_the_forward_pass_is_that_of_the_way_back(activation, C_b, inputs):
    """By :func:`conditional_ntk`, which goes from the output down, by other sums."""
    x, network = X[:inputs], mlp(activation, C_b=C_b)
    rates, layers = rates_of(network), forward(network, x, 20)
    sums = [
        layer_sums(z, s, slope, squares, following, network.C_W[layer], None)
        for layer, (_, z, s, slope, squares, following) in enumerate(layers, start=1)
    ]
    a, b = pairs(inputs).T
    expected = conditional_ntk(sums, torch.tensor(x @ x.T), rates, network.widths, network.C_W)
    found = carried(network, rates, x, layers)[: len(a)]
    np.testing.assert_allclose(found, expected.numpy()[:, a, b].T, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("activation", "C_b"), ACTIVATIONS)
def test_of_one_input_they_are_those_of_the_shorter_way(activation, C_b):
    network = mlp(activation, C_b=C_b)
    rates, layers = rates_of(network), forward(network, X[:1], 20)
    known = tangents.first(float(counted(network, rates, 1, X[0] @ X[0])), 20)
    for layer, (gram, z, s, slope, squares, following) in enumerate(layers, start=1):
        fresh, own = network.C_W[layer] / network.widths[layer], (gram.numpy()[:, 0, 0], following)
        raw = tangents.sums_of(z[:, 0], s[:, 0], slope[:, 0])
        term = counted(network, rates, layer + 1, squares.numpy()[:, 0, 0])
        sums = tangents.scaled(raw, own[0], fresh, own[1].numpy()[:, 0, 0])
        known = tangents.beyond(known, sums, fresh, term)
    found = carried(network, rates, X[:1], layers)
    np.testing.assert_allclose(found, tangents.moments(known), rtol=1e-10)


@pytest.mark.parametrize(("activation", "C_b"), ACTIVATIONS)
def test_the_mean_square_given_the_forward_pass_is_that_of_weights_that_fit_it(activation, C_b):
    """Of two networks on two inputs each, over weights and biases that are drawn given what they
    made of the layer before: 40,000 ways back by plain gradients. Of sixty numbers one is beyond 5
    errors in 4e-5 of seeds."""
    x, network = X[:2], mlp(activation, width=3, depth=4, C_b=C_b)
    rates, layers = rates_of(network), forward(network, x, 2, seed=5)
    found = carried(network, rates, x, layers)
    rng, many = np.random.default_rng(2), 40_000
    a, b = pairs(2).T
    first, second = products(2).T
    for k in range(2):
        theta = ways_back(network, rates, x, layers, k, many, rng)[:, a, b]
        each = theta[:, first] * theta[:, second]
        error = np.std(each, axis=0) / np.sqrt(many)
        off = np.abs(np.mean(each, axis=0) - found[len(a) :, k])
        assert np.all(off < 5 * error + 1e-10)


def ways_back(network, rates, x, layers, k, many, rng):
    """Tangent kernels (many, N, N) of weights that fit the forward pass of network ``k``."""
    total, delta, above = 0.0, None, None
    for layer in range(network.depth, 0, -1):
        n = network.widths[layer - 1]
        before = x @ x.T if layer == 1 else layers[layer - 2][4][k].numpy()
        count = rates.lambda_b[layer - 1] + rates.lambda_W[layer - 1] / n * before
        if delta is None:
            # The output, which is Gaussian given the layer before.
            delta = np.ones((many, len(x), 1))
            spread = np.linalg.svd(layers[-1][5][k].numpy())
            root = spread[0] * np.sqrt(spread[1])
            above = np.einsum("ab,mb->ma", root, rng.standard_normal((many, len(x))))[..., None]
        total = total + count * np.einsum("mai,mbi->mab", delta, delta)
        if layer == 1:
            return total
        _, z, s, slope, _, _ = (part[k].numpy() for part in layers[layer - 2])
        # Weights and bias in one row; what is known of each row are its products with ``v``.
        v = np.vstack([s.T, np.ones(len(x))])
        size = np.append(np.full(n, network.C_W[layer - 1] / n), network.C_b[layer - 1])
        row = np.sqrt(size) * rng.standard_normal((many, above.shape[2], n + 1))
        gain = (size[:, None] * v) @ np.linalg.pinv((v.T * size) @ v, rcond=1e-10, hermitian=True)
        W = (row + np.einsum("mai,ja->mij", above - np.einsum("mij,ja->mai", row, v), gain))[
            ..., :n
        ]
        delta = np.einsum("mai,mij->maj", delta, W) * slope
        above = np.broadcast_to(z, (many, *z.shape))
    raise AssertionError


def grown(network, x, islands, members, power, named, potential=None):
    """Means over members of u times each moment, (island, pair and product)."""
    found = []
    for j in range(islands):
        now = grow_tangents(
            network, rates_of(network), x, members, power, torch_stream(*named, j),
            numpy_stream(*named, j), "float32", potential,
        )  # fmt: skip
        found.append(np.mean(np.exp(now.log_weight) * kernel_moments(now), axis=1))
    return np.array(found)


@pytest.mark.parametrize(
    ("activation", "C_b", "power", "of"),
    [("tanh", 0.2, 2.0, None), ("gelu", 0.1, 1.5, 1), ("relu", 0.0, 2.0, None),
     ("relu", 0.1, 0.0, None), ("abs", 0.0, 1.0, 0)],
)  # fmt: skip
def test_populations_tell_the_moments_of_plain_networks(activation, C_b, power, of):
    """Nine moments of two inputs, within 4.5 errors of 50,000 networks and 30 islands: one of 45 is
    beyond in 6e-4 of seeds (t of 29 degrees of freedom)."""
    x, network = X[:2], mlp(activation, C_b=C_b)
    rates = rates_of(network)
    plain = sample_ntk(network, rates, x, networks=50_000, seed=3, outputs=1)["ntk"].values
    a, b = pairs(2).T
    theta = plain[:, 0, 0][:, a, b].astype(float)
    first, second = products(2).T
    each = np.hstack([theta, theta[:, first] * theta[:, second]])
    potential = TangentPotential(network, rates, x, of)
    islands = grown(network, x, 30, 200, power, ("pairs", activation), potential)
    error = np.hypot(np.std(islands, axis=0, ddof=1) / 30**0.5, np.std(each, axis=0) / 50_000**0.5)
    assert np.all(np.abs(islands.mean(axis=0) - each.mean(axis=0)) < 4.5 * error)


def test_an_input_twice_and_one_that_is_zero_are_ordinary():
    """Theta_ab of one and the same input is Theta_aa, member by member."""
    x, network = np.array([X[0], X[0], 0 * X[0]]), mlp("relu", C_b=0.0)
    with np.errstate(all="raise", under="ignore"):
        now = grow_tangents(
            network, rates_of(network, 0.3), x, 40, 2.0, torch_stream("twice"),
            numpy_stream("twice"), "float64",
        )  # fmt: skip
        found = kernel_moments(now)
    assert np.all(np.isfinite(found))
    # Pairs are 00, 01, 02, 11, 12, 22; what biases count is left of the input that is 0.
    for same in (1, 3):
        np.testing.assert_allclose(found[same], found[0], rtol=1e-6)
    np.testing.assert_allclose(found[5], 0.3, rtol=1e-9)


def test_depth_of_two_widths_is_within_reach():
    """E[Theta_aa^2] of two inputs, ReLU, 17 layers 8 wide, of which one has the exact law of one
    input: some 1200 times E[Theta]^2. Twenty islands are within 4.5 errors of it, of some 10 %."""
    x, network = X[:2], mlp("relu", 8, 17, 2.0, 0.0)
    rates = rates_of(network)
    islands = grown(network, x, 20, 300, 2.0, ("deep pairs",))
    exact = second_moments(network, rates, x, [17])
    for a, k in enumerate((3, 8)):
        found = islands[:, k] / (exact.ratio[0, a] * exact.H[0, a] ** 2)
        error = np.std(found, ddof=1) / 20**0.5
        assert error < 0.25
        assert abs(found.mean() - 1) < 4.5 * error
