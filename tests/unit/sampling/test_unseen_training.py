"""Networks that learn without weights between hidden layers: on given matrices they are those whose
every weight is drawn, step by step, and drawn anew they have the same law.

Two-sample Kolmogorov-Smirnov tests, fixed seeds: some 100 p-values, each has to exceed 3e-5, so
that chance fails the file once in 300 choices of the seeds.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.blocks import block_size
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.sampling.training.starts import Ensemble, drawn
from finitewidth.sampling.training.training_ensemble import sample_training
from finitewidth.sampling.training.unseen_learners import UnseenLearners

STEPS = Schedule(
    inputs="x", learning_rate=0.1, moments=(0, 3, 8), centred=False, scale=1.0, kernels="all"
)
UNSEEN = "marginal training"
NETWORKS, LEAST_P = 4, 3e-5


def points(outputs, dimension=3, precision=torch.float64):
    stream = np.random.default_rng(3)
    x, y = stream.normal(size=(5, dimension)), stream.normal(size=(3, outputs))
    # An input twice, and one that is 0: their vectors depend on others.
    x[2], x[4] = x[0], 0
    return torch.from_numpy(x).to(precision), torch.from_numpy(y).to(precision)


def both(activation, depth, width, outputs=1, precision=torch.float64):
    """Learners with every weight, and such that meet the same matrices vector by vector."""
    mlp = Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_b=0.1, C_W=1.5, outputs=outputs
    )
    rates = LearningRates.named("pdlt", mlp, 0.5, 0.7)
    x, y = points(outputs, precision=precision)
    one = Ensemble(mlp, rates, STEPS, x, y, lambda block: torch_stream(5, "e", block))
    plain = drawn(one, 0, NETWORKS)
    weights = {k: plain.weights[k].clone() for k in {0, depth - 1}}
    start = [W[:NETWORKS].clone() for W in plain.weights]

    def fresh(layer):
        # The matrix itself in place of normals: what is known of it is then the truth.
        return lambda units, back: units @ (start[layer] if back else start[layer].mT)

    biases = [b if b is None else b.clone() for b in plain.biases]
    apart = UnseenLearners(
        mlp.activation, mlp.widths, weights, biases, fresh, rates, x[: len(y)], plain.y
    )
    return plain, apart, x


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(
    ("depth", "width", "outputs", "flow"),
    # More vectors than 7 or 20 neurons are met, and almost as many as 64 in the flow.
    [(3, 64, 1, False), (4, 20, 2, False), (3, 64, 1, True), (4, 7, 2, True), (2, 9, 1, False),
     (1, 1, 2, False)],
)  # fmt: skip
def test_on_given_matrices_every_step_is_that_of_learners_with_weights(
    activation, depth, width, outputs, flow
):
    plain, apart, x = both(activation, depth, width, outputs)
    for step in range(10):
        if step % 3 == 0:
            one, other = (learners.kernel(x) for learners in (plain, apart))
            for a, b in zip(one.weight + one.bias, other.weight + other.bias, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(plain.outputs(x), apart.outputs(x), rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(plain.residual(), apart.residual(), rtol=1e-8, atol=1e-8)
        for learners in (plain, apart):
            learners.flow(0.05) if flow else learners.step(0.1)


def test_in_single_precision_they_differ_by_rounding_alone():
    """Late in training vectors hardly differ from those met before."""
    plain, apart, x = both("tanh", 3, 50, precision=torch.float32)
    for _ in range(40):
        for learners in (plain, apart):
            learners.step(0.1)
    assert float((plain.outputs(x) - apart.outputs(x)).abs().max()) < 2e-5


def sampled(mlp, sampler, schedule=STEPS, outputs=1, networks=500, **more):
    x, y = (v.numpy() for v in points(outputs, mlp.widths[0]))
    targets = np.concatenate([y, np.full((2, outputs), np.nan)])
    rates = LearningRates.named("pdlt", mlp, 0.5, 0.7)
    given = {"seed": 5, "name": ("e", sampler), "sampler": sampler} | more
    return sample_training(
        mlp, rates, TrainingInputs(x, targets, 3), schedule, networks=networks, **given
    )


def statistics(found):
    f = found["prediction"].transpose("network", "sign", "moment", "output", "input").values
    frozen = found["frozen_prediction"].values[:, :, -1]
    H = found["layer_kernel"].values
    end, start = f[:, :, -1], f[:, :, 0]
    drift = H[:, :, -1].sum(2) - H[:, :, 0].sum(2)
    return {
        "end": end[:, 0, 0, 0],
        "test": end[:, 0, -1, 3],
        "start times end": start[:, 1, 0, 3] * end[:, 1, 0, 3],
        "both signs": end[:, 0, 0, 1] * end[:, 1, 0, 1],
        "odd": end[:, :, 0, 3].sum(1),
        "motion": (end - frozen)[:, 0, 0, 3],
        "motion of both": (end - frozen)[:, :, 0, 3].sum(1),
        "drift": drift[:, 0, 0, 0],
        "drift of both": drift[:, 0, 0, 1] * drift[:, 1, 0, 1],
        "layers": H[:, 0, 1, 1, 0, 3] - H[:, 0, 0, 1, 0, 3],
        "kernel": H[:, 1, -1].sum(1)[:, 0, -2],
        "loss": found["loss"].values[:, 0, -1],
    }


@pytest.mark.parametrize(
    ("activation", "depth", "width", "outputs", "schedule"),
    [
        ("tanh", 3, 30, 1, STEPS),
        ("relu", 4, 10, 1, STEPS),
        ("erf", 4, 4, 2, replace(STEPS, centred=True, scale=2.0)),
        ("tanh", 3, 14, 1, replace(STEPS, learning_rate=None, moments=(0, 0.02, 0.04))),
    ],
)
def test_both_have_the_same_law(activation, depth, width, outputs, schedule):
    mlp = Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_b=0.1, C_W=1.5, outputs=outputs
    )
    one, other = (
        statistics(sampled(mlp, sampler, schedule, outputs)) for sampler in ("training", UNSEEN)
    )
    for name in one:
        # A residual of centred networks is one number at the start, but for rounding.
        p = stats.ks_2samp(*(np.round(v[name], 9) for v in (one, other))).pvalue
        assert p > LEAST_P, (name, p)


@pytest.mark.parametrize("learning_rate", [0.1, None])
def test_shards_are_the_same_bytes_as_the_whole(learning_rate):
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=2000, depth=4, C_b=0.2, outputs=1)
    schedule = replace(
        STEPS, learning_rate=learning_rate, moments=(0, 1) if learning_rate else (0, 0.01)
    )
    size = block_size(UNSEEN, 2000)
    given = {"networks": 2 * size + 1, "precision": "float32"}
    whole = sampled(mlp, UNSEEN, schedule, **given)
    parts = [sampled(mlp, UNSEEN, schedule, blocks=(b, b + 1), **given) for b in range(3)]
    for name in whole.data_vars:
        together = np.concatenate([part[name].values for part in parts])
        assert together.tobytes() == whole[name].values.tobytes(), name


def test_a_network_that_diverges_is_named_as_often_as_it_is_asked():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=30, depth=3, C_W=1.5, outputs=1)
    schedule = replace(STEPS, learning_rate=30.0, moments=(0, 1, 200))
    said = []
    for _ in range(2):
        with pytest.raises(ValueError, match=r"network \d+ diverged at step \d+") as refused:
            sampled(mlp, UNSEEN, schedule, networks=60)
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert "at step 200" not in said[0]


def test_no_array_is_as_large_as_a_matrix():
    largest = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest.append(found.numel())
            return found

    mlp = Perceptron.uniform_width("tanh", dimension=3, width=4000, depth=3, outputs=1)
    with Watched():
        sampled(mlp, UNSEEN, replace(STEPS, moments=(0, 2)), networks=1)
    assert max(largest) < 4000**2 / 20
