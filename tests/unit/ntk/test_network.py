"""Every way of computing one network's tangent kernel against every other, and by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.layerwise import layerwise
from finitewidth.ntk.network import WAYS, tangent_kernel
from finitewidth.ntk.structured import Elementwise, sequential

SHAPES = {
    "one layer": (3, 2),
    "scalar output": (3, 5, 1),
    "three layers": (2, 4, 3, 2),
    "four layers": (4, 3, 6, 2, 3),
}


def network(widths, with_bias, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = [draw(n, m) for m, n in pairwise(widths)]
    biases = [draw(n) if with_bias else None for n in widths[1:]]
    return weights, biases, draw(4, widths[0])


def some_rates(name, widths):
    mlp = Perceptron("tanh", widths, (0.3,) * (len(widths) - 1), (1.7,) * (len(widths) - 1))
    return LearningRates.named(name, mlp, *((0.5, 1.2) if name == "pdlt" else ()))


def close(one, other):
    return torch.allclose(one, other, rtol=1e-11, atol=1e-12 * float(other.abs().max()) + 1e-300)


@pytest.mark.parametrize("inputs", [1, 4])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("parameterisation", ["standard", "ntk", "pdlt"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "activation", [*TABLE, "leaky_relu(0.1)", "leaky_relu(-0.5)", "leaky_relu(0)"]
)
def test_every_way_agrees_part_by_part(activation, shape, parameterisation, with_bias, inputs):
    widths = SHAPES[shape]
    weights, biases, x = network(widths, with_bias)
    x, rates = x[:inputs], some_rates(parameterisation, widths)
    model = sequential(activation, weights, biases)
    # What is checked besides takes time, and is the same at every shape.
    some = shape == "three layers"
    found = {way: tangent_kernel(model, x, way, rates, check=some) for way in WAYS}
    whole = found["jacobian"]
    assert whole.total.shape == (widths[-1], widths[-1], inputs, inputs)
    for kernel in found.values():
        assert list(kernel.parts) == [name for name, _ in model.named_parameters()]
        assert close(kernel.total, whole.total)
        for name, part in kernel.parts.items():
            assert close(part, whole.parts[name]), name
    # The batched sum over layers of the samplers, two copies of the network at once.
    batch = layerwise(
        get(activation),
        [W.expand(2, *W.shape) for W in weights],
        [None if b is None else b.expand(2, *b.shape) for b in biases],
        x,
        rates,
    )
    assert close(batch.total[1], whole.total)
    for layer in range(len(weights)):
        assert close(batch.weight[layer][0], whole.parts[f"{2 * layer}.weight"])
        if with_bias:
            assert close(batch.bias[layer][0], whole.parts[f"{2 * layer}.bias"])
    # Fewer outputs are the corner of all of them.
    own = [W[None] for W in weights], [None if b is None else b[None] for b in biases]
    few = layerwise(get(activation), *own, x, rates, outputs=1)
    assert close(few.total[0], whole.total[:1, :1])


@pytest.mark.parametrize("way", WAYS)
def test_the_parameter_form_has_the_same_eigenvalues(way):
    weights, biases, x = network((2, 4, 3, 2), True)
    model, rates = sequential("tanh", weights, biases), some_rates("pdlt", (2, 4, 3, 2))
    samples = tangent_kernel(model, x, way, rates)
    parameters = tangent_kernel(model, x, way, rates, form="parameters")
    count = sum(p.numel() for p in model.parameters())
    assert parameters.total.shape == (count, count)
    large = torch.linalg.eigvalsh(parameters.matrix)[-8:]
    assert torch.allclose(large, torch.linalg.eigvalsh(samples.matrix), rtol=1e-9, atol=1e-10)
    at = 0
    for name, p in model.named_parameters():
        block = parameters.total[at : at + p.numel(), at : at + p.numel()]
        assert close(parameters.parts[name], block)
        at += p.numel()
    reference = tangent_kernel(model, x, "jacobian", rates, form="parameters")
    assert close(parameters.total, reference.total)


def test_the_smaller_form():
    weights, biases, x = network((2, 4, 1), True)
    model = sequential("tanh", weights, biases)
    assert tangent_kernel(model, x, form="smaller").form == "samples"
    many = torch.randn(30, 2, dtype=torch.float64)
    kernel = tangent_kernel(model, many, form="smaller")
    assert kernel.form == "parameters"
    assert kernel.matrix.shape == (17, 17)


@pytest.mark.parametrize("way", WAYS)
def test_a_small_network_by_hand(way):
    """z = v . tanh(W x + b) + c: dz/dv = t, dz/dc = 1, dz/db = v (1 - t^2), dz/dW = dz/db x."""
    (W, v), (b, c), x = network((2, 3, 1), True)
    t = np.tanh(x.numpy() @ W.numpy().T + b.numpy())
    gate = v.numpy()[0] * (1 - t**2)
    rows = np.concatenate(
        [np.einsum("aj,ai->aji", gate, x.numpy()).reshape(4, 6), gate, t, np.ones((4, 1))], axis=1
    )
    kernel = tangent_kernel(sequential("tanh", [W, v], [b, c]), x, way)
    assert kernel.total[0, 0].numpy() == pytest.approx(rows @ rows.T, rel=1e-12)
    parameters = tangent_kernel(sequential("tanh", [W, v], [b, c]), x, way, form="parameters")
    assert parameters.total.numpy() == pytest.approx(rows.T @ rows, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("way", WAYS)
def test_the_known_case(way):
    """Three linear layers, torch's seed 2: published numbers, part by part."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    with torch.no_grad():
        for layer in model:
            layer.weight.normal_(0, 1)
            layer.bias.normal_(0, 1)
    np.random.seed(2)
    x = torch.tensor(np.random.normal(0, 1, (3, 2)).astype(np.float32))
    kernel = tangent_kernel(model, x, way)
    expected = np.array(
        [
            [54.521683, 86.76405, 94.73183],
            [86.76405, 178.16164, 160.77267],
            [94.73183, 160.77267, 191.78003],
        ]
    )
    assert kernel.total[0, 0].numpy() == pytest.approx(expected, rel=3e-7)
    parts = {name: part[0, 0].numpy() for name, part in kernel.parts.items()}
    assert sum(parts[f"{k}.weight"] for k in range(3))[0, 0] == pytest.approx(45.40515, rel=3e-7)
    for k, value in enumerate((6.70577, 1.41076, 1.0)):
        assert parts[f"{k}.bias"] == pytest.approx(np.full((3, 3), value), abs=6e-6)
    biases = sum(parts[f"{k}.bias"] for k in range(3))
    assert biases == pytest.approx(np.full((3, 3), 9.1165), abs=6e-5)


@pytest.mark.parametrize("form", ["samples", "parameters"])
def test_convolutions_by_differentiation(form):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3), nn.Tanh(),
        nn.Linear(3, 2),
    ).double()  # fmt: skip
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    rates = LearningRates((0.5, 0.3, 0.9), (1.2, 0.8, 1.1))
    found = [tangent_kernel(model, x, way, rates, form) for way in WAYS[1:]]
    for kernel in found[1:]:
        assert close(kernel.total, found[0].total)
    # A convolution's fan-in is its channels times its patch.
    plain = tangent_kernel(model, x, "jacobian").parts
    if form == "samples":
        assert close(found[0].parts["0.weight"], plain["0.weight"] * 1.2 / 9)
    with pytest.raises(ValueError, match="not layer 0, a Conv2d: use jacobian"):
        tangent_kernel(model, x, "layerwise")
    assert torch.equal(tangent_kernel(model, x, None, rates, form).total, found[0].total)


@pytest.mark.parametrize("way", WAYS)
def test_a_trained_model_is_left_as_it_was(way):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 5, bias=False), nn.LeakyReLU(0.2),
        nn.Linear(5, 2),
    )  # fmt: skip
    x, y = torch.randn(8, 2, 2), torch.randn(8, 2)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimiser.step()
    model = model.double()
    next(model.parameters()).requires_grad_(False)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grads = [p.grad for p in model.parameters()]
    kernel = tangent_kernel(model, x.double(), way)
    reference = tangent_kernel(model, x.double(), "backward")
    assert close(kernel.total, reference.total)
    assert not kernel.total.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [p.grad for p in model.parameters()] == grads or all(
        a is b for a, b in zip((p.grad for p in model.parameters()), grads, strict=True)
    )
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * 4]
    assert model.training


@pytest.mark.parametrize("way", WAYS)
def test_modules_that_stand_twice_and_modules_that_overwrite(way):
    torch.manual_seed(1)
    again = nn.SiLU(inplace=True)
    layers = [nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)]
    model = nn.Sequential(again, layers[0], again, layers[1], again, layers[2]).double()
    plain = nn.Sequential(nn.SiLU(), layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2]).double()
    x = torch.randn(3, 3, dtype=torch.float64)
    before = x.clone()
    kernel = tangent_kernel(model, x, way)
    assert torch.equal(x, before)
    assert close(kernel.total, tangent_kernel(plain, x, "backward").total)


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_that_stands_twice_is_differentiated_or_refused(way):
    torch.manual_seed(1)
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer).double()
    x = torch.randn(2, 3, dtype=torch.float64)
    if way == "layerwise":
        with pytest.raises(ValueError, match="layer 2 has those of layer 0: use jacobian"):
            tangent_kernel(model, x, way)
        return
    assert close(tangent_kernel(model, x, way).total, tangent_kernel(model, x, "backward").total)


def test_elementwise_modules_are_the_table():
    z = torch.linspace(-3, 3, 13, dtype=torch.float64)
    for name in [*TABLE, "leaky_relu(-0.5)"]:
        assert Elementwise(name)(z).numpy() == pytest.approx(
            get(name).function(z.numpy()), rel=1e-13
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"way": "magic"},
            'way: given "magic", allowed is one of layerwise, jacobian, jvp, backward',
        ),
        ({"form": "both"}, 'form: given "both", allowed is one of samples, parameters, smaller'),
        (
            {"rates": LearningRates((1.0,), (1.0,))},
            "rates of 1 layers do not fit a model of 2 layers",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(change, words):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(ValueError, match=words):
        tangent_kernel(model, torch.randn(2, 2), **change)


def test_models_whose_outputs_are_no_function_of_one_input_are_refused():
    x = torch.randn(4, 2)
    for layer in (nn.BatchNorm1d(3), nn.Dropout(0.5)):
        model = nn.Sequential(nn.Linear(2, 3), layer, nn.Linear(3, 1))
        with pytest.raises(ValueError, match=f"layer 1 is a {type(layer).__name__} in training"):
            tangent_kernel(model, x, "jacobian")
        assert tangent_kernel(model.eval(), x, "jacobian").total.shape == (1, 1, 4, 4)
        with pytest.raises(ValueError, match=f"not layer 1, a {type(layer).__name__}: use jacob"):
            tangent_kernel(model, x, "layerwise")
    with pytest.raises(ValueError, match="takes a Sequential, not a Pair: use jacobian"):
        tangent_kernel(Pair(), x, "layerwise")
    with pytest.raises(ValueError, match="takes a Sequential, not a Residual: use jacobian"):
        tangent_kernel(Residual(nn.Linear(2, 2)), x, "layerwise")
    with pytest.raises(ValueError, match="outputs are"):
        tangent_kernel(nn.Sequential(nn.Flatten(0)), x)


class Pair(nn.Bilinear):
    """A model that is no Sequential."""

    def __init__(self):
        super().__init__(2, 2, 1)

    def forward(self, x):
        return super().forward(x, x)


class Residual(nn.Sequential):
    """A Sequential that does something else with its layers."""

    def forward(self, x):
        return x + super().forward(x)
