"""What infinite width makes of the same start, as a control of second moments: its mean is 0 at any
width, and estimates keep their mean, have smaller errors, and errors that are right. Mean squares
of the motion are trusted where there are starts enough.

Fixed seeds. Single numbers may be off by 4.5 standard errors: some 400 are looked at, so that
chance fails the file once in 300 choices of the seeds.
"""

from dataclasses import replace

import numpy as np
import pytest

from finitewidth.estimate.training.training_estimates import estimate_training
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.quantities.vocabulary import FROM_TRAINING
from finitewidth.sampling.training.training_ensemble import sample_training
from finitewidth.theory.predict.predict_training import predictions

SIGMAS = 4.5
STEPS = Schedule(
    inputs="x", learning_rate=0.1, moments=(0, 3, 12), centred=False, scale=1.0, kernels="all"
)
CONTROLLED = (
    "prediction_variance", "prediction_covariance", "training_loss", "squared_error",
    "frozen_variance",
)  # fmt: skip


def setting(activation="tanh", width=16, depth=3, outputs=1, training=3, y=1.0):
    mlp = Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_b=0.3, C_W=1.3, outputs=outputs
    )
    stream = np.random.default_rng(3)
    x, targets = stream.normal(size=(5, 3)), y * stream.normal(size=(5, outputs))
    inputs = TrainingInputs(x[-training - 1 :], targets[-training - 1 :], training)
    return mlp, LearningRates.named("pdlt", mlp, 0.5, 0.7), inputs


def sampled(of, networks, schedule=STEPS, seed=5, **more):
    mlp, rates, inputs = of
    return sample_training(
        mlp, rates, inputs, schedule, networks=networks, seed=seed, name=("e",), **more
    )


def without_control(samples):
    names = ("wide_prediction", "wide_variance", "wide_covariance")
    return samples.assign({name: 0 * samples[name] for name in names})


@pytest.mark.parametrize("sampler", ["training", "marginal training"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_controls_have_mean_0_in_narrow_networks(sampler, activation):
    found = sampled(
        setting(activation, width=3, outputs=2), 3000, replace(STEPS, scale=2.0), sampler=sampler
    )
    z = found["wide_prediction"].values
    a, b = found["pair_a"].values, found["pair_b"].values
    own = z**2 - found["wide_variance"].values[:, :, None]
    across = z[..., a] * z[..., b] - found["wide_covariance"].values[:, :, None]
    for control in (own, across):
        error = control.std(axis=0) / len(control) ** 0.5
        assert (error > 0).all()
        assert (np.abs(control.mean(axis=0)) < SIGMAS * error).all()
    # At the start it is what networks predict.
    assert z[:, 0] == pytest.approx(found["prediction"].values[:, 0, 0], abs=1e-12)


def test_centred_predictions_have_no_control():
    found = sampled(setting(), 3, replace(STEPS, centred=True))
    assert not found["wide_prediction"].values.any()
    assert not found["wide_variance"].values.any()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_means_are_the_same_and_errors_smaller(activation):
    samples = sampled(setting(activation), 1500)
    found, plain = (
        estimate_training([s], FROM_TRAINING) for s in (samples, without_control(samples))
    )
    for name in CONTROLLED:
        errors = [e[f"{name}_stderr"].values for e in (found, plain)]
        # What is left and what is taken off are nearly independent.
        off = (found[name] - plain[name]).values / np.sqrt(np.abs(errors[1] ** 2 - errors[0] ** 2))
        assert np.abs(off[:2]).max() < SIGMAS, name
        assert (errors[0] < 1.01 * errors[1]).all(), name
        # At the start nothing but the fluctuation of the kernel is left.
        assert (errors[0][0] < 0.5 * errors[1][0]).all(), name
        assert (found[f"{name}_trusted"].values[0] == 1).all(), name


def test_errors_are_right_with_sixty_starts():
    """z over 60 ensembles of width 8, against their mean: numbers of one ensemble go together."""
    of = setting(width=8)
    each = [estimate_training([sampled(of, 60, seed=seed)], FROM_TRAINING) for seed in range(60)]
    for name in CONTROLLED:
        value, error = (np.stack([e[name + part].values for e in each]) for part in ("", "_stderr"))
        z = (value - value.mean(axis=0)) / error
        assert 0.75 < z.std() < 1.3, name
        assert np.mean(np.abs(z) > 3) < 0.03, name


def test_the_mean_square_of_the_motion_is_trusted_with_many_starts():
    of = setting(width=64, depth=2, training=1)
    schedule = replace(STEPS, learning_rate=0.2, moments=(0, 3, 8))
    few, many = (
        estimate_training([sampled(of, n, schedule, precision="float32")], ["frozen_predictions"])
        for n in (300, 6000)
    )
    assert (few["motion_square_trusted"] == 0).all()
    assert (many["motion_square_trusted"][1:] == 1).all()
    said, beyond = (
        predictions(schedule, ["frozen_predictions"], *of)[name].sel(order="1/n^2").values[1:, 0, 0]
        for name in ("motion_square", "motion_square_neglected")
    )
    value, error = (
        many[name].values[1:, 0, 0] for name in ("motion_square", "motion_square_stderr")
    )
    assert (np.abs(value - said) < SIGMAS * error + beyond).all()
    assert (value > 10 * error).all()
