"""The trainer of random ensembles: against a plain loop of torch.optim.SGD, values computed apart,
fine steps for gradient flow, and linear models for frozen kernels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from finitewidth.core.blocks import block_size
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.sampling.training.learners import Learners
from finitewidth.sampling.training.starts import Ensemble, drawn
from finitewidth.sampling.training.training_ensemble import sample_training

GOLDEN = json.loads((Path(__file__).parents[1] / "theory" / "training_golden.json").read_text())[
    "one_network"
]
STEPS = Schedule(
    inputs="x", learning_rate=0.1, moments=(0, 3, 12), centred=False, scale=1.0, kernels="all"
)
FLOW = replace(STEPS, learning_rate=None, moments=(0, 0.5, 2.0))


def golden_network():
    widths = GOLDEN["widths"]
    weights, biases = [], []
    for layer in range(3):
        i, j = np.indices((widths[layer + 1], widths[layer]))
        weights.append(1.3 * np.cos(1 + i + 2 * j + 3 * layer) / widths[layer] ** 0.5)
        biases.append(0.3 * np.sin(1 + np.arange(widths[layer + 1]) + layer))
    x = torch.tensor(GOLDEN["X"], dtype=torch.float64)
    y = torch.tensor([[[0.8, -0.5]]], dtype=torch.float64)
    tensors = [[torch.from_numpy(v)[None].clone() for v in each] for each in (weights, biases)]
    rates = LearningRates((GOLDEN["lb"],) * 3, (GOLDEN["lW"],) * 3)
    return Learners(get("tanh"), *tensors, rates, x[:1], y), x


def test_one_network_is_as_computed_apart():
    # In the values, outputs stand in rows and inputs in columns.
    learners, x = golden_network()
    assert learners.outputs(x)[0].T.numpy() == pytest.approx(np.array(GOLDEN["z"]), abs=1e-9)
    for _ in range(10):
        learners.step(0.1)
    expected = np.array(GOLDEN["z_gd_eta0p1_T10"])
    assert learners.outputs(x)[0].T.numpy() == pytest.approx(expected, abs=1e-9)


def test_the_flow_of_one_network_is_as_computed_apart():
    learners, x = golden_network()
    for _ in range(100):
        learners.flow(0.01)
    expected = np.array(GOLDEN["z_flow_t1"])
    assert learners.outputs(x)[0].T.numpy() == pytest.approx(expected, abs=1e-9)


def sampled(mlp, rates, schedule, networks=6, outputs=2, **more):
    stream = np.random.default_rng(3)
    x, y = stream.normal(size=(5, 3)), stream.normal(size=(3, outputs))
    given = {"networks": networks, "seed": 5, "name": ("e", "m")} | more
    targets = np.concatenate([y, np.full((2, outputs), np.nan)])
    inputs = TrainingInputs(x, targets, 3)
    return x, y, sample_training(mlp, rates, inputs, schedule, **given)


def modules(mlp, rates, schedule, x, y, networks):
    """The networks of the first block as torch modules, mirrored ones behind the others."""
    one = Ensemble(
        mlp, rates, schedule, torch.from_numpy(x), torch.from_numpy(y),
        lambda block: _stream(block),
    )  # fmt: skip
    begun = drawn(one, 0, networks)
    for n in range(2 * networks):
        layers = []
        for k, W in enumerate(begun.weights):
            linear = torch.nn.Linear(W.shape[2], W.shape[1], dtype=torch.float64)
            bias = begun.biases[k]
            linear.weight.data = W[n].clone()
            linear.bias.data = torch.zeros(W.shape[1]).double() if bias is None else bias[n].clone()
            layers += [
                linear,
                torch.nn.Tanh() if mlp.activation_name == "tanh" else torch.nn.ReLU(),
            ]
        yield torch.nn.Sequential(*layers[:-1])


def _stream(block):
    from finitewidth.core.torch_random import torch_stream

    return torch_stream(5, "e", "m", "networks", block)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("parameterisation", ["ntk", "standard", "pdlt"])
@pytest.mark.parametrize(("centred", "scale"), [(False, 1.0), (True, 1.0), (False, 3.0)])
def test_training_is_a_loop_of_sgd_over_networks(activation, parameterisation, centred, scale):
    mlp = Perceptron.uniform_width(
        activation, dimension=3, width=7, depth=3, C_b=0.0 if centred else 0.2, C_W=1.5, outputs=2
    )
    own = (0.5, 0.7) if parameterisation == "pdlt" else (None, None)
    rates = LearningRates.named(parameterisation, mlp, *own)
    rate = 0.01 if parameterisation == "standard" else 0.1
    schedule = replace(STEPS, learning_rate=rate, centred=centred, scale=scale)
    x, y, found = sampled(mlp, rates, schedule)
    data, target = torch.from_numpy(x), torch.from_numpy(y)
    for n, model in enumerate(modules(mlp, rates, schedule, x, y, 6)):
        groups = [
            {"params": [p], "lr": rate * lam}
            for k, layer in enumerate(model[::2])
            for p, lam in (
                (layer.weight, rates.lambda_W[k] / layer.in_features),
                (layer.bias, rates.lambda_b[k]),
            )
        ]
        optimiser = torch.optim.SGD(groups, lr=rate)
        start = model(data).detach() if centred else 0
        sign, network = divmod(n, 6)
        for moment in range(13):
            if moment in schedule.moments:
                at = {"network": network, "sign": sign, "moment": schedule.moments.index(moment)}
                f = (scale * (model(data).detach() - start)).numpy()
                seen = found["prediction"].isel(at).values.T
                assert seen == pytest.approx(f, abs=1e-12)
                loss = ((f[:3] - y) ** 2).sum() / 2
                assert found["loss"].isel(at).item() == pytest.approx(loss, abs=1e-12)
            optimiser.zero_grad()
            f = scale * (model(data) - start)
            (((f[:3] - target) ** 2).sum() / 2 / scale**2).backward()
            optimiser.step()


def test_flow_is_the_solution_of_its_equation():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=5, depth=3, C_b=0.2, outputs=2)
    rates = LearningRates.named("pdlt", mlp, 0.5, 0.7)
    x, y, found = sampled(mlp, rates, FLOW, networks=2)
    data, target = torch.from_numpy(x), torch.from_numpy(y)
    for n, model in enumerate(modules(mlp, rates, FLOW, x, y, 2)):
        parameters = list(model.parameters())
        lambdas = [
            lam
            for k, layer in enumerate(model[::2])
            for lam in (rates.lambda_W[k] / layer.in_features, rates.lambda_b[k])
        ]

        def velocity(_, flat, model=model, parameters=parameters, lambdas=lambdas):
            torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), parameters)
            loss = ((model(data[:3]) - target) ** 2).sum() / 2
            grads = torch.autograd.grad(loss, parameters)
            return np.concatenate(
                [-lam * g.numpy().ravel() for lam, g in zip(lambdas, grads, strict=True)]
            )

        flat = torch.nn.utils.parameters_to_vector(parameters).detach().numpy().copy()
        end = solve_ivp(velocity, (0, 2.0), flat, rtol=1e-10, atol=1e-12).y[:, -1]
        torch.nn.utils.vector_to_parameters(torch.from_numpy(end), parameters)
        sign, network = divmod(n, 2)
        at = found["prediction"].isel(network=network, sign=sign, moment=2).values.T
        # The step of the library is good to 6e-6 of the residual at the start.
        assert at == pytest.approx(model(data).detach().numpy(), abs=3e-5)


@pytest.mark.parametrize("schedule", [STEPS, FLOW, replace(STEPS, centred=True, scale=2.0)])
def test_frozen_predictions_are_those_of_the_linear_model(schedule):
    """The linear model of each network, trained by a loop over its own Jacobian."""
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, C_b=0.2, outputs=2)
    rates = LearningRates.named("pdlt", mlp, 0.5, 0.7)
    x, y, found = sampled(mlp, rates, schedule, networks=3)
    data = torch.from_numpy(x)
    fine = 1 if schedule.learning_rate else 4000
    eta = schedule.learning_rate or schedule.moments[-1] / fine
    steps = int(schedule.moments[-1]) if schedule.learning_rate else fine
    for n, model in enumerate(modules(mlp, rates, schedule, x, y, 3)):
        lam = np.concatenate(
            [
                np.full(p.numel(), value)
                for k, layer in enumerate(model[::2])
                for p, value in (
                    (layer.weight, rates.lambda_W[k] / layer.in_features),
                    (layer.bias, rates.lambda_b[k]),
                )
            ]
        )
        z0 = model(data)
        J = np.stack(
            [
                np.concatenate(
                    [g.numpy().ravel() for g in torch.autograd.grad(z, model.parameters(),
                                                                    retain_graph=True)]
                )
                for z in z0.flatten()
            ]
        )  # fmt: skip
        z0 = z0.detach().numpy()
        shift = z0 if schedule.centred else 0 * z0
        move = np.zeros(len(lam))
        for _ in range(steps):
            f = schedule.scale * (z0 - shift + (J @ move).reshape(z0.shape))
            e = np.zeros_like(f)
            e[:3] = (f[:3] - y) / schedule.scale
            move -= eta * lam * (J.T @ e.ravel())
        f = schedule.scale * (z0 - shift + (J @ move).reshape(z0.shape))
        sign, network = divmod(n, 3)
        at = found["frozen_prediction"].isel(network=network, sign=sign, moment=-1).values.T
        assert at == pytest.approx(f, abs=1e-11 if schedule.learning_rate else 1e-3)


def test_layers_add_up_to_the_tangent_kernel_of_the_moment():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, C_b=0.2, outputs=2)
    rates = LearningRates.named("pdlt", mlp, 0.5, 0.7)
    x, y, found = sampled(mlp, rates, replace(STEPS, moments=(0, 1)), networks=2)
    data = torch.from_numpy(x)
    model = next(modules(mlp, rates, STEPS, x, y, 2))
    total = found["layer_kernel"].isel(network=0, sign=0, moment=0).sum("layer").values
    for output in range(2):
        grads = []
        for z in model(data)[:, output]:
            own = torch.autograd.grad(z, model.parameters(), retain_graph=True)
            parts = []
            for k in range(3):
                rate = rates.lambda_W[k] / model[2 * k].in_features
                parts += [
                    rate**0.5 * own[2 * k].flatten(),
                    rates.lambda_b[k] ** 0.5 * own[2 * k + 1],
                ]
            grads.append(torch.cat(parts))
        H = (torch.stack(grads) @ torch.stack(grads).T).numpy()
        a, b = found["pair_a"].values, found["pair_b"].values
        assert total[output] == pytest.approx(H[a, b], rel=1e-12)


def test_mirrored_networks_begin_opposite_with_the_same_kernel():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=6, depth=3, C_b=0.2, outputs=2)
    _, _, found = sampled(mlp, LearningRates.named("ntk", mlp), STEPS)
    z = found["prediction"].isel(moment=0).values
    assert np.array_equal(z[:, 0], -z[:, 1])
    kernel = found["layer_kernel"].isel(moment=0).values
    assert np.array_equal(kernel[:, 0], kernel[:, 1])


@pytest.mark.parametrize("schedule", [STEPS, FLOW])
def test_shards_are_the_same_bytes_as_the_whole(schedule):
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=200, depth=3, C_b=0.2, outputs=1)
    rates = LearningRates.named("ntk", mlp)
    size = block_size("training", 200)
    arguments = {"networks": 2 * size + 1, "outputs": 1, "precision": "float32"}
    _, _, whole = sampled(mlp, rates, schedule, **arguments)
    parts = [sampled(mlp, rates, schedule, blocks=(b, b + 1), **arguments)[2] for b in range(3)]
    for name in whole.data_vars:
        together = np.concatenate([part[name].values for part in parts])
        assert together.tobytes() == whole[name].values.tobytes(), name


def test_a_network_that_diverges_is_named_with_its_step():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, C_W=1.5, outputs=2)
    schedule = replace(STEPS, learning_rate=30.0, moments=(0, 200))
    # A bounded activation holds the others back; the last layer alone is linear.
    with pytest.raises(ValueError, match=r"the training of network \d+ diverged at step \d+"):
        sampled(mlp, LearningRates.named("ntk", mlp), schedule)


def test_what_does_not_fit_is_refused():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, outputs=2)
    with pytest.raises(ValueError, match="targets of shape"):
        sampled(mlp, LearningRates.named("ntk", mlp), STEPS, outputs=3)
