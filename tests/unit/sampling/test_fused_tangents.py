"""The compiled sampler of tangent kernels, network by network, against numpy on the same counters.

tests/unit/sampling/test_ntk_samplers.py holds it against the other samplers in distribution, where
inputs depend on each other, too.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.indices import pairs
from finitewidth.models.activations import table
from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused import activations, marginal, tangents
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import Recorder
from plain_tangents import MISTAKES, named
from plain_tangents import tangents as plain

#: Differences allowed, as a share of the largest number: rounding of so many layers.
CLOSE = {"float32": 3e-4, "float64": 1e-10}
ALL = ("ntk", "preactivations", "quartic", "sextic")


def inputs(count, dimension=5):
    return np.random.default_rng(count).standard_normal((count, dimension))


def law(activation="tanh", widths=(70, 40, 257, 3), C_b=0.2, C_W=1.8, dimension=5):
    """Layers differ in all that they can differ in."""
    steps = range(len(widths))
    mlp = Perceptron(
        activation,
        (dimension, *widths),
        tuple(C_b * (1 + k) for k in steps),
        tuple(C_W + k / 10 for k in steps),
    )
    rates = LearningRates(tuple(0.3 + k / 5 for k in steps), tuple(1.2 - k / 5 for k in steps))
    return mlp, rates


def assert_as_in_numpy(mlp, rates, x, samples, seed, close, name=()):
    k = samples.sizes["output"]
    draw = named(seed, name, samples["network"].values)
    theta, z, kernel = plain(mlp, rates, x, draw, k)
    a, b = pairs(len(x)).T
    for variable, exact in (
        ("ntk", theta),
        ("output_preactivation", z),
        ("conditional_kernel", kernel[:, a, b]),
    ):
        gap = np.abs(samples[variable].values - exact).max()
        assert gap < close * np.abs(exact).max(), (variable, gap)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("activation", [*table.TABLE, "leaky_relu(-0.3)"])
def test_every_activation(activation, precision):
    for C_b in (0.0, 0.2):
        mlp, rates = law(activation, C_b=C_b)
        x = inputs(2)
        samples = sample_ntk(
            mlp, rates, x, networks=3, seed=5, name=("e", "m"), precision=precision
        )
        assert samples.attrs["precision"] == precision
        assert_as_in_numpy(mlp, rates, x, samples, 5, CLOSE[precision], ("e", "m"))


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_inputs_and_several_outputs(count, precision):
    x = inputs(count, 9)
    for outputs in (1, 3):
        mlp, rates = law("gelu", (65, 300, 33, 4), dimension=9)
        samples = sample_ntk(
            mlp, rates, x, networks=2, seed=1, outputs=outputs, precision=precision
        )
        assert_as_in_numpy(mlp, rates, x, samples, 1, CLOSE[precision] * count)


@pytest.mark.parametrize("width", [2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000])
def test_widths_about_the_sizes_of_pieces(width):
    # cos(0) is not 0: what stands behind the last neuron would be seen.
    for activation, C_b in (("cos", 0.3), ("abs", 0.0)):
        mlp, rates = law(activation, (width, width, width), C_b)
        x = inputs(1)
        samples = sample_ntk(mlp, rates, x, networks=4, seed=2, precision="float64", outputs=2)
        assert_as_in_numpy(mlp, rates, x, samples, 2, 1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_few_layers(depth):
    mlp, rates = law("relu", (50,) * depth, 0.1)
    x = inputs(3)
    samples = sample_ntk(mlp, rates, x, networks=4, seed=2, precision="float64")
    assert_as_in_numpy(mlp, rates, x, samples, 2, 1e-10)


def test_more_outputs_than_pass_the_cache_together():
    mlp, rates = law("tanh", (40, 300), 0.1)
    x = inputs(1)
    samples = sample_ntk(mlp, rates, x, networks=2, seed=2, precision="float64", outputs=300)
    assert samples.sizes["output"] == 300
    theta, z, _ = plain(mlp, rates, x, named(2, (), [0, 1]), 300)
    assert np.allclose(samples["ntk"], theta, rtol=0, atol=1e-10 * np.abs(theta).max())
    assert np.allclose(samples["output_preactivation"], z, rtol=1e-10)


@pytest.mark.parametrize(("activation", "C_b"), [("relu", 0.0), ("relu", 0.2), ("silu", 0.1)])
def test_layers_recorded_are_those_of_the_marginal_sampler(activation, C_b):
    """To the byte; and what is recorded changes no tangent kernel."""
    mlp, rates = law(activation, C_b=C_b, widths=(70, 300, 40, 50))
    x, few = inputs(3), {"networks": 5, "seed": 3}
    alone = sample_ntk(mlp, rates, x, **few)
    for measure, layers in ((ALL, (1, 2, 3, 4)), (ALL[:3], (2, 4)), (ALL[:2], (3,))):
        both = sample_ntk(mlp, rates, x, measure=measure, layers=layers, record=40, **few)
        for name in alone.data_vars:
            assert np.array_equal(alone[name], both[name]), name
        recorder = Recorder(5, layers, 3, 40, measure, mlp.is_scale_invariant)
        marginal.fill(mlp, x, recorder.arrays, name=(), layers=layers, first=0, **few)
        assert recorder.arrays
        for name, values in recorder.arrays.items():
            # Sums of two and three inputs are made in other pieces, of the same products.
            close = 1e-13 if name == "kernel" else 0
            assert np.allclose(both[name], values, rtol=close, atol=0), name


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("activation", ["relu", "tanh", "bump"])
def test_any_division_of_the_work_gives_the_same_bytes(activation, precision, bump, monkeypatch):
    mlp, rates = law(activation, (300, 1500, 40), 0.0)
    about = {"networks": 1500, "seed": 4, "measure": ALL[:3], "precision": precision}
    x = inputs(2)
    whole = sample_ntk(mlp, rates, x, **about)
    parts = [sample_ntk(mlp, rates, x, blocks=part, **about) for part in ((0, 1), (1, 3))]
    monkeypatch.setattr(tangents, "TILE", 10**5)
    monkeypatch.setattr(tangents, "KEPT", 10**5)
    assert whole.equals(sample_ntk(mlp, rates, x, **about))
    for name in whole.data_vars:
        assert np.array_equal(np.concatenate([p[name].values for p in parts]), whole[name].values)
    # Nor does an ensemble's size matter to its first networks, or a second output to the first.
    few = sample_ntk(mlp, rates, x, **about | {"networks": 3})
    assert few.equals(whole.isel(network=slice(3)))
    one = sample_ntk(mlp, rates, x, **about | {"networks": 3}, outputs=1)
    assert np.array_equal(one["ntk"][:, 0, 0], few["ntk"][:, 0, 0])


def test_progress_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(tangents, "TILE", 4 * 4 * 370)
    mlp, rates = law()
    sample_ntk(mlp, rates, inputs(1), networks=10, seed=1, on_tile=lambda *at: told.append(at))
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.fixture
def bump(monkeypatch):
    """An activation that the kernels do not know."""
    activation = Activation(
        "bump",
        lambda z: np.exp(-z * z / 2),
        lambda z: -z * np.exp(-z * z / 2),
        lambda torch, z: torch.exp(-z * z / 2),
        derivative_on_tensor_=lambda torch, z, s: -z * s,
        second_on_tensor=lambda torch, z: (z * z - 1) * torch.exp(-z * z / 2),
    )
    monkeypatch.setitem(table.TABLE, "bump", activation)
    return activation


@pytest.mark.parametrize("precision", CLOSE)
def test_an_activation_that_the_kernels_do_not_know(precision, bump):
    assert activations.code_of(bump) is None
    for count in (1, 3):
        mlp, rates = law("bump")
        samples = sample_ntk(
            mlp, rates, inputs(count), networks=5, seed=1, measure=ALL, precision=precision
        )
        assert_as_in_numpy(mlp, rates, inputs(count), samples, 1, CLOSE[precision])


def test_both_ways_give_the_same_networks(monkeypatch):
    mlp, rates = law("tanh")
    about = {"networks": 8, "seed": 1, "measure": ALL, "precision": "float64"}
    one = sample_ntk(mlp, rates, inputs(3), **about)
    monkeypatch.delitem(activations.CODES, "tanh")
    monkeypatch.setattr(tangents, "KEPT", 3000)
    other = sample_ntk(mlp, rates, inputs(3), **about)
    for name in one.data_vars:
        size = np.abs(one[name]).max()
        assert np.allclose(one[name], other[name], rtol=1e-6, atol=1e-10 * size), name


@pytest.mark.parametrize("C_b", [0.0, 0.3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("precision", CLOSE)
def test_inputs_that_say_the_same_have_the_same_kernel(activation, C_b, precision):
    """A duplicate, an opposite, a zero and a scaled input: six that span two dimensions."""
    one, two = inputs(2)
    mlp, rates = law(activation, C_b=C_b)
    about = {"networks": 20, "seed": 1, "precision": precision}
    x = np.stack([one, one, -one, two, 0 * one, 2 * one])
    theta = sample_ntk(mlp, rates, x, **about)["ntk"].values
    size, close = np.abs(theta).max(), CLOSE[precision]
    assert np.isfinite(theta).all()
    assert np.abs(theta[..., 0, :] - theta[..., 1, :]).max() < close * size
    assert np.abs(theta[..., 0, 0] - theta[..., 1, 1]).max() < close * size
    assert np.linalg.eigvalsh(theta[:, 0, 0]).min() > -close * size
    if not C_b:
        zero = theta[:, 0, 0, 4, 4]
        bias_only = rates.lambda_b[-1]
        if activation == "relu":
            # z = 0 in every layer, and the slope at the kink is 0.
            assert np.allclose(zero, bias_only, rtol=1e-12)
            # Scaling an input scales its row, but for what biases add.
            gap = theta[:, 0, 0, 5, 3] - 2 * theta[:, 0, 0, 0, 3]
            shared = sample_ntk(mlp, LearningRates(rates.lambda_b, (0.0,) * 4), x, **about)[
                "ntk"
            ].values[:, 0, 0]
            assert np.abs(gap + shared[:, 0, 3]).max() < close * size
        else:
            # tanh(-z) = -tanh(z).
            assert (zero > bias_only + 1e-3).all()
            flipped = theta[:, 0, 0, 0, 0] - theta[:, 0, 0, 2, 2]
            assert np.abs(flipped).max() < close * size


def test_dead_layers_and_layers_without_weights():
    rates = law()[1]
    for C_W in ((2.0, 0.0, 2.0, 2.0), (2.0, 2.0, 2.0, 0.0), (0.0,) * 4):
        for activation, C_b in (("relu", 0.0), ("tanh", 0.3)):
            mlp = Perceptron(activation, (5, 40, 40, 40, 2), (C_b,) * 4, C_W)
            samples = sample_ntk(mlp, rates, inputs(2), networks=5, seed=1, precision="float64")
            theta = samples["ntk"].values
            assert np.isfinite(theta).all()
            # Below a layer without weights nothing is felt of the parameters.
            at = max(layer for layer in range(1, 5) if C_W[layer - 1] == 0)
            short = LearningRates(
                (0.0,) * (at - 1) + rates.lambda_b[at - 1 :],
                (0.0,) * (at - 1) + rates.lambda_W[at - 1 :],
            )
            above = sample_ntk(mlp, short, inputs(2), networks=5, seed=1, precision="float64")
            assert np.array_equal(above["ntk"], theta)
            if at == 4:
                assert np.allclose(theta[:, 0, 1], 0)


def test_narrow_layers_die_as_often_as_they_should():
    # Two neurons of a ReLU in each of three layers, one input: alive with (3/4)^3.
    mlp = Perceptron("relu", (3, 2, 2, 2, 1), (0.0,) * 4, (2.0,) * 4)
    rates = LearningRates.named("ntk", mlp)
    samples = sample_ntk(mlp, rates, inputs(1, 3), networks=40_000, seed=1)
    dead = samples["ntk"].values.ravel() == 0
    assert np.array_equal(dead, samples["conditional_kernel"].values.ravel() == 0)
    # 4.5 standard errors: once in 150,000 choices of the seed.
    assert dead.mean() == pytest.approx(1 - 0.75**3, abs=4.5 * 0.5 / 200)


def test_scales_of_any_size_come_back():
    """Single precision will do for networks whose kernels leave its range, whatever they do."""
    x = inputs(2)
    for C_W in (1e-4, 1e4):
        mlp = Perceptron("relu", (5, *(40,) * 30, 1), (0.0,) * 31, (C_W,) * 31)
        rates = LearningRates((0.0,) * 31, (1.0,) * 31)
        samples = sample_ntk(mlp, rates, x, networks=4, seed=1)
        critical = Perceptron("relu", (5, *(40,) * 30, 1), (0.0,) * 31, (2.0,) * 31)
        same = sample_ntk(critical, rates, x, networks=4, seed=1)
        # Two slopes and equal rates: each of 30 factors C_W stands before the same numbers.
        expected = same["ntk"].values * (C_W / 2) ** 30
        assert np.allclose(samples["ntk"].values, expected, rtol=2e-3)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_precisions_give_the_same_networks(activation):
    mlp, rates = law(activation, C_b=0.0 if activation == "relu" else 0.2)
    x = np.concatenate([inputs(3), inputs(3)[:1] + 1e-3])
    one, other = (
        sample_ntk(mlp, rates, x, networks=50, seed=1, precision=precision)["ntk"].values
        for precision in CLOSE
    )
    assert not np.array_equal(one, other)
    assert np.abs(one - other).max() < 1e-3 * np.abs(other).max()


def _by_differentiation(mlp, rates, x, networks, outputs):
    """Tangent kernels of drawn weights, by torch.func alone."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(b, a) for a, b in zip(mlp.widths, mlp.widths[1:], strict=False)]
    weights = [torch.randn(networks, *s, generator=generator, dtype=torch.float64) for s in shapes]
    weights = [w * (C / s[1]) ** 0.5 for w, C, s in zip(weights, mlp.C_W, shapes, strict=True)]
    biases = [
        torch.randn(networks, s[0], generator=generator, dtype=torch.float64) * C**0.5
        for s, C in zip(shapes, mlp.C_b, strict=True)
    ]
    own = {"relu": torch.relu, "tanh": torch.tanh}[mlp.activation_name]

    def of_one(weights, biases, one):
        s = one
        for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
            z = W @ (s if layer == 0 else own(s)) + b
            s = z
        return z[:outputs]

    J = torch.func.vmap(
        torch.func.vmap(torch.func.jacrev(of_one, argnums=(0, 1)), (None, None, 0)), (0, 0, None)
    )(weights, biases, torch.from_numpy(x))
    z = torch.func.vmap(torch.func.vmap(of_one, (None, None, 0)), (0, 0, None))(
        weights, biases, torch.from_numpy(x)
    )
    theta = 0
    for layer, (W, b) in enumerate(zip(*J, strict=True)):
        rate = rates.lambda_W[layer] / mlp.widths[layer]
        theta = theta + rate * torch.einsum("naiuv,nbjuv->nijab", W, W)
        theta = theta + rates.lambda_b[layer] * torch.einsum("naiu,nbju->nijab", b, b)
    return theta.numpy(), z.transpose(1, 2).numpy()


def _statistics(theta, z):
    k, N = theta.shape[1], theta.shape[3]
    det = np.linalg.det(theta[:, 0, 0])
    found = [theta[:, 0, 0, 0, 0], theta[:, 0, 0, 0, N - 1], theta[:, k - 1, k - 1, N - 1, N - 1]]
    found += [theta[:, 0, k - 1, 0, N - 1], z[:, 0, 0] * z[:, 0, N - 1] * theta[:, 0, 0, 0, N - 1]]
    found += [
        z[:, 0, 0] * z[:, k - 1, 0] * theta[:, 0, k - 1, 0, 0],
        theta[:, 0, 0, 0, 0] * theta[:, k - 1, k - 1, 0, 0],
    ]
    # Atoms, as of dead networks, are the same number but for rounding.
    return [np.round(values, 9) for values in (*found, det)]


#: Eight numbers a comparison, 5 comparisons that must pass: chance fails once in 25,000 seeds.
LEAST_P = 1e-6
SMALL = {"relu": (0.2, (3, 4, 3, 3, 2)), "tanh": (0.3, (3, 3, 4, 2, 2))}


@pytest.mark.parametrize("activation", SMALL)
def test_in_distribution_against_drawn_weights_and_differentiation(activation):
    C_b, widths = SMALL[activation]
    mlp = Perceptron(activation, widths, (C_b,) * 4, (1.6, 2.0, 1.4, 1.8))
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    x, networks = inputs(2, 3), 20_000
    right = _statistics(*_by_differentiation(mlp, rates, x, networks, 2))
    for precision in CLOSE:
        samples = sample_ntk(mlp, rates, x, networks=networks, seed=1, precision=precision)
        found = _statistics(samples["ntk"].values, samples["output_preactivation"].values)
        for one, other in zip(right, found, strict=True):
            assert stats.ks_2samp(one, other).pvalue > LEAST_P


@pytest.mark.parametrize("mistake", ["", *MISTAKES])
def test_mistakes_on_the_way_back_are_told(mistake):
    """The formula passes that test, and each slip in it does not."""
    mlp = Perceptron("tanh", (3, 3, 4, 3, 2), (0.3,) * 4, (1.6, 2.0, 1.4, 1.8))
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    x, networks, rng = inputs(2, 3), 20_000, np.random.default_rng(3)

    def draw(stream, layer, rows, width):
        return rng.standard_normal((networks, rows, width))

    right = _statistics(*_by_differentiation(mlp, rates, x, networks, 2))
    found = _statistics(*plain(mlp, rates, x, draw, 2, mistake)[:2])
    worst = min(stats.ks_2samp(one, other).pvalue for one, other in zip(right, found, strict=True))
    assert (worst < LEAST_P) == bool(mistake), worst
