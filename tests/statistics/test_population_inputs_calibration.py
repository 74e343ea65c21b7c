"""Populations of several inputs, and of read-outs of blocks, hold what their errors promise.

The small form of `make calibrate --inputs 1 2`, with seeds of their own. Numbers of one seed go
together: of S seeds the root mean square of z is known to 1/sqrt(2 S) at worst.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SEEDS = 8


@pytest.fixture(scope="module")
def calibrate():
    """The measurement of `make calibrate`, a script."""
    path = Path(__file__).parents[2] / "benchmarks" / "calibrate" / "population.py"
    spec = importlib.util.spec_from_file_location("calibrate_population_inputs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def are_standard_normal(z, numbers):
    """Of (seed, number) a root mean square of 1, where each of a seed goes with the others: known
    as chi-square of as many degrees at worst, which is beyond 1.8 in 1e-3 of choices and below 0.35
    in 1e-4; none beyond 4.9, which one of 300 z of Student's law of 23 degrees is in 2e-2; and of
    the seeds' means a mean within 3.7 errors."""
    z = np.asarray(z).reshape(-1, numbers)
    known = z[np.isfinite(z)]
    assert known.size > 0.8 * z.size
    assert np.abs(known).max() < 4.9
    assert 0.35 < np.sqrt(np.mean(known**2)) < 1.8
    assert np.abs(np.nanmean(np.nanmean(z, axis=1))) < 3.7 / np.sqrt(len(z))


@pytest.mark.parametrize(
    ("activation", "width", "depth", "inputs", "name", "numbers"),
    [
        ("tanh", 8, 17, 2, "kernel_covariance", 2),
        # Grown by the mean over inputs, not the harmonic one, one of seven was trusted.
        ("tanh", 8, 17, 2, "inverse_kernel_mean", 2),
        ("linear", 8, 9, 3, "kernel_covariance", 36),
    ],
)
def test_z_of_several_inputs_are_standard_normal(
    calibrate, activation, width, depth, inputs, name, numbers
):
    mlp, x = calibrate.network(activation, width, depth)
    found = calibrate.z_values(
        mlp, calibrate.several(x, inputs), [depth], range(7000, 7000 + SEEDS),
        networks=500, islands=24, members=600,
    )  # fmt: skip
    are_standard_normal(found[name + calibrate.OF[inputs], "population", depth], numbers)


@pytest.mark.parametrize(
    ("activation", "inputs", "members", "numbers"), [("relu", 2, 200, 2), ("linear", 3, 50, 15)]
)
def test_z_of_tangent_kernels_of_several_inputs_are_standard_normal(
    calibrate, activation, inputs, members, numbers
):
    mlp, x = calibrate.network(activation, 8, 4)
    found = calibrate.tangent_z_values(
        mlp, calibrate.several(x, inputs), range(7100, 7100 + SEEDS),
        networks=500, islands=24, members=members,
    )  # fmt: skip
    of = calibrate.OF[inputs]
    are_standard_normal(found["ntk_variance" + of, "population", 4], numbers)
    are_standard_normal(found["ntk_second_moment" + of, "population", 4], inputs)


def test_z_of_a_read_out_of_blocks_are_standard_normal(calibrate):
    """At depth over width 1.5."""
    found = calibrate.read_out_z_values(
        8, 12, 0.7, range(7200, 7200 + SEEDS), networks=500, islands=24, members=400
    )
    for name, numbers in (("covariance", 4), ("four_point", 9)):
        are_standard_normal(found[name + " of a read-out", "population", 14], numbers)
