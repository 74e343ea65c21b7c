"""Shapes of architectures against those of torch's modules."""

import pytest
import torch
from torch import nn

from finitewidth.core.errors import ConfigError
from finitewidth.models.shapes import of_member, widened
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
                of_member(described(cnn=cnn), (2, *size), 5)
            return
        x = nn.Conv2d(a, b, kernel, stride, padding)(x)
        shapes.append(tuple(x.shape[1:]))
    found = of_member(described(cnn=cnn), (2, *size), 5)
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
    assert of_member(described(cnn=cnn), (1, 5, 5), 3).layers[0].is_linear
    padded = {**cnn, "padding": 1}
    assert not of_member(described(cnn=padded), (1, 5, 5), 3).layers[0].is_linear


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_resized_changes_hidden_channels_and_nothing_else(case):
    old = architecture(case)
    new = old.resized([11, 2])
    mlp, cnn, shape, classes = CASES[case]
    by_hand = described(
        mlp and [mlp[0], 11, 2, mlp[-1]], cnn and {**cnn, "channels": [cnn["channels"][0], 11, 2]}
    )
    assert new == of_member(by_hand, shape, classes)
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
        of_member(one, (1, 8, 8), 10)
    sentence = str(caught.value)
    assert "\n" not in sentence
    head, tail = sentence.split(", allowed ", 1)
    assert key in head
    assert given in head
    assert allowed in tail
