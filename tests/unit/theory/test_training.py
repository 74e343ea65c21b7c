"""Predictions of trained ensembles for given kernels: against values computed apart, loops by hand
of linear gradient descent, and limits."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import finitewidth as fw
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.training.gradient_descent import FrozenTraining
from finitewidth.theory.training.moments import Descent, Flow

GOLDEN = json.loads((Path(__file__).parent / "training_golden.json").read_text())
X = np.array(
    [(1, 0.5, -1, 0.9), (0.2, 1.1, 0.7, 1.2), (-0.9, 0.3, 0.6, -0.8), (0.8, -0.6, 0.4, 0.3)]
)


def kernels_of(case, x, activation):
    mlp = Perceptron.uniform_width(
        activation, dimension=4, width=1, depth=case["L"], C_b=case["Cb"], C_W=case["CW"]
    )
    rates = LearningRates.named("pdlt", mlp, case["lb"], case["lW"])
    return infinite_width_kernels(mlp.architecture, x, rates)[-1]


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("a_gd_eta.2_T8", {"learning_rate": 0.2, "steps": 8}),
        ("a_flow_t1", {"time": 1.0}),
        ("b_flow_t1000", {"time": 1000.0}),
        ("b_flow_t1000", {"time": float("inf")}),
        ("c_2outputs_gd_eta.3_T6", {"learning_rate": 0.3, "steps": 6}),
    ],
)
def test_infinite_width_is_as_computed_apart(name, when):
    case = GOLDEN[name]
    x = X[[0, 1, 3]] if name.startswith("a") else X[:2]
    kernels = kernels_of(case, x, case["act"])
    y = np.array(case["y"])
    if name.startswith("c"):
        y = y[None]
    found = fw.gradient_descent_mse(kernels, y, **when)
    assert found.mean.T.ravel() == pytest.approx(np.array(case["mean0"]), abs=1e-8)
    for pair, value in case["cov0"].items():
        a, b = (int(c) for c in pair)
        if max(a, b) < len(x):
            assert found.covariance[a, b] == pytest.approx(value, abs=1e-8)
    assert found.loss == pytest.approx(case["loss0"], abs=1e-8)


def test_relu_is_as_computed_apart():
    case = GOLDEN["inf_relu_eta0.2_T10"]
    kernels = kernels_of(case, X, "relu")
    found = fw.gradient_descent_mse(kernels, case["y"], learning_rate=0.2, steps=10)
    assert found.mean[:, 0] == pytest.approx(np.array(case["mean"]), abs=1e-8)
    assert found.variance == pytest.approx(np.array(case["var"]), abs=1e-8)
    assert found.covariance[0, 3] == pytest.approx(case["cov03"], abs=1e-8)


def test_equal_inputs_with_two_labels_are_as_computed_apart():
    case = GOLDEN["inf_relu_degenerate"]
    kernels = kernels_of(case, X[[0, 0, 3]], "relu")
    found = fw.gradient_descent_mse(kernels, case["y"], learning_rate=0.1, steps=15)
    assert found.mean[:, 0] == pytest.approx(np.array(case["mean"]), abs=1e-6)
    assert found.variance == pytest.approx(np.array(case["var"]), abs=1e-6)
    # At the end of the flow both are at the mean of their labels, and of how far they may be apart
    # nothing is left: they start together.
    end = fw.gradient_descent_mse(kernels, case["y"], time=np.inf)
    assert end.mean[:2, 0] == pytest.approx(np.full(2, 0.25), abs=1e-12)
    assert end.loss == pytest.approx(0.75**2, abs=1e-12)
    assert np.abs(end.variance[:2]).max() < 1e-12


def random_kernels(points, parameters, seed, outputs=2):
    """A linear model with so many parameters, and what it begins with."""
    stream = np.random.default_rng(seed)
    J = stream.normal(size=(points, parameters)) / parameters**0.5
    root = stream.normal(size=(points, points)) / points**0.5
    return J, root, stream


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("parameters", [3, 40])
@pytest.mark.parametrize("rate", [0.1, 1.9])
def test_descent_is_a_loop_of_linear_gradient_descent(ridge, parameters, rate):
    # 3 parameters for 6 training inputs: null modes. 1.9 of 2: steps that overshoot.
    p, steps = 6, 17
    J, root, stream = random_kernels(9, parameters, 1)
    K, y = root @ root.T, stream.normal(size=(p, 2))
    eta = rate / (np.linalg.eigvalsh((J @ J.T)[:p, :p])[-1] + ridge)

    def train(z0):
        w = np.zeros((parameters, z0.shape[1]))
        for _ in range(steps):
            residual = (z0 + J @ w)[:p] - y[:, : z0.shape[1]]
            w = w - eta * (J[:p].T @ residual + ridge * w)
        return z0 + J @ w

    found = fw.gradient_descent_mse(
        SimpleNamespace(nngp=K, ntk=J @ J.T), y, learning_rate=eta, steps=steps, ridge=ridge
    )
    assert found.mean == pytest.approx(train(np.zeros((9, 2))), abs=1e-12)
    start = stream.normal(size=(9, 2))
    assert found.of(start) == pytest.approx(train(start), abs=1e-12)
    # Each column of the root is a start of its own; what is added to the mean is linear in it.
    y = np.zeros((p, 9))
    moved = train(root)
    assert found.covariance == pytest.approx(moved @ moved.T, abs=1e-12)
    assert found.variance == pytest.approx(np.diagonal(found.covariance), abs=1e-13)


def test_loss_and_test_errors_are_those_of_many_starts():
    J, root, stream = random_kernels(7, 12, 2)
    y, wanted = stream.normal(size=(4, 3)), stream.normal(size=(3, 3))
    found = fw.gradient_descent_mse(
        SimpleNamespace(nngp=root @ root.T, ntk=J @ J.T), y, learning_rate=0.3, steps=5
    )
    # Gauss-Hermite with two points is exact for squares of what is linear in the start.
    losses, errors = [], []
    for column in range(7):
        for sign in (1, -1):
            start = np.zeros((7, 3)) + sign * 7**0.5 * root[:, [column]]
            z = found.of(start)
            losses.append(np.sum((z[:4] - y) ** 2) / 2)
            errors.append((z[4:] - wanted) ** 2)
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-12)
    parts = found.test_errors(wanted)
    assert parts.total == pytest.approx(np.mean(errors, axis=0), rel=1e-12)
    assert parts.bias == pytest.approx((found.mean[4:] - wanted) ** 2, rel=1e-12)


def test_small_steps_are_flow():
    J, root, stream = random_kernels(6, 20, 3)
    training = FrozenTraining(
        SimpleNamespace(nngp=root @ root.T, ntk=J @ J.T), stream.normal(size=4), ridge=0.1
    )
    flow = training.at(Flow(2.0))
    gaps = [
        np.abs(training.at(Descent(2.0 / n, n)).covariance - flow.covariance).max()
        for n in (1000, 2000)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.01)


def test_two_moments_have_a_covariance():
    J, root, stream = random_kernels(6, 20, 4)
    training = FrozenTraining(
        SimpleNamespace(nngp=root @ root.T, ntk=J @ J.T), stream.normal(size=4)
    )
    early, late = training.at(Flow(0.5)), training.at(Flow(3.0))
    zero = np.zeros((6, 1))
    P = [
        np.stack([m.of(e[:, None])[:, 0] - m.of(zero)[:, 0] for e in np.eye(6)], axis=1)
        for m in (early, late)
    ]
    expected = P[0] @ root @ root.T @ P[1].T
    assert early.covariance_with(late) == pytest.approx(expected, abs=1e-12)


def test_late_residuals_keep_their_digits():
    # Of a difference of two numbers near 1 nothing would be left.
    kernels = SimpleNamespace(nngp=np.eye(2), ntk=np.diag([1.0, 2.0]))
    found = fw.gradient_descent_mse(kernels, [1.0, 1.0], time=60.0)
    assert found.loss == pytest.approx((2 * np.exp(-120.0) + 2 * np.exp(-240.0)) / 2, rel=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_a_gaussian_process_is_conditioned(ridge):
    _, root, stream = random_kernels(6, 1, 5)
    K, y = root @ root.T, stream.normal(size=(4, 2))
    found = fw.gaussian_process(SimpleNamespace(nngp=K), y, ridge=ridge)
    # Independently: the joint precision matrix of all six, with the noise of four targets.
    noise = np.linalg.inv(ridge * np.eye(4)) if ridge else None
    if ridge:
        E = np.eye(6)[:4]
        covariance = np.linalg.inv(np.linalg.inv(K) + E.T @ noise @ E)
        mean = covariance @ E.T @ noise @ y
    else:
        L = np.linalg.cholesky(K)
        mean = L[:, :4] @ np.linalg.solve(L[:4, :4], y)
        covariance = L[:, 4:] @ L[:, 4:].T
    assert found.mean == pytest.approx(mean, abs=1e-9)
    assert found.covariance == pytest.approx(covariance, abs=1e-9)


def test_equal_inputs_leave_a_gaussian_process_what_the_prior_says():
    K = np.ones((3, 3)) + np.diag([0.0, 0.0, 1.0])
    found = fw.gaussian_process(SimpleNamespace(nngp=K), [1.0, 0.0])
    assert found.mean[:, 0] == pytest.approx([0.5, 0.5, 0.5])
    assert found.covariance[2, 2] == pytest.approx(1.0)


def test_a_thousand_inputs_on_a_line_are_finite():
    # A kernel of rapidly falling eigenvalues, most of them below rounding.
    x = np.linspace(-1, 1, 600)
    K = np.exp(-((x[:, None] - x) ** 2))
    kernels = SimpleNamespace(nngp=K, ntk=K)
    found = fw.gradient_descent_mse(kernels, np.sin(3 * x[:400]), time=np.inf)
    assert np.abs(found.mean[:400, 0] - np.sin(3 * x[:400])).max() < 1e-4
    assert np.isfinite(found.covariance).all()
    assert (found.variance[:400] < 1e-6).all()


def test_the_largest_learning_rate_is_where_descent_turns_from_falling_to_growing():
    J, _, stream = random_kernels(5, 20, 6)
    kernels, y = SimpleNamespace(nngp=None, ntk=J @ J.T), stream.normal(size=5)
    most = fw.max_learning_rate(kernels.ntk, ridge=0.1)

    def left(factor, steps):
        training = FrozenTraining(kernels, y, ridge=0.1)
        at, end = (training.at(m) for m in (Descent(most * factor, steps), Flow(np.inf)))
        return np.abs(at.mean - end.mean).max()

    assert left(0.99, 4000) < 1e-6
    assert left(1.01, 4000) > 1e6
    assert fw.max_learning_rate(kernels.ntk, spread=0.1) == pytest.approx(
        fw.max_learning_rate(kernels.ntk) / 1.5
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"y": [[[1.0]]]}, "targets of shape"),
        ({"y": [np.nan]}, "targets that are not finite"),
        ({"y": [1.0] * 4}, "at least the 4 training inputs"),
        ({"ntk": np.diag([1.0, -1.0, 1.0]), "y": [1.0, 1.0]}, "eigenvalue -1"),
        ({"ntk": np.full((3, 3), np.inf)}, "not finite"),
        ({"nngp": np.eye(4)}, "nngp has 4 inputs"),
        ({"ridge": -1.0}, "ridge: given"),
        ({"time": -1.0}, "a time of training"),
        ({"time": float("nan")}, "a time of training"),
        ({"time": None}, "learning_rate and steps, or by time"),
        ({"learning_rate": 0.1, "steps": 1}, "learning_rate and steps, or by time"),
        ({"time": None, "learning_rate": -0.1, "steps": 1}, "a learning rate is"),
        (
            {"time": None, "learning_rate": 0.1, "steps": 1.5},
            "steps: given 1.5, allowed is a whole number",
        ),
    ],
)
def test_what_is_no_training_is_refused_in_one_sentence(changes, said):
    given = {"nngp": np.eye(3), "ntk": np.eye(3), "y": [1.0], "time": 1.0} | changes
    kernels = SimpleNamespace(nngp=given.pop("nngp"), ntk=given.pop("ntk"))
    with pytest.raises(ValueError, match=said):
        fw.gradient_descent_mse(kernels, given.pop("y"), **given)


def test_a_spread_wants_the_kernel_of_the_start():
    found = fw.gradient_descent_mse(SimpleNamespace(nngp=None, ntk=np.eye(2)), [1.0], time=1.0)
    assert found.mean.shape == (2, 1)
    with pytest.raises(ValueError, match="nngp"):
        _ = found.covariance
