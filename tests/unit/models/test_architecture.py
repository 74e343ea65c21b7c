"""Architectures: what fits, what is refused, and which ones are perceptrons."""

from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

from finitewidth.models import layers
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.sampling.layers import steps
from finitewidth.theory.layers import kernels
from small_architectures import convolution, convolutional, dense, two_activations

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("weights", ["normal", "uniform", "pytorch"])
@pytest.mark.parametrize("widths", [(3, 4), (3, 4, 1), (1, 5, 5, 2)])
def test_a_perceptron_is_known_by_its_layers(weights, widths):
    depth = len(widths) - 1
    one = Perceptron("gelu", widths, (0.1, 0.0, 0.3)[:depth], (1.5, 2.0, 0.7)[:depth], weights)
    architecture = one.architecture
    assert architecture.depth == one.depth
    assert architecture.widths == widths
    assert (architecture.C_b, architecture.C_W) == (one.C_b, one.C_W)
    assert architecture.fan_ins == one.fan_ins == widths[:-1]
    found = as_perceptron(architecture)
    if depth > 1:
        assert found == one
    else:
        # Nothing stands between the layers of one that has a single one.
        assert found == Perceptron("linear", widths, one.C_b, one.C_W, weights)
    assert as_perceptron(one) is one


@pytest.mark.parametrize(
    "given",
    [
        [dense(3, 4), Nonlinearity("tanh"), dense(4, 4), Nonlinearity("relu"), dense(4, 1)],
        [dense(3, 4), Nonlinearity("tanh")],
        [Nonlinearity("tanh"), dense(3, 4)],
        [dense(3, 4), dense(4, 4), dense(4, 1)],
        [dense(3, 4), Nonlinearity("tanh"), Nonlinearity("tanh"), dense(4, 1), dense(1, 1)],
        [dense(3, 4), Nonlinearity("tanh"), dense(4, 1, weights="uniform")],
        [Flatten(), dense(3, 4)],
        [dense(3, 4), Flatten(), dense(4, 1)],
    ],
)
def test_what_differs_in_one_layer_is_no_perceptron(given):
    assert as_perceptron(Architecture((3,), given)) is None


def test_networks_on_images_are_no_perceptrons():
    assert as_perceptron(convolutional()) is None


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        ((3,), [dense(4, 2)], "layer 1 of 1: dense 4 -> 2 takes 4 channels, not 3 channels"),
        ((3,), [dense(3, 2), dense(3, 2)], "layer 2 of 2: .* not 2 channels"),
        ((2, 4, 4), [dense(32, 2)], "takes 32 channels, not 2 channels on 4 x 4 places"),
        ((3,), [convolution(3, 2)], "takes images of 3 channels, not 3 channels"),
        ((3, 4, 4), [convolution(2, 2)], "takes images of 2 channels, not 3 channels on 4 x 4"),
        ((2, 4, 4), [convolution(2, 2, kernel=(1, 7))], "patch fits into with its padding, not"),
        (
            (2, 1, 4),
            [convolution(2, 2, circular=True, padding=2)],
            "at least as large as what is put",
        ),
        ((2, 4, 4), [AveragePool((2, 3)), convolution(2, 2)], "images that its windows cover, not"),
        ((2,), [AveragePool(), dense(2, 2)], "takes what has places, not 2 channels"),
        (
            (2, 4, 4),
            [convolution(2, 2), dense(6, 2)],
            "layer 2 of 2: dense 6 -> 2 takes 6 channels, not 2",
        ),
        ((3,), [Nonlinearity("tanh")], "needs a layer with weights"),
        ((3,), [], "needs a layer with weights"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(shape, given, said):
    with pytest.raises(ValueError, match=said) as caught:
        Architecture(shape, given)
    assert "\n" not in str(caught.value)


def test_unknown_laws_of_weights_are_refused():
    with pytest.raises(ValueError, match="'cauchy' is none of"):
        dense(3, 2, weights="cauchy")


def test_an_architecture_is_described_layer_by_layer():
    lines = convolutional().describe().splitlines()
    assert lines == [
        "input: 2 channels on 4 x 5 places",
        "convolution 2 -> 4, 2 x 3, padding 1: 4 channels on 5 x 5 places",
        "tanh: 4 channels on 5 x 5 places",
        "convolution 4 -> 3, 3 x 2, stride 2: 3 channels on 2 x 2 places",
        "relu: 3 channels on 2 x 2 places",
        "flatten: 12 channels",
        "dense 12 -> 2: 2 channels",
    ]


@pytest.mark.parametrize("read", ["first", "centre", "last"])
def test_one_place_of_each_layer_is_read(read):
    layers = [convolution(2, 4, kernel=(3, 3)), AveragePool((2, 5)), AveragePool(), dense(4, 1)]
    network = Architecture((2, 4, 5), layers, ends=[1, 2, 3], read=read)
    assert network.place_of(1) == {"first": 0, "centre": 2 * 5 + 2, "last": 19}[read]
    assert network.place_of(2) == {"first": 0, "centre": 1, "last": 1}[read]
    assert network.place_of(3) == 0
    with pytest.raises(ValueError, match="'edge' is none of centre, first, last"):
        Architecture((2, 4, 5), layers, read="edge").place_of(1)


def test_a_dense_map_acts_at_every_place():
    assert dense(2, 7).shape_after((2, 4, 5)) == (7, 4, 5)


def test_rates_of_any_layers():
    network = convolutional()
    assert network.parameters == 4 * (2 * 6 + 1) + 3 * (4 * 6 + 1) + 2 * (12 + 1)
    assert LearningRates.named("ntk", network) == LearningRates((0.3, 0.3, 0.2), (1.5, 1.5, 1.4))
    assert LearningRates.named("standard", network) == LearningRates((1.0,) * 3, (12.0, 24.0, 12.0))
    assert LearningRates.named("standard", two_activations()).lambda_W == (3.0, 5.0, 6.0)


KINDS = [
    kind
    for file in Path(layers.__file__).parent.glob("[a-z]*.py")
    for kind in vars(import_module(f"{layers.__name__}.{file.stem}")).values()
    if isinstance(kind, type) and issubclass(kind, Layer) and not isabstract(kind)
]


@pytest.mark.parametrize("kind", sorted(set(KINDS), key=lambda kind: kind.__name__))
def test_every_kind_of_layer_has_its_steps(kind):
    # What registers the steps.
    for walk in ("theory.layers.infinite_width", "sampling.layers.networks"):
        import_module(f"finitewidth.{walk}")
    # The way back through a block is that through its branch, and so are those of attention.
    back = () if kind in (Block, Attention) else (steps.pull_back,)
    for step in (kernels.step, steps.forward, *back):
        assert step.dispatch(kind) is not step.dispatch(object), step
