"""Shapes of architectures against those of torch's modules."""

import pytest
import torch
from torch import nn

from finitewidth.core.errors import ConfigError
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.network_shape import widened
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.models.trained_architecture import trained_architecture
from small_architectures import convolution, dense
from small_networks import CASES, architecture, described, modules

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("size", [(11, 11), (12, 7)])
def test_sizes_are_those_of_torch(kernel, stride, padding, size):
    cnn = {"channels": [2, 3, 4], "kernel": kernel, "stride": stride, "padding": padding}
    x = torch.zeros(1, 2, *size)
    shapes = []
    for a, b in ((2, 3), (3, 4)):
        if min(x.shape[2:]) + 2 * padding < kernel:
            with pytest.raises(ConfigError, match=r"e\.cnn\.kernel"):
                trained_architecture(described(cnn=cnn), (2, *size), 5)
            return
        x = nn.Conv2d(a, b, kernel, stride, padding)(x)
        shapes.append(tuple(x.shape[1:]))
    found = trained_architecture(described(cnn=cnn), (2, *size), 5)
    assert [(layer.out, *layer.size) for layer in found.layers] == [*shapes, (5, 1, 1)]
    readout = found.layers[-1]
    assert readout.is_linear
    assert readout.fan_in == nn.Flatten()(x).shape[1]
    assert found.image == (2, *size)


@pytest.mark.parametrize("case", CASES)
def test_weights_and_activations_are_counted_as_modules_have_them(case):
    model, found = modules(case), architecture(case)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert [layer.fan_in for layer in found.layers] == [p[0].numel() for p in model.parameters()]
    assert [layer.out for layer in found.layers] == [len(p) for p in model.parameters()]
    x = torch.zeros(1, *CASES[case][2])
    numbers = x.numel()
    for part in model:
        x = part(x)
        numbers += x.numel() * isinstance(part, nn.Linear | nn.Conv2d)
    assert found.activations == numbers
    assert found.depth == len(list(model.parameters()))


def test_representations_of_a_perceptron_are_channels():
    found = architecture("mlp")
    assert found.widths == (12, 7, 5, 3)
    assert found.image == (12, 1, 1)
    assert all(layer.is_linear and layer.positions == 1 for layer in found.layers)


def test_a_convolution_that_sees_all_of_its_input_is_linear():
    cnn = {"channels": [1, 4], "kernel": 5, "stride": 2, "padding": 0}
    assert trained_architecture(described(cnn=cnn), (1, 5, 5), 3).layers[0].is_linear
    padded = {**cnn, "padding": 1}
    assert not trained_architecture(described(cnn=padded), (1, 5, 5), 3).layers[0].is_linear


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_resized_changes_hidden_channels_and_nothing_else(case):
    old = architecture(case)
    new = old.resized([11, 2])
    mlp, cnn, shape, classes = CASES[case]
    by_hand = described(
        mlp and [mlp[0], 11, 2, mlp[-1]], cnn and {**cnn, "channels": [cnn["channels"][0], 11, 2]}
    )
    assert new == trained_architecture(by_hand, shape, classes, weights="uniform")
    assert old.resized(old.widths[1:-1]) == old


def test_widened_rounds_and_leaves_a_channel():
    assert widened([100, 3, 1], 0.25) == [25, 1, 1]
    assert widened([100, 3, 1], 2.0) == [200, 6, 2]


@pytest.mark.parametrize(
    ("one", "key", "given", "allowed"),
    [
        (described([63, 5, 10]), "trained.e.mlp", "[63, 5, 10]", "64 first"),
        (described([64, 5, 9]), "trained.e.mlp", "[64, 5, 9]", "10 last"),
        (
            described(cnn={"channels": [3, 4], "kernel": 3, "stride": 1, "padding": 0}),
            "trained.e.cnn.channels",
            "[3, 4]",
            "1 first",
        ),
        (
            described(cnn={"channels": [1, 4], "kernel": 9, "stride": 1, "padding": 0}),
            "trained.e.cnn.kernel",
            "9",
            "at most 8",
        ),
        (
            described(cnn={"channels": [1, 4, 4], "kernel": 5, "stride": 2, "padding": 0}),
            "trained.e.cnn.kernel",
            "5",
            "at most 2",
        ),
    ],
)
def test_a_model_that_does_not_fit_the_images_is_refused_in_one_sentence(one, key, given, allowed):
    with pytest.raises(ConfigError) as caught:
        trained_architecture(one, (1, 8, 8), 10)
    sentence = str(caught.value)
    assert "\n" not in sentence
    head, tail = sentence.split(", allowed ", 1)
    assert key in head
    assert given in head
    assert allowed in tail


RELU = Nonlinearity("relu")


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((3,), [dense(3, 4, C_b=0.1), RELU, dense(4, 2, C_b=0.0)]),
        ((3,), [dense(3, 4, C_b=0.0), Nonlinearity("tanh"), dense(4, 2, C_b=0.0)]),
        ((3,), [dense(3, 4, C_b=0.0), dense(4, 2, C_b=0.0)]),
        ((3,), [dense(3, 4, C_b=0.0), RELU]),
        ((3,), [RELU, dense(3, 4, C_b=0.0)]),
        ((3, 4, 5), [convolution(3, 4, C_b=0.0), Flatten(), dense(100, 2, C_b=0.0)]),
    ],
)
def test_what_training_does_not_know_is_refused(shape, layers):
    with pytest.raises(ValueError, match="trained networks") as caught:
        ReluNetwork(Architecture(shape, layers))
    assert "\n" not in str(caught.value)


def test_the_architecture_is_the_list_of_layers_that_samplers_take():
    found = architecture("mlp").architecture
    assert as_perceptron(found) == Perceptron(
        "relu", (12, 7, 5, 3), (0.0,) * 3, (1.0,) * 3, "uniform"
    )
    kinds = [layer.describe().split()[0] for layer in architecture("strided").architecture.layers]
    assert kinds == ["convolution", "relu", "convolution", "relu", "flatten", "dense"]
