"""Kernels of data sets, block by block, against the steps that take all rows at once, golden
numbers, and drawn networks."""

import itertools
import json
import tracemalloc
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import finitewidth as fw
from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer import Layer
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.theory.gaussian import dual_pairs
from finitewidth.theory.gaussian.expectations import covariance
from finitewidth.theory.gaussian.many_pairs import Series, pair_means
from finitewidth.theory.gaussian.slopes import slope_covariance
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.kernels import Kernels
from finitewidth.theory.layers.kernels import step as whole_step
from finitewidth.theory.pairs.plan import Plan
from small_blocks import through

GOLDEN = json.loads((Path(__file__).parent / "places_golden.json").read_text())
ACTIVATIONS = [*sorted(TABLE), "leaky_relu(-0.3)"]
LAW = {"width": 8, "C_W": 1.7, "C_b": 0.1, "outputs": 2}
STREAM = [
    {"repeat": 2, "residual": {"norm": "layer", "gamma": 0.8}},
    {"branch": [{"dense": {"width": "2n"}}, "dense"]},
    {"residual": {"norm": "rms", "place": "post", "eps": 0.1}},
]


def vectors(activation, blocks=STREAM, readout=None, **law):
    keys = {"inputs": 3, "blocks": blocks, "readout": readout or {"norm": "same"}}
    return fw.network(activation, **keys, **LAW | law)


def images(activation, pool, blocks, inputs=(2, 4, 6), **law):
    return fw.network(activation, inputs=inputs, blocks=blocks, embed={"map": "conv"},
                      readout={"pool": pool}, **LAW | law)  # fmt: skip


def conv(**keys):
    return {"branch": [{"conv": keys}]}


SKIP = {"residual": {"norm": "rms"}, "branch": ["conv"]}
WIDE = {"residual": {"norm": "layer"}, "branch": ["conv", {"dense": {"width": "2n"}}, "dense"]}
POOL = {"branch": [{"pool": {"average": 2}}]}
IMAGES = {
    "flatten": ("flatten", [SKIP, conv(padding="zero", stride=2)], (2, 5, 7)),
    "average": ("average", [WIDE, conv(kernel=5, padding="zero")], (2, 4, 6)),
    "a pool between": ("average", [SKIP, POOL, SKIP], (2, 4, 6)),
    "a pool, then flatten": ("flatten", [SKIP, POOL, conv(), conv(stride=2)], (2, 4, 6)),
    "a pool in a branch": ("average", [{"branch": ["conv", POOL["branch"][0], "conv"]}], (2, 4, 6)),
    "a line": ("flatten", [conv(padding="zero"), SKIP], (3, 7)),
    "one place": ("average", [conv(), conv()], (2, 1, 1)),
}


def inputs(shape, count=7, seed=3):
    """Some equal, opposite and zero."""
    x = np.random.default_rng(seed).normal(size=(count, *shape))
    x[1], x[2], x[3] = x[0], -x[0], 0.0
    return x


def agree(network, x, rates="ntk", layer=None, **how):
    """Of a set with itself, and of two sets, with the steps that take all rows at once."""
    number = (layer or len(network.ends)) - 1
    exact = infinite_width_kernels(network, x, LearningRates.named(rates, network))[number]
    kernel = fw.infinite_width(network, parameterisation=rates)
    rows, cut = len(exact.nngp) // len(x), len(x) // 2 + 1
    one, two = slice(0, rows * cut), slice(rows * (cut - 2), None)
    for found, at in (
        (kernel(x, layer=layer, **how), (slice(None), slice(None))),
        (kernel(x[:cut], x[cut - 2 :], layer=layer, **how), (one, two)),
    ):
        for mine, of in ((found.nngp, exact.nngp), (found.ntk, exact.ntk)):
            scale = 1e-12 * np.abs(of).max()
            np.testing.assert_allclose(mine, of[at], rtol=1e-12, atol=scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_vectors_have_the_kernels_of_all_rows_at_once(activation):
    agree(vectors(activation), inputs((3,)), block=3)
    agree(vectors(activation, C_b=0.0, C_W=0.6), inputs((3,)), "standard")


@pytest.mark.parametrize(("activation", "case"), [
    *itertools.product(["relu", "gelu"], IMAGES), ("tanh", "a pool between"), ("tanh", "a line"),
])  # fmt: skip
def test_images_have_the_kernels_of_all_rows_at_once(activation, case):
    pool, blocks, shape = IMAGES[case]
    network = images(activation, pool, blocks, shape)
    for block in (None, 2):
        agree(network, inputs(network.shape, 5), block=block)


def test_a_layer_with_places_has_a_row_for_each():
    network = images("erf", "average", [SKIP, POOL], (2, 4, 6))
    for layer in (1, 2, 3):
        agree(network, inputs(network.shape, 4), layer=layer, block=3)


def attention(residual=None, **keys):
    skip = {} if residual is None else {"residual": residual}
    return {"branch": [{"attention": {"heads": 2} | keys}], **skip}


NORMED = {"norm": "layer", "gamma": 0.8, "beta": 0.6}
TOKENS = {
    "identity": ("flatten", [attention(scores="identity"), attention(NORMED, scores="identity")]),
    "identity, causal": ("average", [attention(scores="identity", causal=True), {}]),
    "no logits": ("average", [attention({}, scores="identity", scale="full"), {"residual": {}}]),
    "uniform": ("flatten", [attention(NORMED, scale="full"), {"branch": ["activation", "dense"]}]),
    "uniform, causal": ("average", [{}, attention({}, scale="full", causal=True, width="n")]),
    "no attention": ("flatten", [{"residual": {"norm": "rms"}}]),
}


def sequences(pool, blocks, count=4, **more):
    return fw.network("gelu", inputs=2, tokens=count, blocks=blocks, embed={"positions": 0.4},
                      readout={"pool": pool, "activation": "none"}, **LAW | more)  # fmt: skip


@pytest.mark.parametrize("rates", ["ntk", "standard"])
@pytest.mark.parametrize("case", TOKENS)
def test_tokens_have_the_kernels_of_all_rows_at_once(case, rates):
    network = sequences(*TOKENS[case])
    x = inputs((2, 4), 5).swapaxes(1, 2)
    for block in (None, 2):
        agree(network, x, rates, block=block)
    assert not Plan.of(network, len(network.ends)).joint
    assert Plan.of(sequences("average", [attention()]), 2).joint


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("keys", [
    {"scores": "identity"}, {"scale": "full"}, {"q": {"C_W": 0.0, "C_b": 0.0}},
    {"k": {"C_W": 0.0, "C_b": 0.0}},
])  # fmt: skip
def test_attention_without_integrals_is_a_sum_over_tokens_that_are_seen(keys, causal):
    """Against loops over tokens, from the kernel that a layer without attention has."""
    network = sequences("flatten", [{}, attention(causal=causal, **keys)], 3)
    x = np.random.default_rng(1).normal(size=(2, 3, 2))
    K = fw.infinite_width(network)(x, layer=1, get="nngp").nngp.reshape(2, 3, 2, 3)
    own = 0.1 + 1.7 * K
    expected = np.zeros((6, 6))
    for a, t, b, u in itertools.product(range(2), range(3), range(2), range(3)):
        sees = (range(t + 1), range(u + 1)) if causal else (range(3), range(3))
        for s, v in itertools.product(*sees):
            if keys.get("scores"):
                expected[3 * a + t, 3 * b + u] += own[a, t, b, u] * own[a, s, b, v] ** 2
            else:
                expected[3 * a + t, 3 * b + u] += own[a, s, b, v] / len(sees[0]) / len(sees[1])
    found = fw.infinite_width(network)(x, layer=2, get="nngp").nngp
    np.testing.assert_allclose(found, 0.1 + 1.7 * expected, rtol=1e-12)


@pytest.mark.parametrize("case", GOLDEN["infinite"])
def test_golden_convolutions(case):
    about = GOLDEN["infinite"][case]
    law = dict(about["setting"])
    first, *rest = law.pop("strides", (1, 1, 1))
    how = {"padding": law.pop("padding", "circular")}
    network = fw.network(
        "relu", inputs=(3, 4, 4), width=8, embed={"map": "conv", "stride": first, **how},
        blocks=[conv(stride=stride, **how) for stride in rest], **law,
    )  # fmt: skip
    found = fw.infinite_width(network)(np.sin(1.7 * np.arange(96)).reshape(2, 3, 4, 4))
    np.testing.assert_allclose(found.nngp, about["K"], rtol=1e-10)
    np.testing.assert_allclose(found.ntk, about["Theta"], rtol=1e-10)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_means_of_pairs_are_those_of_one_pair(activation, scale):
    sigma = get(activation)
    x = scale * inputs((3,), 8)
    K = x @ x.T / 3
    v1, v2 = np.diagonal(K)[:, None], np.diagonal(K)
    wanted = covariance(sigma, v1, v2, K), slope_covariance(sigma, v1, v2, K)
    if dual_pairs.has_closed_form(sigma):
        found = dual_pairs.means_of_pairs(sigma, v1, v2, K, slopes=True)
        assert dual_pairs.means_of_pairs(sigma, v1, v2, K, slopes=False)[1] is None
    else:
        deviation = np.sqrt(v2)
        each = (Series.of(f, deviation) for f in (sigma.function, sigma.derivative))
        found = [pair_means(series, series, K) for series in each]
    for mine, of in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, of, rtol=0, atol=1e-11 * max(np.abs(of).max(), 1e-3))


@pytest.mark.parametrize("deviation", [1e-3, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("rho", [0.9, 0.999, 1.0])
def test_series_of_different_lengths_leave_nothing_out(deviation, rho):
    """Of few terms for small variances, of many for large ones: a sum ends where both have."""
    few, many = np.full(3, deviation), np.array([5.0, 30.0])
    one, two = Series.of(np.tanh, few), Series.of(np.tanh, many)
    assert len(one.c) < len(two.c)
    K = rho * np.multiply.outer(few, many)
    v1, v2 = np.broadcast_arrays(few[:, None] ** 2, many**2)
    exact = covariance(get("tanh"), v1, v2, K)
    np.testing.assert_allclose(pair_means(one, two, K), exact, rtol=3e-13)
    np.testing.assert_allclose(pair_means(two, one, K.T), exact.T, rtol=3e-13)


@pytest.mark.parametrize("network", [
    vectors("relu"), vectors("softplus"), images("gelu", "average", [SKIP, POOL, SKIP]),
], ids=["relu", "softplus", "images"])  # fmt: skip
def test_blocks_and_order_change_nothing_and_kernels_are_symmetric(network):
    x = inputs(network.shape, 11)
    kernel = fw.infinite_width(network)
    whole = kernel(x)
    for block in (3, 50):
        found = kernel(x, block=block)
        across = kernel(x, x.copy(), block=block)
        for name in ("nngp", "ntk"):
            mine, of = getattr(found, name), getattr(whole, name)
            assert mine.dtype == np.float64
            assert np.array_equal(mine, mine.T)
            scale = 1e-13 * np.abs(of).max()
            np.testing.assert_allclose(mine, of, rtol=0, atol=scale)
            np.testing.assert_allclose(getattr(across, name), of, rtol=0, atol=scale)


def test_the_tangent_kernel_of_an_input_with_itself_has_all_its_digits():
    """Where an activation has a kink half of them would go with an angle of nearly 0."""
    x = np.random.default_rng(2).normal(size=(60, 40))
    x[7] = x[50]
    found = fw.infinite_width(fw.perceptron("relu", inputs=40, width=9, depth=5, C_W=2.0))(x)
    exact = 5 * 2 * np.mean(x**2, axis=1)
    np.testing.assert_allclose(np.diagonal(found.ntk), exact, rtol=1e-13)
    assert found.ntk[7, 50] == pytest.approx(exact[7], rel=1e-13)


def test_only_what_is_asked_for_is_computed(monkeypatch):
    kernel, x = fw.infinite_width(vectors("tanh")), inputs((3,))
    both = kernel(x)
    only = kernel(x, get="ntk")
    assert only.nngp is None
    assert np.array_equal(only.ntk, both.ntk)

    def of(f, deviation):
        assert f is get("tanh").function
        return Series.of(f, deviation)

    monkeypatch.setattr("finitewidth.theory.pairs.sites.Series", SimpleNamespace(of=of))
    found = kernel(x, get="nngp")
    assert found.ntk is None
    assert np.array_equal(found.nngp, both.nngp)


def test_memory_is_bounded():
    """A few blocks at a time: what images take beside the kernels does not grow with their number.

    All pairs of places of 40 images at once would be 40^2 * 36^2 numbers, 16 MiB an array.
    """
    network, bound = images("relu", "average", [conv()], (1, 6, 6)), 2**22
    kernel, taken = fw.infinite_width(network), []
    for count in (20, 40):
        x = np.random.default_rng(0).normal(size=(count, *network.shape))
        kernel(x[:2])
        tracemalloc.start()
        kernel(x, block=4, memory=bound)
        taken.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(taken) < bound
    assert taken[1] < 1.3 * taken[0]


def test_an_odd_network_has_the_kernel_of_networks_drawn_by_torch():
    """A layer norm, sin, a stride, a pool and a wide branch. Means over networks of widths n and
    2n, extrapolated to order 1/n; four standard errors, and a part in 100 for order 1/n^2."""
    blocks = [
        {"residual": {"norm": "layer"}, "branch": ["conv", {"dense": {"width": "2n"}}, "dense"]},
        conv(stride=2, padding="zero"),
    ]
    x = torch.as_tensor(inputs((2, 4, 4), 4, seed=8)[[0, 2, 3]], dtype=torch.float32)
    x[2] += 0.5
    stream, means, errors = torch.Generator().manual_seed(4), [], []
    for width in (24, 48):
        network = images("sin", "flatten", blocks, (2, 4, 4), width=width, outputs=400, C_W=1.5)
        each = []
        for _ in range(500):
            z = through(network.layers, x, stream)
            each.append(z @ z.T / z.shape[1])
        found = torch.stack(each).double().numpy()
        means.append(found.mean(0))
        errors.append(found.std(0) / sqrt(len(found)))
    exact = fw.infinite_width(network)(x.double().numpy()).nngp
    error = np.hypot(2 * errors[1], errors[0])
    assert np.all(error < 0.05 * exact.max())
    assert np.all(np.abs(2 * means[1] - means[0] - exact) < 4 * error + 0.01 * exact.max())


@dataclass(frozen=True)
class Halved(Layer):
    """Some kind of layer that is known for all rows at once alone."""

    def shape_after(self, shape):
        return shape

    def describe(self):
        return "halved"


def test_layers_of_other_kinds_go_through_all_rows_of_two_blocks():
    @whole_step.register
    def _halved(layer: Halved, before: Kernels, rates) -> Kernels:
        return Kernels(before.shape, before.nngp / 4, before.ntk / 4, gaussian=before.gaussian)

    dense = {"C_W": 1.5, "C_b": 0.3}
    layers = [Dense(inputs=3, neurons=4, **dense), Halved(), Nonlinearity("gelu"),
              Dense(inputs=4, neurons=2, **dense)]  # fmt: skip
    for block in (None, 2):
        agree(Architecture((3,), layers), inputs((3,)), block=block)


@pytest.mark.parametrize(("call", "said"), [
    (lambda k, x: k(x[:, :2]), r"x1: given an array of shape \(7, 2\), allowed is \(inputs, 3\)"),
    (lambda k, x: k(x, x[0]), r"x2: given an array of shape \(3,\)"),
    (lambda k, x: k(x[:0]), "at least one input"),
    (lambda k, x: k([["a", "b", "c"]]), "x1: given .*, allowed is an array of numbers"),
    (lambda k, x: k(x * np.nan), "not finite"),
    (lambda k, x: k(x, get="nngb"), "did you mean nngp"),
    (lambda k, x: k(x, get=()), "given nothing"),
    (lambda k, x: k(x, layer=9), "from 1 to 5"),
    (lambda k, x: k(x, layer=0), "from 1 to 5"),
    (lambda k, x: k(x, block=0), "block: given 0"),
    (lambda k, x: k(x, memory=10), "0 MiB are allowed"),
    (lambda k, x: k(x, block=10**5, memory=10**9), "takes about"),
    (lambda k, x: fw.infinite_width(vectors("relu", weights="pytorch", C_W=None, C_b=None)),
     "weights='normal'"),
    (lambda k, x: fw.infinite_width(vectors("relu", weights="uniform")), "weights='normal'"),
    (lambda k, x: fw.infinite_width("relu"), 'network: given "relu", allowed is a network'),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(call, said):
    with pytest.raises(ValueError, match=said) as told:
        call(fw.infinite_width(vectors("relu")), inputs((3,)))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("layers", "said"), [
    ([Nonlinearity("relu"), Dense(inputs=3, neurons=3)], "activation relu"),
    ([Dense(inputs=3, neurons=3), Nonlinearity("relu"), LayerNorm()], "layer norm"),
    ([Dense(inputs=3, neurons=3), Block([Nonlinearity("tanh")])], "correlated"),
    ([Dense(inputs=3, neurons=3), Nonlinearity("relu"), Block([Nonlinearity("tanh")])], "tanh"),
])  # fmt: skip
def test_kernels_that_are_not_known_are_refused(layers, said):
    """Where the steps of all rows at once say nothing, too."""
    network = Architecture((3,), [*layers, Dense(inputs=3, neurons=2)])
    assert np.isnan(infinite_width_kernels(network, inputs((3,)))[-1].nngp).any()
    with pytest.raises(ValueError, match=said):
        fw.infinite_width(network)


def test_a_network_of_convolutions_learns_a_data_set():
    """What is asked of kernels: a posterior, and training, of digits."""
    network = images("relu", "flatten", [conv()], (1, 8, 8), C_b=0.0, C_W=2.0)
    x = np.random.default_rng(1).normal(size=(30, 64))
    y = np.sign(x[:20, :1])
    kernels = fw.infinite_width(network)(x)
    assert np.allclose(fw.gaussian_process(kernels, y).mean[:20], y, atol=1e-6)
    trained = fw.gradient_descent_mse(kernels, y, time=np.inf)
    assert np.allclose(trained.mean[:20], y, atol=1e-6)
