"""Estimates along training: against loops by hand over starts, and against theory where it is exact
at any width."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.reasons import Reason
from finitewidth.estimate.training.training_estimates import estimate_training
from finitewidth.quantities.vocabulary import FROM_TRAINING
from small_studies import run

#: Beyond so many standard errors no number may be: by chance one in 150 000.
SIGMAS = 4.5


@pytest.fixture
def recorded():
    """Sixty starts, two moments, three layers, two outputs, three inputs of which two train."""
    stream = np.random.default_rng(0)
    f = 3 + stream.normal(size=(60, 2, 2, 2, 3))
    wide = (f[:, 0] - f[:, 1]) / 2 + stream.normal(size=(60, 2, 2, 3)) / 4
    dims = ("network", "sign", "moment")
    return xr.Dataset(
        {
            "prediction": ((*dims, "output", "input"), f),
            "frozen_prediction": ((*dims, "output", "input"), f + stream.normal(size=f.shape) / 9),
            "start": (("network", "output", "input"), f[:, 0, 0]),
            "wide_prediction": (("network", "moment", "output", "input"), wide),
            "wide_variance": (("network", "moment", "input"), stream.chisquare(9, (60, 2, 3)) / 18),
            "wide_covariance": (("network", "moment", "pair"), stream.chisquare(9, (60, 2, 3)) / 9),
            "loss": (dims, stream.chisquare(3, size=(60, 2, 2))),
            "layer_kernel": ((*dims, "layer", "output", "pair"),
                             stream.normal(size=(60, 2, 2, 3, 2, 3))),
        },
        coords={
            "network": np.arange(60), "sign": [1, -1], "moment": [0.0, 4.0], "layer": [1, 2, 3],
            "width": ("layer", [5, 5, 2]), "output": [0, 1], "input": [0, 1, 2],
            "is_training": ("input", [True, True, False]),
            "pair_a": ("pair", [0, 0, 1]), "pair_b": ("pair", [0, 1, 1]),
            "target": (("output", "input"), [[1.0, -1.0, np.nan], [0.5, 2.0, np.nan]]),
        },
        attrs={"precision": "float64"},
    )  # fmt: skip


def controlled(function, control):
    """Of a function of which starts count, less its part along a control; the bias of the fit is
    that of a jackknife over starts."""

    def estimate(starts):
        x, k = (v - v.mean(axis=0) for v in (function(starts, each=True), control[starts]))
        slope = (x * k).sum(axis=0) / (k**2).sum(axis=0)
        return function(starts) - slope * control[starts].mean(axis=0)

    everyone = np.arange(60)
    without = np.mean([estimate(np.delete(everyone, n)) for n in range(60)], axis=0)
    return 60 * estimate(everyone) - 59 * without


def mean_of(values):
    """Mean over starts and signs, or over signs alone."""
    both = values.mean(axis=1)
    return lambda starts, each=False: both[starts] if each else both[starts].mean(axis=0)


def covariance_of(first, second):
    """E[x y] - E[x] E[y] over starts, the product of means over different ones; or the products of
    each start."""
    x, y = (v - v.mean(axis=(0, 1)) for v in (first, second))
    products, u, v = (x * y).mean(axis=1), x.mean(axis=1), y.mean(axis=1)

    def function(starts, each=False):
        if each:
            return products[starts]
        apart = [u[n] * v[m] for n in starts for m in starts if n != m]
        return products[starts].mean(axis=0) - np.mean(apart, axis=0)

    return function


def test_estimates_are_those_of_loops_over_starts(recorded):
    found = estimate_training([recorded], FROM_TRAINING)
    f, frozen = recorded["prediction"].values, recorded["frozen_prediction"].values
    kernel, y = recorded["layer_kernel"].values, recorded["target"].values
    a, b = recorded["pair_a"].values, recorded["pair_b"].values
    moved = kernel - kernel[:, :, :1]
    wide, own, across = (
        recorded[f"wide_{x}"].values for x in ("prediction", "variance", "covariance")
    )
    square = wide**2 - own[:, :, None]
    product = wide[..., a] * wide[..., b] - across[:, :, None]
    taught = square[..., :2].sum(axis=(2, 3)) / 2
    expected = {
        "prediction_mean": f.mean(axis=(0, 1)),
        "prediction_variance": controlled(covariance_of(f, f), square),
        "prediction_covariance": controlled(covariance_of(f[..., a], f[..., b]), product),
        "training_loss": controlled(mean_of(recorded["loss"].values), taught),
        "squared_error": controlled(mean_of((f - y) ** 2), square),
        "frozen_mean": frozen.mean(axis=(0, 1)),
        "frozen_variance": controlled(covariance_of(frozen, frozen), square),
        "motion_mean": (f - frozen).mean(axis=(0, 1)),
        "motion_square": ((f - frozen) ** 2).mean(axis=(0, 1)),
        "kernel_drift": moved.sum(axis=3).mean(axis=(0, 1)),
        "layer_drift": moved.mean(axis=(0, 1)),
    }
    off = (f - y).mean(axis=1)
    pairs = [off[n] * off[m] for n in range(60) for m in range(60) if n != m]
    expected["squared_bias"] = np.mean(pairs, axis=0)
    assert set(expected) == {v for v in found.data_vars if f"{v}_stderr" in found}
    for name, values in expected.items():
        assert found[name].values == pytest.approx(values, abs=1e-11, nan_ok=True), name


def test_errors_are_of_means_over_both_signs(recorded):
    """What is odd in the start has no part in the error of a mean."""
    odd = (
        np.random.default_rng(1).normal(size=(60, 1, 2, 2, 3))
        * np.array([1, -1])[:, None, None, None]
    )
    noisy = recorded.assign(prediction=recorded["prediction"] + 100 * odd)
    one, two = (estimate_training([d], ["predictions"]) for d in (recorded, noisy))
    assert two["prediction_mean_stderr"].values == pytest.approx(
        one["prediction_mean_stderr"].values, rel=1e-9
    )
    assert (two["prediction_variance"] > 1000).all()


def test_where_there_is_no_target_nothing_is_measured(recorded):
    found = estimate_training([recorded], ["training_errors"])
    for name in ("squared_error", "squared_bias"):
        assert (found[f"{name}_reason"][..., 2] == Reason.NOT_MEASURED).all()
        assert (found[f"{name}_reason"][..., :2] != Reason.NOT_MEASURED).all()


def test_shards_make_no_difference(recorded):
    parts = [recorded.isel(network=slice(30, 60)), recorded.isel(network=slice(0, 30))]
    whole, divided = (estimate_training(d, FROM_TRAINING) for d in ([recorded], parts))
    xr.testing.assert_identical(whole, divided)


def test_an_unknown_family_is_refused(recorded):
    with pytest.raises(ValueError, match="unknown family 'ntk'"):
        estimate_training([recorded], ["ntk"])


@pytest.mark.parametrize(
    "train",
    [
        {"learning_rate": 0.05, "steps": [3, 20]},
        {"times": [0.4, 3.0]},
        {"learning_rate": 0.05, "steps": [3, 20], "scale": 2.0},
        {"learning_rate": 0.05, "steps": [3, 20], "centred": True},
    ],
)
def test_linear_models_are_what_theory_says_at_any_width(train, tmp_path, monkeypatch):
    """Of depth 1 the kernel stands still, and infinite width is exact: nothing may be off.

    Starts in pairs and what infinite width makes of them are then all: nothing is left to chance.
    """
    monkeypatch.chdir(tmp_path)
    stream = np.random.default_rng(7)
    points = stream.normal(size=(3, 2)).tolist()
    values = stream.normal(size=(3, 2)).tolist()
    study = run(
        {
            "inputs": {
                "a": {"kind": "points", "points": points,
                      "targets": {"kind": "values", "values": values}},
                "b": {"kind": "points", "points": stream.normal(size=(2, 2)).tolist()},
            },
            "ensembles": {
                "e": {"activation": "tanh", "init": {"C_W": 1.3, "C_b": 0.4}, "width": 3,
                      "depth": 1, "inputs": "b", "networks": 2000, "precision": "float64",
                      "train": {"inputs": "a", "kernels": "all", **train}},
            },
        }
    )  # fmt: skip
    (m,) = study.members
    seen = 0
    for name in ("prediction_mean", "prediction_variance", "prediction_covariance",
                 "training_loss", "squared_error", "frozen_mean", "frozen_variance"):  # fmt: skip
        measured, error = m.estimates[name].values, m.estimates[f"{name}_stderr"].values
        theory = m.theory[name].sel(order="infinite_width").values
        trusted = m.estimates[f"{name}_trusted"].values == 1
        z = ((measured - theory) / error)[trusted]
        assert np.abs(z).max(initial=0) < SIGMAS, name
        # What has no spread is known exactly.
        exact = m.estimates[f"{name}_reason"].values == Reason.NO_SPREAD
        assert measured[exact] == pytest.approx(theory[exact], abs=1e-4), name
        seen += exact.sum()
    assert seen > 20
    for name in ("motion_mean", "motion_square", "kernel_drift", "layer_drift"):
        assert np.abs(m.estimates[name]).max() < 1e-4, name
