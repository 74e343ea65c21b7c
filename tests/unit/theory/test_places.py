"""Networks on images in theory: against golden values, ways of their own, and drawn networks."""

import json
from pathlib import Path

import numpy as np
import pytest

from finitewidth.config.network import network
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.blocks.first_order import first_order
from finitewidth.theory.blocks.place_pairs import on_pairs
from finitewidth.theory.blocks.place_sums import over, sums_of
from finitewidth.theory.blocks.places import first_order_on_places, inputs_together
from finitewidth.theory.blocks.sites import sites_of
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.mlp import vertex
from finitewidth.theory.predict.block_case import BlockCase

GOLDEN = json.loads((Path(__file__).parent / "places_golden.json").read_text())
IMAGES = np.sin(1.7 * np.arange(96)).reshape(2, 3, 4, 4)


def image_network(shape, activation="gelu", width=50, strides=(1, 1, 1), pool="average", **law):
    """An embedding and blocks of convolutions, and a read-out of two outputs."""
    kernel = {"kernel": law.pop("kernel", 3), "padding": law.pop("padding", "circular")}
    law = {"C_W": 1.5, "C_b": 0.1, "outputs": 2} | law
    first, *rest = ({"stride": s, **kernel} for s in strides)
    blocks = [{"branch": [{"conv": how}]} for how in rest]
    return network(inputs=shape, width=width, activation=activation, blocks=blocks,
                   embed={"map": "conv", **first}, readout={"pool": pool}, **law)  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN["infinite"])
def test_kernels_of_infinite_width_are_the_golden_ones(case):
    about = GOLDEN["infinite"][case]
    made = image_network((3, 4, 4), "relu", **about["setting"])
    found = infinite_width_kernels(made, IMAGES, LearningRates.named("ntk", made))[-1]
    np.testing.assert_allclose(found.nngp, about["K"], rtol=1e-10)
    np.testing.assert_allclose(found.ntk, about["Theta"], rtol=1e-10)


def test_the_first_order_is_the_golden_one():
    about = GOLDEN["first_order"]
    image = np.array(about["image"])[None, :, None]
    # A patch of three rows on an image of one that goes round is one of a row.
    for shape in ((2, 4), (2, 1, 4)):
        made = image_network(shape, width=70, C_W=1.2)
        found = first_order_on_places(made, image)[-1]
        assert found.K.item() == pytest.approx(about["K"], rel=1e-10)
        assert 70 * found.G1.item() == pytest.approx(about["G1"], rel=1e-6)
        assert 70 * found.V.item() == pytest.approx(about["V"], rel=1e-6)


@pytest.mark.parametrize("how", [
    {}, {"padding": "zero", "strides": (1, 2, 1)}, {"strides": (2, 1, 2)}, {"pool": "flatten"},
    {"kernel": 5, "padding": "zero"}, {"kernel": 1},
])  # fmt: skip
def test_sums_over_shifts_are_what_the_steps_of_infinite_width_do(how):
    made = image_network((3, 4, 4), "erf", **how)
    every = infinite_width_kernels(made, IMAGES)
    found = first_order_on_places(made, IMAGES[:1])
    for one, exact in zip(found, every, strict=True):
        rows = len(one.K)
        np.testing.assert_allclose(one.K, exact.nngp[:rows, :rows], rtol=1e-11)


def test_means_over_windows_are_sums_over_shifts():
    K = np.random.default_rng(0).normal(size=(2 * 24, 2 * 24))
    found = over(sums_of(AveragePool((2, 3)), (1, 4, 6), 2), K)
    split = K.reshape(2, 2, 2, 2, 3, 2, 2, 2, 2, 3)
    np.testing.assert_allclose(found, split.mean((2, 4, 7, 9)).reshape(8, 8), rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_a_network_on_one_place_is_a_perceptron(activation):
    made = image_network((3, 1, 1), activation, width=20, kernel=1)
    x = np.array([[1.0, -0.5, 0.2], [0.3, 0.7, -1.1], [1.0, -0.5, 0.2]])
    mlp = Perceptron(activation, (3, 20, 20, 20, 2), (0.1,) * 4, (1.5,) * 4)
    exact = vertex.first_order(mlp, x, [2, 3, 4])
    found = first_order_on_places(made, x[:, :, None, None])
    for at, one in enumerate(found):
        np.testing.assert_allclose(one.K, exact.K[at], rtol=1e-10)
        np.testing.assert_allclose(one.G1, exact.G1[at], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(one.V, exact.V[at], rtol=1e-9, atol=1e-14)


def measured(made, x, networks, seed):
    """E[K], and Cov of z_ia z_ib and z_jc z_jd of two outputs of the last layer, with errors."""
    found = sample(made, x, networks=networks, seed=seed, layers=[len(made.ends)],
                   measure=("preactivations", "quartic"))  # fmt: skip
    m, kernel = made.result_widths[-1], found["kernel"].values[:, 0]
    same = found["quartic"].values[:, 0, 0]
    # Of different outputs alone.
    apart = (m * kernel[:, 0, 0] ** 2 - same) / (m - 1)
    mean = kernel[:, 0, 0].mean()
    value = apart - 2 * mean * (kernel[:, 0, 0] - mean)
    return kernel.mean(0), (value.mean() - mean**2, value.std() / networks**0.5)


@pytest.mark.parametrize(("pool", "padding", "shape"), [
    ("average", "circular", (2, 6)), ("flatten", "zero", (2, 3, 2)),
])  # fmt: skip
def test_drawn_networks_have_the_first_order(pool, padding, shape):
    """Two widths, extrapolated to infinite width: within 4.5 errors (once in 10^5 runs)."""
    x = np.random.default_rng(3).normal(size=(1, *shape))
    x = x[:, :, None] if len(shape) == 2 else x
    scaled = []
    for seed, n in enumerate((24, 48)):
        how = {"pool": pool, "padding": padding, "width": n, "outputs": 200}
        made = image_network(shape, "gelu", C_W=1.8, **how)
        value, error = measured(made, x, 40000, seed)[1]
        scaled.append((n * value, n * error))
        theory = n * first_order_on_places(made, x)[-1].V.item()
    (one, first), (two, second) = scaled
    limit, error = 2 * two - one, np.hypot(2 * second, first)
    assert error < 0.06 * theory
    assert abs(limit - theory) < 4.5 * error


def residual(shape, activation="gelu", width=50, repeat=3, kernel=3, gamma=1.0, beta=0.7, **law):
    """Blocks of a convolution with a skip, and a read-out of means over places."""
    block = {"repeat": repeat, "residual": {"gamma": gamma, "beta": beta},
             "branch": [{"conv": {"kernel": kernel}}]}  # fmt: skip
    law = {"C_W": 1.2, "C_b": 0.1, "outputs": 2} | law
    return network(inputs=shape, width=width, activation=activation, blocks=[block],
                   embed={"map": "conv", "kernel": kernel}, **law)  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN["skips"])
def test_skips_on_one_place_have_the_golden_variance(case):
    about = GOLDEN["skips"][case]
    how, x = about["setting"], np.array(about["x"])
    made = residual((3, 1, 1), how["act"], 70, how["L"], 1, how["gamma"], how["beta"],
                    C_W=how["CW"], C_b=how["Cb"])  # fmt: skip
    found = first_order_on_places(made, x[:, :, None, None])[-1]
    np.testing.assert_allclose(on_pairs(found.K), about["K"], rtol=1e-10)
    upper = np.triu_indices(len(about["K"]))
    np.testing.assert_allclose(70 * on_pairs(found.of_products)[upper], about["V"], rtol=1e-6)


@pytest.mark.parametrize("activation", ["gelu", "erf", "linear"])
def test_streams_on_one_place_are_those_of_frozen_paths(activation):
    made = residual((3, 1, 1), activation, 20, 4, 1, 0.8)
    x = np.array([[0.5, -0.5, 0.25], [0.2, 0.1, 0.6]])
    vectors = network(inputs=3, width=20, activation=activation, C_W=1.2, C_b=0.1, outputs=2,
                      blocks=[{"repeat": 4, "residual": {"gamma": 0.8, "beta": 0.7}}])  # fmt: skip
    embed, sites, _ = sites_of(vectors)
    exact = first_order(embed.C_b + embed.C_W * x @ x.T / 3, sites)
    for one, stage in zip(first_order_on_places(made, x[:, :, None, None]), exact, strict=True):
        np.testing.assert_allclose(on_pairs(one.K), stage.K, rtol=1e-9)
        V = 20 * on_pairs(one.of_products)
        np.testing.assert_allclose(V, stage.V, rtol=1e-6, atol=1e-8)


def test_drawn_streams_of_images_have_the_variance():
    """As above: two widths, within 4.5 errors."""
    x = np.random.default_rng(3).normal(size=(1, 2, 1, 4))
    scaled = []
    for seed, n in enumerate((24, 48)):
        made = residual((2, 4), "gelu", n, outputs=200, C_W=1.8)
        value, error = measured(made, x, 40000, seed)[1]
        scaled.append((n * value, n * error))
        theory = n * first_order_on_places(made, x)[-1].V.item()
        apart = image_network((2, 4), "gelu", n, (1,) * 4, C_W=1.8)
    (one, first), (two, second) = scaled
    limit, error = 2 * two - one, np.hypot(2 * second, first)
    assert error < 0.08 * theory
    assert abs(limit - theory) < 4.5 * error
    # Without the skips it would be another.
    assert abs(n * first_order_on_places(apart, x)[-1].V.item() - theory) > 9 * error


def test_what_is_not_known_is_none_from_there_on():
    law = {"width": 8, "activation": "gelu", "C_W": 1.5, "embed": {"map": "conv"}}
    x = IMAGES[:1, :, :1]
    skip = {"residual": {}, "branch": ["conv"]}
    skips = network(inputs=(3, 4), **law, blocks=[{"repeat": 2, **skip}, {}])
    found = first_order_on_places(skips, x)
    assert [np.isfinite(one.G1).all() for one in found] == [True, False, False, False]
    assert all(np.isfinite(one.of_products).all() for one in found)
    two = {"residual": {}, "branch": ["conv", "conv"]}
    other = {"branch": [{"activation": "erf"}, "conv"]}
    for blocks in ([two], [{"residual": {}, "branch": ["conv"]}, other]):
        made = network(inputs=(3, 4), blocks=[{"branch": ["conv"]}, *blocks], **law)
        assert first_order_on_places(made, x)[-1] is None
    normed = network(inputs=(3, 4), blocks=[{"branch": ["conv"]}], readout={"norm": "rms"}, **law)
    assert [one is None for one in first_order_on_places(normed, x)] == [False, True]
    uniform = network(inputs=(3, 4), blocks=[{"branch": ["conv"]}], weights="uniform", **law)
    assert first_order_on_places(uniform, x) == [None, None]
    # A place of zeros is dead where there is no bias.
    dead = np.zeros_like(x)
    assert first_order_on_places(network(inputs=(3, 4), blocks=[{"branch": ["conv"]}], **law),
                                 dead) == [None, None]  # fmt: skip
    layers = [Convolution(channels=3, neurons=4, kernel=(1, 1)), Nonlinearity("tanh"),
              AveragePool(), Nonlinearity("tanh"), Dense(inputs=4, neurons=2)]  # fmt: skip
    twice = Architecture((3, 1, 4), layers, ends=[1, 5])
    assert [one is None for one in first_order_on_places(twice, x)] == [False, True]


def test_places_that_are_equal_are_one():
    x = np.array(IMAGES[:1, :, :1])
    x[..., 2:] = x[..., :2]
    made = image_network((3, 4), "relu", width=30)
    found = first_order_on_places(made, x)[-1]
    # The same on half the circle, which looks alike from every place.
    half = first_order_on_places(image_network((3, 2), "relu", width=30), x[..., :2])[-1]
    np.testing.assert_allclose(found.V, half.V, rtol=1e-10)
    np.testing.assert_allclose(found.G1, half.G1, rtol=1e-9, atol=1e-14)


def test_as_many_inputs_are_taken_together_as_there_are_few_rows():
    small = image_network((3, 4))
    assert inputs_together(small, 3) == 3
    large = image_network((3, 4, 4))
    assert [inputs_together(large, k) for k in (1, 2, 3)] == [1, 1, 1]
    assert inputs_together(image_network((3, 8, 8)), 1) == 0
    # Grids take longer than closed forms.
    assert inputs_together(image_network((3, 4, 4), "tanh"), 1) == 0


@pytest.mark.parametrize("read", ["centre", "last"])
def test_a_case_has_the_recorded_place_of_each_layer(read):
    shape = (3, 5)
    law = {"width": 30, "activation": "gelu", "C_W": 1.5, "C_b": 0.1, "read": read}
    blocks = [{"repeat": 2, "branch": [{"conv": {"padding": "zero"}}]}]
    made = network(inputs=shape, blocks=blocks, embed={"map": "conv"}, **law)
    x = np.random.default_rng(5).normal(size=(2, 3, 1, 5))
    case = BlockCase(made, x.reshape(2, 15), [1, 2, 3], 4, 100)
    place = {"centre": 2, "last": 4}[read]
    every = infinite_width_kernels(made, x)
    for at in (0, 1):
        rows = [place, 5 + place]
        np.testing.assert_array_equal(case.kernel[at], every[at].nngp[np.ix_(rows, rows)])
    found = first_order_on_places(made, x)
    G1, V = case.first_order
    np.testing.assert_array_equal(
        G1[1], found[1].G1[np.ix_([place, 5 + place], [place, 5 + place])]
    )
    assert V.shape == (3, 2, 2, 2, 2)
    assert np.isfinite(V).all()
    assert case.is_independent.all()
