"""Networks of any layers: both samplers against torch's own networks, tangent kernels against it.

Where laws are compared by Kolmogorov-Smirnov tests, a right sampler fails once in 10^4 runs: every
p-value is held against 10^-4 over their number, and seeds are fixed.
"""

from functools import cache, partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Map
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.network import tangent_kernel
from finitewidth.ntk.structured import Elementwise
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import draws
from finitewidth.sampling.layers.draws import Tile, draw_weights, with_weights, without_weights
from finitewidth.sampling.layers.networks import explicit_tile, marginal_tile, rows_of
from finitewidth.sampling.layers.patches import matrix_of
from finitewidth.sampling.layers.steps import forward
from finitewidth.sampling.layers.tangents import tangent_tile
from finitewidth.sampling.mlp import explicit_ntk, marginal
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import NtkRecorder, Recorder, Workspace
from finitewidth.sampling.streams import Streams
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from small_architectures import convolution, convolutional, dense, two_activations

#: How often a right sampler fails a whole test.
FALSE_ALARM = 1e-4
VECTORS = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.7, -1.1]], dtype=torch.float64)
IMAGES = torch.sin(1.7 * torch.arange(80, dtype=torch.float64)).reshape(2, 2, 4, 5)
ONE_DEAD = torch.stack([IMAGES[0], torch.zeros_like(IMAGES[0])])


def streams(networks, seed=1):
    return Streams([torch_stream(seed, "test")], [networks])


def tile(networks, seed=1, dtype=torch.float64):
    return Tile(streams(networks, seed), Workspace(), dtype, torch.device("cpu"))


def outputs(network, x, networks, draw, seed=1):
    """What comes out, (networks, inputs, channels), of networks drawn in one of two ways."""
    draw = partial(draw, tile=tile(networks, seed))
    rows = rows_of(x, torch.float64)
    for layer in network.layers:
        rows = forward(layer, rows, draw)
    return rows.values


def without_a_matrix(layer):
    """What a kind of layer without weights is in torch."""
    return nn.Flatten() if isinstance(layer, Flatten) else Elementwise(layer.name)


def by_torch(network, x, networks, seed=2):
    """The same of weights that torch draws, network by network, through its own functions."""
    stream = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(networks):
        s = x
        for layer in network.layers:
            if isinstance(layer, Map):
                scale = (layer.C_W / layer.fan_in) ** 0.5
                W = scale * torch.randn(layer.fan_out, layer.fan_in, generator=stream).double()
                b = layer.C_b**0.5 * torch.randn(layer.fan_out, generator=stream).double()
            if isinstance(layer, Dense):
                s = functional.linear(s, W, b)
            elif isinstance(layer, Convolution):
                W = W.view(layer.neurons, layer.channels, *layer.kernel)
                s = functional.conv2d(s, W, b, layer.stride, layer.padding)
            else:
                s = without_a_matrix(layer)(s)
        found.append(s)
    return torch.stack(found)


def statistics_of(z):
    """Numbers of one network each, of outputs z (networks, inputs, channels)."""
    first, second = z[:, 0], z[:, 1]
    return [
        first[:, 0], second[:, -1], first[:, 0] * second[:, 0], first[:, 0] * second[:, 1],
        first[:, 0] * first[:, 1], (first * second).sum(1), first.square().sum(1),
        (first - second).abs().amax(1), z.flatten(1).amax(1), (first * second).square().sum(1),
    ]  # fmt: skip


def p_values(one, other):
    pairs = zip(statistics_of(one), statistics_of(other), strict=True)
    return np.array([stats.ks_2samp(a.numpy(), b.numpy()).pvalue for a, b in pairs])


NETWORKS = {
    "two activations": (two_activations(), VECTORS),
    "narrow": (two_activations(width=1), VECTORS),
    "convolutions": (convolutional(), IMAGES),
    # As many rows as 50, and 12 or fewer numbers in what the matrices multiply.
    "few channels": (convolutional(neurons=1, activation="relu"), IMAGES),
    "no biases": (convolutional(C_b=0.0), IMAGES),
    "dead inputs": (convolutional(activation="relu", C_b=0.0), ONE_DEAD),
}  # fmt: skip


@cache
def wanted(case):
    return by_torch(*NETWORKS[case], 4000)


@pytest.mark.parametrize("draw", [with_weights, without_weights])
@pytest.mark.parametrize("case", NETWORKS)
def test_samplers_draw_what_torchs_own_networks_are(case, draw):
    network, x = NETWORKS[case]
    found = outputs(network, x, 4000, draw)
    assert torch.isfinite(found).all()
    p = p_values(found, wanted(case))
    assert p.min() > FALSE_ALARM / len(p)


def bias_of_each_place(layer, seen, tile):
    """Wrong on purpose: C_b on the diagonal alone."""
    gram = layer.C_W / layer.fan_in * draws.squares_of(seen, tile.workspace)
    gram = gram + layer.C_b * torch.eye(gram.shape[1], dtype=gram.dtype)
    shape = tile.streams.networks, gram.shape[1], layer.fan_out
    normals = tile.streams.normal_(torch.empty(shape, dtype=torch.float64))
    return draws.correlate(gram.expand(len(normals), -1, -1), normals, tile.workspace)


def fan_out_for_fan_in(layer, seen, tile):
    """Wrong on purpose: weights of variance C_W/fan-out."""
    scale = (layer.fan_in / layer.fan_out) ** 0.5
    return without_weights(layer, matrix_of(seen) * scale, tile)


@pytest.mark.parametrize("wrong", [bias_of_each_place, fan_out_for_fan_in])
def test_samplers_that_are_wrong_on_purpose_are_caught(wrong):
    network, x = NETWORKS["convolutions"]
    p = p_values(outputs(network, x, 4000, wrong), wanted("convolutions"))
    assert p.min() < 1e-8


@pytest.mark.parametrize(("activation", "C_b"), [("tanh", 0.2), ("relu", 0.0), ("relu", 0.3)])
def test_general_samplers_have_the_law_of_the_perceptrons_own(activation, C_b):
    one = Perceptron(activation, (3, 4, 5, 3), (C_b,) * 3, (1.5, 2.0, 1.7))
    how = {"layers": [1, 3], "inputs": 2, "neurons": 3, "measure": ("preactivations",)}
    found = []
    for seed, run in enumerate((marginal.sample_tile, marginal_tile, explicit_tile)):
        recorder = Recorder(
            8000, with_norm=one.is_scale_invariant and run is not marginal_tile, **how
        )
        network = one.architecture if run is marginal_tile else one
        run(network, VECTORS, streams(8000, seed), recorder)
        recorder.end_tile(slice(0, 8000))
        found.append(torch.from_numpy(recorder.arrays["preactivation"][:, 1]))
    for a, b in pairwise(found):
        p = p_values(a, b)
        assert p.min() > FALSE_ALARM / (2 * len(p))


def test_an_architecture_that_is_a_perceptron_is_sampled_as_one():
    one = Perceptron("tanh", (3, 4, 5, 3), (0.1,) * 3, (1.5, 2.0, 1.7))
    for sampler in ("marginal", "explicit"):
        how = {"networks": 50, "seed": 3, "sampler": sampler}
        a, b = (sample(network, VECTORS.numpy(), **how) for network in (one, one.architecture))
        assert a.identical(b)
        rates = LearningRates.named("ntk", one)
        a, b = (sample_ntk(n, rates, VECTORS.numpy(), **how) for n in (one, one.architecture))
        assert a.identical(b)


@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
def test_ensembles_of_networks_on_vectors(sampler):
    network = two_activations()
    found = sample(network, VECTORS.numpy(), networks=4000, seed=5, sampler=sampler)
    assert found["width"].values.tolist() == [5, 6, 2]
    z = torch.from_numpy(found["preactivation"].sel(layer=3).values)
    p = p_values(z, wanted("two activations"))
    assert p.min() > FALSE_ALARM / len(p)


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(ValueError, match="do not fit a network of 2 channels on 4 x 5 places"):
        sample(convolutional(), IMAGES.transpose(1, 3).numpy(), networks=2, seed=1)
    uniform = two_activations(weights="uniform")
    with pytest.raises(ValueError, match="use the explicit sampler"):
        sample(uniform, VECTORS.numpy(), networks=2, seed=1)
    rates = LearningRates.named("ntk", uniform)
    with pytest.raises(ValueError, match="integrates out normal weights only"):
        sample_ntk(uniform, rates, VECTORS.numpy(), networks=2, seed=1)


def kernels_of(run, network, x, networks, rates, k, seed=4):
    kernels = NtkRecorder(networks, len(x), k)
    run(network, rates, x, streams(networks, seed), None, kernels, torch.float64)
    kernels.end_tile(slice(0, networks))
    return kernels.arrays


def test_tangent_kernels_are_those_of_the_perceptrons_own_way():
    one = Perceptron("gelu", (3, 4, 5, 3), (0.2, 0.0, 0.1), (1.5, 2.0, 1.7))
    rates = LearningRates((0.4, 0.5, 0.6), (1.1, 1.2, 1.3))
    a = kernels_of(explicit_ntk.sample_tile, one, VECTORS, 20, rates, 2)
    b = kernels_of(tangent_tile, one.architecture, VECTORS, 20, rates, 2)
    for name, values in a.items():
        np.testing.assert_allclose(b[name], values, rtol=1e-11, atol=1e-12, err_msg=name)


def module(network, weights, biases):
    """One network as torch's own modules."""
    parts, maps = [], iter(zip(weights, biases, strict=True))
    for layer in network.layers:
        if isinstance(layer, Dense):
            parts.append(nn.Linear(layer.inputs, layer.neurons))
        elif isinstance(layer, Convolution):
            sizes = layer.channels, layer.neurons, layer.kernel, layer.stride, layer.padding
            parts.append(nn.Conv2d(*sizes))
        else:
            parts.append(without_a_matrix(layer))
        if isinstance(layer, Map):
            W, b = next(maps)
            parts[-1].weight = nn.Parameter(W.reshape(parts[-1].weight.shape))
            parts[-1].bias = nn.Parameter(b)
    return nn.Sequential(*parts)


@pytest.mark.parametrize("case", [case for case in NETWORKS if case != "dead inputs"])
def test_tangent_kernels_are_those_of_automatic_differentiation(case):
    network, x = NETWORKS[case]
    rates = LearningRates(tuple(0.3 + np.arange(3)), tuple(1.1 * (1 + np.arange(3))))
    found = kernels_of(tangent_tile, network, x, 3, rates, 2)
    again = tile(3, 4)
    drawn = [draw_weights(layer, again, f"{k}") for k, layer in enumerate(network.maps)]
    for number, theta in enumerate(found["ntk"]):
        weights = [W[number] for W, _ in drawn]
        biases = [W.new_zeros(len(W[0])) if b is None else b[number] for W, b in drawn]
        model = module(network, weights, biases)
        by_jacobian = tangent_kernel(model, x, "jacobian", rates).total.detach().numpy()
        np.testing.assert_allclose(theta, by_jacobian, rtol=1e-10, atol=1e-10)
        z = model(x).T.detach().numpy()
        np.testing.assert_allclose(found["output_preactivation"][number], z, rtol=1e-12, atol=1e-12)


def test_means_are_those_of_infinite_width_where_these_are_exact():
    # With one hidden layer at any width: what comes into it is given, and so it is Gaussian.
    network = Architecture(
        (2, 4, 5), [convolution(2, 3, stride=2), Nonlinearity("tanh"), Flatten(), dense(27, 1)]
    )
    rates = LearningRates((0.4, 0.5), (1.1, 1.2))
    theory = infinite_width_kernels(network, IMAGES.numpy(), rates)[-1]
    found = kernels_of(tangent_tile, network, IMAGES, 20000, rates, 1)
    theta = found["ntk"][:, 0, 0]
    z = found["output_preactivation"][:, 0]
    for values, exact in ((theta, theory.ntk), (z[:, :, None] * z[:, None], theory.nngp)):
        error = values.std(0) / len(values) ** 0.5
        # Six numbers, of which one is beyond this in 10^5 runs.
        assert (np.abs(values.mean(0) - exact) < 4.9 * error).all()
        assert (error < 0.03 * np.abs(exact).max()).all()
