"""Estimates of derivatives by layers: values by a loop, errors that hold, what is not trusted."""

import numpy as np
import pytest

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations.gradients import mean_square
from finitewidth.face.one_ensemble import estimate


def samples(values):
    return {"gradient": values, "preactivation": np.ones((*values.shape, 3))}


def test_means_and_logarithms_are_those_of_a_loop():
    rng = np.random.default_rng(1)
    values = np.exp(rng.normal(size=(400, 2, 3)))
    values[::7, 0, 0] = 0
    found = estimate(samples(values), ["gradient_norm"])
    for layer in range(2):
        for a in range(3):
            own = [values[k, layer, a] for k in range(400)]
            logs = [np.log(v) for v in own if v > 0]
            here = found.isel(layer=layer, input=a)
            assert here["gradient_norm"] == pytest.approx(sum(own) / 400)
            assert here["gradient_log_mean"] == pytest.approx(sum(logs) / len(logs))
            assert here["gradient_log_variance"] == pytest.approx(np.var(logs, ddof=1))
            error = np.std(own, ddof=1) / 20
            assert here["gradient_norm_stderr"] == pytest.approx(error, rel=1e-3)


def test_errors_hold():
    """z of 400 means of 200 log-normal numbers of small spread: their variance is 1 within four
    standard deviations, 0.28; right errors fail once in 1e4 seeds."""
    rng = np.random.default_rng(2)
    values = np.exp(0.3 * rng.normal(size=(200, 400)))
    found = mean_square(values, block_bounds(200), 1e-7, 64)
    assert found.trusted.mean() > 0.98
    z = (found.value - np.exp(0.045)) / found.stderr
    assert abs(np.mean(z**2) - 1) < 0.28


def test_a_broad_law_is_not_trusted():
    """Of log-normal numbers of variance 9 a mean over 200 networks is that of one or two."""
    rng = np.random.default_rng(3)
    values = np.exp(3 * rng.normal(size=(200, 100)))
    found = mean_square(values, block_bounds(200), 1e-7, 64)
    assert found.trusted.mean() < 0.02
    one = estimate(samples(values[:, :, None]), ["gradient_norm"])
    assert one["gradient_log_mean_trusted"].values.mean() > 0.98


def test_an_output_by_itself_varies_nowhere():
    found = estimate(samples(np.ones((60, 1, 1))), ["gradient_norm"])
    assert found["gradient_norm"].item() == 1
    assert found["gradient_norm_reason"].item() == Reason.NO_SPREAD
