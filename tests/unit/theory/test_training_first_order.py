"""Trained ensembles to first order in 1/n, and ReLU's to n^{-1/2}: against values computed apart,
limits, and measured ensembles."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.gaussian.factor_means import QuasiRandom
from finitewidth.theory.gaussian.factor_products import factor_products
from finitewidth.theory.predict.predict_training import predictions
from finitewidth.theory.training.corrections import corrections
from finitewidth.theory.training.ddntk import second_differentials
from finitewidth.theory.training.first_order import NAMES, FirstOrder
from finitewidth.theory.training.half_order import half_order
from finitewidth.theory.training.lateness import lateness
from finitewidth.theory.training.moments import Descent, Flow
from finitewidth.theory.training.motion import motion_square, variance_of_differential
from small_studies import run

GOLDEN = json.loads((Path(__file__).parent / "training_golden.json").read_text())
X = np.array([(1, 0.5, -1, 0.9), (0.2, 1.1, 0.7, 1.2), (0.8, -0.6, 0.4, 0.3)])
#: Beyond so many standard errors no number may be: by chance one in 150 000.
SIGMAS = 4.5


def network(case, outputs=1, activation="tanh", dimension=4):
    mlp = Perceptron.uniform_width(
        activation, dimension=dimension, width=1, depth=case["L"], C_b=case["Cb"], C_W=case["CW"],
        outputs=outputs,
    )  # fmt: skip
    return mlp, LearningRates.named("pdlt", mlp, case["lb"], case["lW"])


def test_second_differentials_on_one_input_are_as_computed_apart():
    case = GOLDEN["ddNTK_tanh_crit_L5"]
    _, found = second_differentials(*network(case, dimension=1), np.ones((1, 1)))
    for name in "RSTU":
        assert getattr(found, name).item() == pytest.approx(case[name], abs=1e-8)


def test_second_differentials_on_two_inputs_are_as_computed_apart():
    case = GOLDEN["ddNTK_tanh_2inputs_L3"]
    _, found = second_differentials(*network(case), X[:2])
    entries = [key for key in case if len(key) == 5 and key[0] in "RSTU"]
    assert len(entries) == 16
    for key in entries:
        at = tuple(int(c) for c in key[1:])
        assert getattr(found, key[0])[at] == pytest.approx(case[key], abs=1e-8), key


def test_two_equal_inputs_are_one():
    case = GOLDEN["ddNTK_tanh_2inputs_L3"]
    one = second_differentials(*network(case), X[:1])[1]
    two = second_differentials(*network(case), X[[0, 0]])[1]
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(np.full((2,) * 4, a.item()), rel=1e-9)


def corrected(mlp_and_rates, x, y, moment, **options):
    """At one moment, by quadrature."""
    k = mlp_and_rates[0].widths[-1]
    return FirstOrder(*mlp_and_rates, x, np.reshape(y, (-1, k)), **options).at([moment])[0]


@pytest.mark.parametrize(
    ("name", "moment", "inputs"),
    [
        ("b_flow_t1000", Flow(1000.0), 2),
        ("c_2outputs_gd_eta.3_T6", Descent(0.3, 6), 2),
        ("a_flow_t1", Flow(1.0), 3),
        ("a_gd_eta.2_T8", Descent(0.2, 8), 3),
    ],
)
def test_the_first_order_is_as_computed_apart(name, moment, inputs):
    case = GOLDEN[name]
    k = 2 if "2outputs" in name else 1
    found = corrected(network(case, k), X[:inputs], case["y"], moment)
    near = {"abs": 1e-8 if inputs < 3 else 1e-7}
    for part in ("frozen", "moving"):
        mean = getattr(found, f"mean_{part}").T.ravel()
        assert mean == pytest.approx(np.array(case[f"mean_{part}"]), **near)
    for name_, values in (
        ("cov_frozen", found.covariance_frozen),
        ("cov_moving", found.covariance_moving),
        ("drift", found.drift),
    ):
        # Outputs stand before inputs in the values.
        flat = values.transpose(1, 0, 3, 2).reshape(inputs * k, inputs * k)
        for pair, value in case[name_].items():
            assert flat[int(pair[0]), int(pair[1])] == pytest.approx(value, **near), (name_, pair)
    assert found.loss == pytest.approx(case["loss1"], **near)


def test_quasi_random_points_are_off_by_what_they_tell():
    """Of eight scrambles, in units of the error of their mean: Student's t of seven degrees."""
    case = GOLDEN["a_gd_eta.2_T8"]
    y = np.reshape(case["y"], (2, 1))
    exact = corrected(network(case), X, y, Descent(0.2, 8))
    each = [
        corrected(network(case), X, y, Descent(0.2, 8), means=QuasiRandom(3, k)) for k in range(8)
    ]
    ratios = []
    for name in NAMES:
        values = np.stack([np.ravel(getattr(one, name)) for one in each])
        error = values.std(axis=0, ddof=1) / 8**0.5
        assert (error < 0.02 * np.abs(np.ravel(getattr(exact, name))).max()).all(), name
        ratios.append((values.mean(axis=0) - np.ravel(getattr(exact, name))) / error)
    # By chance one in 30 000 is beyond 8.5, and there are some 40 that go together.
    assert np.abs(np.concatenate(ratios)).max() < 8.5


def test_more_inputs_take_points_and_tell_their_error():
    """Three training inputs and a test input: one of a copy is one of three by quadrature."""
    case = GOLDEN["a_gd_eta.2_T8"]
    y, moments = np.array([[1.0], [-0.7], [0.2]]), [Descent(0.1, 2), Descent(0.1, 9)]
    beside = np.concatenate([X, [[-0.9, 0.3, 0.6, -0.8]]])
    four = corrections(*network(case), beside, y, moments)
    three = corrections(*network(case), X, y, moments)
    for a, b in zip(four, three, strict=True):
        assert (b.error["mean_moving"] == 0).all()
        assert (a.error["mean_moving"] > 0).all()
        for name in ("mean_frozen", "mean_moving"):
            off = getattr(a.value, name)[:3] - getattr(b.value, name)
            assert (np.abs(off) < 8.5 * a.error[name][:3]).all()


def test_equal_inputs_with_different_targets_are_finite():
    """What no network can tell apart stays as it was; the mean of both is one input's."""
    case = GOLDEN["b_flow_t1000"]
    twice = corrected(network(case), X[[0, 0, 1]], [1.0, 0.6], Flow(np.inf))
    # Two copies double the rate, and end where one with their mean ends.
    once = corrected(network(case), X[:2], [0.8], Flow(np.inf))
    for name in ("mean_frozen", "mean_moving"):
        assert getattr(twice, name)[1:] == pytest.approx(getattr(once, name), abs=1e-8)
    assert twice.covariance_moving[2, 0, 2, 0] == pytest.approx(
        once.covariance_moving[1, 0, 1, 0], abs=1e-8
    )


def test_several_steps_of_training_are_one_path():
    """Moments told together are as told apart, and widths enter as one over them."""
    case = GOLDEN["a_gd_eta.2_T8"]
    mlp, rates = network(case)
    y = np.reshape(case["y"], (2, 1))
    one = FirstOrder(mlp, rates, X, y)
    both = one.at([Descent(0.2, 3), Descent(0.2, 8)])
    assert both[1].mean_moving == pytest.approx(one.at([Descent(0.2, 8)])[0].mean_moving, rel=1e-12)
    wide = replace(mlp, widths=(4, 50, 50, 1))
    known = corrections(wide, rates, X, y, [Descent(0.2, 8)])[0].value
    assert 50 * known.mean_moving == pytest.approx(both[1].mean_moving, rel=1e-9)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("train", [1, 2])
def test_small_steps_are_flow(outputs, train):
    y = np.linspace(0.8, -0.5, outputs * train).reshape(train, outputs)
    one = FirstOrder(*network(GOLDEN["b_flow_t1000"], outputs), X[: train + 1], y)
    (flow,) = one.at([Flow(1.5)])
    gaps = []
    for n in (500, 1000):
        (steps,) = one.at([Descent(1.5 / n, n)])
        gaps.append([np.abs(getattr(steps, x) - getattr(flow, x)).max() for x in NAMES])
    assert np.array(gaps[0]) / gaps[1] == pytest.approx(np.full(6, 2.0), rel=0.03)


def test_a_centred_ensemble_is_one_whose_start_is_known():
    """Its start has no part in anything: as targets grow, what is uncentred tends to it."""
    case = GOLDEN["b_flow_t1000"]
    centred = corrected(network(case), X[:2], [1.0], Flow(1.0), centred=True)
    gaps = []
    for size in (30.0, 300.0):
        plain = corrected(network(case), X[:2], [size], Flow(1.0))
        gaps.append(np.abs(plain.mean_moving / size**3 - _cubic(case)).max())
    assert gaps[1] < gaps[0] / 50
    assert centred.mean_moving == pytest.approx(_cubic(case), rel=1e-9)


def _cubic(case):
    """What is cubic in the target in the moving mean, by differences of an odd polynomial."""
    f = {y: corrected(network(case), X[:2], [y], Flow(1.0)).mean_moving for y in (1.0, 2.0)}
    return (f[2.0] - 2 * f[1.0]) / 6


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin", "linear"])
def test_factor_products_are_sums_over_normal_numbers(activation):
    """Against Gauss-Hermite at variances where that is exact enough."""
    act = get(activation) if activation != "linear" else get("softplus")
    K = np.array([[0.3, 0.1], [0.1, 0.2]])
    u, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    L = np.linalg.cholesky(K)
    z = np.stack([L[0, 0] * u[:, None] + 0 * u, L[1, 0] * u[:, None] + L[1, 1] * u])
    s = act.jet(z)
    found = factor_products(act, K, [(3, 1, 1, 1), (2, 2, 1, 1), (1, 2, 0, 1)])
    for orders, values in found.items():
        for at in np.ndindex(2, 2, 2, 2):
            factors = [s[p][i] for p, i in zip(orders, at, strict=True)]
            expected = np.einsum("ij,ij,ij,ij,i,j->", *factors, w, w)
            assert values[at] == pytest.approx(expected, abs=1e-9)


def test_a_kink_has_no_second_differentials():
    """What kernels that stand still do is known; their motion is not of order 1/n."""
    case = GOLDEN["b_flow_t1000"]
    with pytest.raises(ValueError, match="relu has a kink"):
        second_differentials(*network(case, activation="relu"), X)
    found = corrected(network(case, activation="relu"), X[:2], [1.0], Flow(1.0))
    for known in (found.mean_frozen, found.covariance_frozen):
        assert np.isfinite(known).all()
    for unknown in (found.mean_moving, found.drift, found.loss):
        assert np.isnan(unknown).all()


def test_relu_moves_at_order_one_over_root_n_as_computed_apart():
    case = GOLDEN["relu_half_L2"]
    mlp, rates = network(case, activation="relu", dimension=1)
    (found,) = half_order(mlp, rates, np.ones((1, 1)), case["y"], [Descent(case["eta"], case["T"])])
    assert found.drift == pytest.approx(case["sqrtn_E_dH"], abs=1e-9)
    assert found.motion == pytest.approx(case["sqrtn_E_z_minus_zlin"], abs=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin", "linear"])
def test_factor_products_at_three_inputs_are_those_at_two(activation):
    """Where two of the three are one, and where each pair stands alone."""
    act = get(activation)
    K = np.array([[0.3, 0.1, 0.1], [0.1, 0.2, 0.2], [0.1, 0.2, 0.2]])
    wanted = [(3, 1, 1, 1), (2, 2, 1, 1), (1, 2, 0, 1)]
    two, three = (factor_products(act, k, wanted) for k in (K[:2, :2], K))
    for orders in wanted:
        at = np.array([0, 1, 1])
        expected = two[orders][np.ix_(at, at, at, at)]
        assert three[orders] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("train", "y"),
    [
        ({"learning_rate": 0.1, "steps": [4]}, [[0.8]]),
        ({"times": [0.5]}, [[0.8]]),
        ({"learning_rate": 0.1, "steps": [8]}, [[1.0], [-0.7]]),
    ],
)
def test_measured_ensembles_are_what_the_first_order_says(train, y, tmp_path, monkeypatch):
    """Within errors and what it leaves out; and not what infinite width alone says."""
    monkeypatch.chdir(tmp_path)
    study = run(
        {
            "inputs": {
                "a": {"kind": "points", "points": X[: len(y)].tolist(),
                      "targets": {"kind": "values", "values": y}},
                "b": {"kind": "points", "points": X[len(y) :].tolist()},
            },
            "ensembles": {
                "e": {"activation": "tanh", "init": {"C_W": 1.2, "C_b": 0.1}, "width": 64,
                      "depth": 2, "inputs": "b", "networks": 6000, "precision": "float32",
                      "ntk": {"parameterisation": "pdlt", "lambda_b": 0.5, "lambda_W": 1.0},
                      "train": {"inputs": "a", "kernels": "all", **train}},
            },
        }
    )  # fmt: skip
    (m,) = study.members
    away, seen = {}, 0
    for name in ("prediction_mean", "prediction_variance", "prediction_covariance",
                 "training_loss", "squared_error", "squared_bias", "frozen_mean",
                 "frozen_variance", "motion_mean", "kernel_drift"):  # fmt: skip
        at = {"moment": 1}
        value, error, trusted = (
            m.estimates[f"{name}{x}"].isel(at).values for x in ("", "_stderr", "_trusted")
        )
        for order in ("infinite_width", "1/n"):
            theory = m.theory[name].sel(order=order).isel(at).values
            left = m.theory[f"{name}_neglected"].sel(order=order).isel(at).values
            off = np.abs(value - theory)[trusted == 1]
            room = (SIGMAS * error + left)[trusted == 1]
            assert (off <= room).all(), (name, order, off, room)
            away[name, order] = np.max(off / error[trusted == 1], initial=0)
            seen += off.size
    assert seen > 30
    for name in ("kernel_drift", "motion_mean"):
        assert away[name, "infinite_width"] > 2 * SIGMAS
        assert away[name, "1/n"] < away[name, "infinite_width"] / 3


@pytest.mark.parametrize("power", [1, 2])
def test_late_times_leave_out_what_slow_networks_do(power):
    """Of a flow the likeliest rate is x - power s t until it is 0; the mean itself is not far."""
    x, s = np.array([1.0]), np.array([0.02])
    early = lateness(Flow(5.0), x, s, power).item()
    assert early == pytest.approx(np.exp(s.item() * (5.0 * power) ** 2 / 2), rel=1e-3)
    late = lateness(Flow(200.0), x, s, power).item()
    assert late == pytest.approx(np.exp(200.0 * power - 1 / (2 * s.item())), rel=1e-3)
    # Steps that nearly overshoot leave more than a flow does where a rate is high.
    steps = lateness(Descent(1.8, 20), x, s, power).item()
    h = np.random.default_rng(0).normal(0, s.item() ** 0.5, 10**5)
    drawn = np.mean(np.abs(1 - 1.8 * (1 + h)) ** (20 * power)) / 0.8 ** (20 * power)
    assert drawn / 10 < steps


def test_the_mean_square_of_the_motion_is_as_computed_apart():
    case = GOLDEN["msq_tanh_L2_gd"]
    mlp, rates = network(case, dimension=1)
    moments = [Descent(case["eta"], 0), Descent(case["eta"], case["T"])]
    none, found = motion_square(mlp, rates, np.ones((1, 1)), case["y"], moments)
    # Of the file the last digits are those of a coarse rule.
    assert found.square == pytest.approx(case["n2_E_z_minus_zlin_sq"], abs=2e-7)
    assert none.square == 0


@pytest.mark.parametrize(("activation", "lambda_W"), [("tanh", 1.0), ("gelu", 0.3), ("sin", 2.0)])
def test_the_variance_of_the_differential_is_that_of_networks(activation, lambda_W):
    """At any width, since all neurons add alike: 20 neurons, by their jets."""
    mlp = Perceptron.uniform_width(
        activation, dimension=4, width=20, depth=2, C_b=0.1, C_W=1.2, outputs=1
    )
    rates = LearningRates.named("pdlt", mlp, 0.5, lambda_W)
    drawn = sample_ntk(
        mlp, rates, X[:1], networks=20000, seed=4, sampler="explicit", outputs=1,
        measure=["ntk", "dntk"], precision="float64",
    )  # fmt: skip
    square = drawn["dntk"].values.ravel() ** 2
    error = square.std() / len(square) ** 0.5
    expected = variance_of_differential(mlp, rates, X[:1])
    assert abs(square.mean() - expected) < SIGMAS * error
    assert error < 0.05 * expected


def test_motion_squares_stand_where_they_are_known():
    inputs = TrainingInputs(X[:2], np.array([[0.8], [np.nan]]), 1)
    schedule = Schedule(
        inputs="x", learning_rate=0.2, moments=(0.0, 3.0), centred=False, scale=2.0, kernels="train"
    )
    for depth, activation, known in ((2, "tanh", True), (3, "tanh", False), (2, "relu", False)):
        mlp = Perceptron.uniform_width(
            activation, dimension=4, width=50, depth=depth, C_b=0.1, C_W=1.2, outputs=1
        )
        rates = LearningRates.named("ntk", mlp)
        found = predictions(schedule, ["frozen_predictions"], mlp, rates, inputs)
        square = found["motion_square"].sel(order="1/n^2").values[:, 0]
        assert np.isfinite(square[1, 0]) == known
        assert np.isnan(square[:, 1]).all()
    # Of f = 2 z with targets y, z learns y/2.
    mlp = Perceptron.uniform_width("tanh", dimension=4, width=50, depth=2, C_b=0.1, C_W=1.2,
                                   outputs=1)  # fmt: skip
    rates = LearningRates.named("ntk", mlp)
    found = predictions(schedule, ["frozen_predictions"], mlp, rates, inputs)["motion_square"]
    (own,) = motion_square(mlp, rates, X[:1], 0.4, [Descent(0.2, 3)])
    assert found.sel(order="1/n^2").values[1, 0, 0] == pytest.approx(4 * own.square, rel=1e-12)


def test_two_test_inputs_have_a_covariance_and_a_drift():
    """Of a test input that is also learnt it is that of the input itself; of one that stands twice,
    its variance. Beside any other it is no matter of their order."""
    # A training input, two others, the first of these again, and the training input once more.
    x = X[[0, 1, 2, 1, 0]]
    inputs = TrainingInputs(x, np.array([[0.8], *[[np.nan]] * 4]), 1)
    schedule = Schedule(
        inputs="x", learning_rate=0.2, moments=(0.0, 5.0), centred=False, scale=2.0, kernels="all"
    )
    mlp = Perceptron.uniform_width(
        "tanh", dimension=4, width=50, depth=3, C_b=0.1, C_W=1.2, outputs=1
    )
    rates = LearningRates.named("ntk", mlp)
    found = predictions(schedule, ["predictions", "kernel_drift"], mlp, rates, inputs)
    place = {
        (a, b): k
        for k, (a, b) in enumerate(zip(found["pair_a"].values, found["pair_b"].values, strict=True))
    }
    for name in ("prediction_covariance", "kernel_drift"):
        values = found[name].sel(order="1/n").values[1, 0]
        assert np.isfinite(values).all()
        of = {pair: values[k] for pair, k in place.items()}
        of |= {(b, a): value for (a, b), value in of.items()}
        for one, other in [((1, 3), (1, 1)), ((1, 4), (1, 0)), ((2, 4), (2, 0)), ((2, 3), (2, 1))]:
            assert of[one] == pytest.approx(of[other], rel=1e-8), (name, one)
        assert of[1, 2] != pytest.approx(of[1, 1], rel=1e-3)
