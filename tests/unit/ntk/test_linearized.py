"""A linearised torch module trained in closed form, against torch.func and a plain loop."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

import finitewidth as fw


def module(kind):
    torch.manual_seed(3)
    if kind == "perceptron":
        layers = [nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 2)]
    elif kind == "convolution":
        layers = [nn.Conv1d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)]
        layers.insert(0, nn.Unflatten(1, (1, 3)))
    else:
        shared = nn.Linear(3, 3)
        layers = [shared, nn.Tanh(), nn.LayerNorm(3), shared, nn.Tanh(), nn.Linear(3, 2)]
    return nn.Sequential(*layers).double()


X = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3)))
Y = torch.from_numpy(np.random.default_rng(2).normal(size=(4, 2)))


def jacobian(model, x):
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    J = jacrev(lambda p: functional_call(model, p, (x,)))(parameters)
    return torch.cat([J[k].flatten(2) for k in parameters], dim=2)


def loop(model, learning_rate, steps, ridge):
    """Displacement of all parameters, by gradient descent on the linear model."""
    J, start = jacobian(model, X[:4]), model(X[:4]).detach()
    w = torch.zeros(J.shape[2], dtype=torch.float64)
    for _ in range(steps):
        w = w - learning_rate * (torch.einsum("aow,ao->w", J, start + J @ w - Y) + ridge * w)
    return w


@pytest.mark.parametrize("kind", ["perceptron", "convolution", "tied"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_training_is_a_plain_loop_over_the_linear_model(kind, ridge):
    model = module(kind)
    before = copy.deepcopy(model.state_dict())
    linear = fw.linearize(model)
    found = linear.gradient_descent_mse(X[:4], Y, learning_rate=0.02, steps=40, ridge=ridge)
    w = loop(model, 0.02, 40, ridge)
    moved = torch.cat([found.displacement[k].flatten() for k, _ in model.named_parameters()])
    torch.testing.assert_close(moved, w, rtol=1e-10, atol=1e-10)
    expected = model(X).detach() + jacobian(model, X) @ w
    torch.testing.assert_close(found(X), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(linear(X), model(X).detach())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    # A loop of many small steps is the flow.
    flow = linear.gradient_descent_mse(X[:4], Y, time=0.5, ridge=ridge)
    fine = model(X).detach() + jacobian(model, X) @ loop(model, 0.5 / 4000, 4000, ridge)
    torch.testing.assert_close(flow(X), fine, rtol=0, atol=2e-3)


def test_at_the_end_targets_are_met_and_what_no_kernel_sees_stays():
    linear = fw.linearize(module("perceptron"))
    end = linear.gradient_descent_mse(X[:4], Y.numpy(), time=float("inf"))
    torch.testing.assert_close(end(X[:4]), Y, rtol=1e-8, atol=1e-8)
    # One input with two targets ends at their mean.
    twice = linear.gradient_descent_mse(X[[0, 0]], Y[:2], time=float("inf"))
    torch.testing.assert_close(twice(X[:1])[0], Y[:2].mean(0), rtol=1e-8, atol=1e-8)


def test_what_does_not_fit_is_refused_in_one_sentence():
    model = module("perceptron")
    linear = fw.linearize(model)
    for y, when, said in [
        (Y[:3], {"time": 1.0}, "targets of shape"),
        (Y, {"time": 1.0, "steps": 3}, "learning_rate and steps, or by time"),
        (Y, {"time": 1.0, "ridge": -1.0}, "ridge"),
    ]:
        with pytest.raises(ValueError, match=said) as refused:
            linear.gradient_descent_mse(X[:4], y, **when)
        assert "\n" not in str(refused.value)
    with torch.no_grad():
        model[0].bias += 1
    with pytest.raises(ValueError, match="linearize it again"):
        linear.gradient_descent_mse(X[:4], Y, time=1.0)


def test_running_means_stay_as_they_are():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    before = copy.deepcopy(model.state_dict())
    linear = fw.linearize(model)
    linear(X)
    # In training an output depends on all inputs: it has no tangent kernel.
    with pytest.raises(ValueError, match=r"inputs|batch"):
        linear.gradient_descent_mse(X[:4], Y, time=1.0)
    model.eval()
    found = fw.linearize(model).gradient_descent_mse(X[:4], Y, learning_rate=0.02, steps=40)
    w = loop(model, 0.02, 40, 0.0)
    expected = model(X).detach() + jacobian(model, X) @ w
    torch.testing.assert_close(found(X), expected, rtol=1e-10, atol=1e-10)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
