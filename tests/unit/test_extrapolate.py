"""Fits over a ladder of widths, on estimates whose truth is known."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.comparison.extrapolate import extrapolate, fit
from finitewidth.core.reasons import Reason

pytestmark = pytest.mark.fast

WIDTH = np.array([16, 32, 64, 128, 256])
TRUTH = np.array([3.0, -7.0, 11.0])


def correlated(stream, draws, lowest):
    """Estimates with the truth above, and errors that the rungs share in part."""
    size = 0.02 * WIDTH.min() / WIDTH
    root = np.tril(np.full((5, 5), 0.4)) + 0.6 * np.eye(5)
    root = size[:, None] * root
    mean = (1.0 / WIDTH[:, None]) ** (lowest + np.arange(3)) @ TRUTH
    noise = root @ stream.standard_normal((5, draws))
    return mean[:, None] + noise, np.repeat((root @ root.T)[:, :, None], draws, axis=2)


def test_errors_of_the_fit_are_the_spread_of_its_coefficients():
    # 4000 fits: the mean of z has an error of 1.6 %, its standard deviation one of 1.1 %; at four
    # of these on three coefficients the false-alarm rate is under 1e-3.
    beyond, covariance = correlated(np.random.default_rng(5), 4000, lowest=1)
    value, error, p = fit(beyond, covariance, WIDTH, lowest=1)
    z = (value - TRUTH[:, None]) / error
    assert np.all(np.abs(z.mean(axis=1)) < 4 / np.sqrt(4000))
    assert np.all(np.abs(z.std(axis=1) - 1) < 4 / np.sqrt(8000))
    assert abs(np.mean(p < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 4000)


def test_no_linear_unbiased_fit_is_better():
    # Gauss and Markov: ordinary least squares on the same points scatters more.
    beyond, covariance = correlated(np.random.default_rng(6), 2000, lowest=1)
    value, _, _ = fit(beyond, covariance, WIDTH, lowest=1)
    design = (1.0 / WIDTH[:, None]) ** np.array([1, 2, 3])
    plain, *_ = np.linalg.lstsq(design, beyond, rcond=None)
    assert np.all(value.std(axis=1) < plain.std(axis=1))


def test_a_rung_without_spread_or_a_singular_covariance_gives_no_number():
    beyond, covariance = correlated(np.random.default_rng(7), 2, lowest=1)
    covariance[:, :, 1] = 0
    value, error, p = fit(beyond, covariance, WIDTH, lowest=1)
    assert np.isfinite(value[:, 0]).all()
    assert np.isnan(value[:, 1]).all()
    assert np.isnan(error[:, 1]).all()
    assert p[1] == 0


def ladder(lowest, name, dims, wrong=0.0):
    stream = np.random.default_rng(8)
    shape = (5, 1, 3)
    beyond, covariance = correlated(stream, 3, lowest)
    beyond = beyond + wrong * np.sin(WIDTH)[:, None]
    infinite = np.broadcast_to([1.0, 2.0, 3.0], shape)
    value = infinite + beyond.reshape(shape)
    stderr = np.sqrt(np.einsum("rrk->rk", covariance)).reshape(shape)
    estimates = xr.Dataset(
        {
            name: (("rung", *dims), value, {"long_name": "number", "estimator": "plain"}),
            f"{name}_stderr": (("rung", *dims), stderr),
            f"{name}_reason": (("rung", *dims), np.zeros(shape, np.int8)),
            f"{name}_diagnostic": (("rung", *dims), np.full(shape, np.nan, np.float32)),
            f"{name}_rungs": (("rung", "rung_", *dims), covariance.reshape(5, *shape)),
        },
        coords={"width": ("rung", WIDTH), "layer": [4]},
    )
    theory = xr.Dataset(
        {name: (("order", "rung", *dims), infinite[None])},
        coords={"order": ["infinite_width"], "width": ("rung", WIDTH), "layer": [4]},
    )
    return estimates, theory


def test_coefficients_are_those_of_the_expansion_beyond_infinite_width():
    found = extrapolate(*ladder(1, "kernel_mean", ("layer", "pair")))
    assert found["kernel_mean_1"].dims == ("layer", "pair")
    for power, truth in ((1, 3.0), (2, -7.0)):
        z = (found[f"kernel_mean_{power}"] - truth) / found[f"kernel_mean_{power}_stderr"]
        assert (np.abs(z) < 4).all()
    assert found["kernel_mean_1_trusted"].all()
    assert "5 widths" in found["kernel_mean_1"].attrs["estimator"]
    third = extrapolate(*ladder(2, "kernel_third", ("layer", "input")))
    assert set(third.data_vars) == {
        f"kernel_third_2{x}" for x in ("", "_stderr", "_trusted", "_reason", "_diagnostic")
    }
    assert (np.abs(third["kernel_third_2"] - 3) < 4 * third["kernel_third_2_stderr"]).all()


def test_points_that_no_expansion_describes_are_not_trusted():
    found = extrapolate(*ladder(1, "kernel_mean", ("layer", "pair"), wrong=0.1))
    assert not found["kernel_mean_1_trusted"].any()
    assert (found["kernel_mean_1_reason"] == Reason.NO_FIT).all()
    assert (found["kernel_mean_1_diagnostic"] < 1e-3).all()


def test_coefficients_carry_the_reason_of_the_first_width_that_has_one():
    estimates, theory = ladder(1, "kernel_mean", ("layer", "pair"))
    for rung, reason, number in ((3, Reason.SKEW, 0.4), (1, Reason.ONE_BLOCK, 0.7)):
        estimates["kernel_mean_reason"][rung, 0, 1] = reason
        estimates["kernel_mean_diagnostic"][rung, 0, 1] = number
    found = extrapolate(estimates, theory)
    assert found["kernel_mean_2_reason"].values.tolist() == [[0, Reason.ONE_BLOCK, 0]]
    assert found["kernel_mean_2_trusted"].values.tolist() == [[1, 0, 1]]
    assert found["kernel_mean_2_diagnostic"][0, 1] == pytest.approx(0.7)


def test_three_widths_are_not_extrapolated():
    estimates, theory = ladder(1, "kernel_mean", ("layer", "pair"))
    assert not extrapolate(estimates.isel(rung=slice(3), rung_=slice(3)), theory).data_vars
