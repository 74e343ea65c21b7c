"""Populations of several inputs, and of read-outs of blocks, hold what their errors promise.

The small form of `make calibrate --inputs 1 2`, with seeds of their own. Numbers of one seed go
together: of S seeds the root mean square of z is known to 1/sqrt(2 S) at worst.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from finitewidth.core.indices import pairs
from finitewidth.estimate.families import estimate
from finitewidth.members.stages import Population
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.population.network_populations import sample_network_populations

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


def test_z_of_a_read_out_of_blocks_are_standard_normal():
    """A linear stream with skips on two inputs at depth over width 1.5. A block multiplies E[G_ab
    G_cd] = A G_ab G_cd + B (G_ac G_bd + G_ad G_bc) by (A, B) -> (f^2 A + 2 e B, f^2 B + e (A + B)),
    with f = 1 + C and e = (2 C + C^2)/n where z -> z + W z and C is the variance of W's rows."""
    n, blocks, C = 8, 12, 0.7
    branch = [Nonlinearity("linear"), Dense(inputs=n, neurons=n, C_W=C, C_b=0.0)]
    first, last = (Dense(inputs=i, neurons=o, C_W=1.0, C_b=0.0) for i, o in ((3, n), (n, 4)))
    layers = [first, *[Block(branch, 1.0, 1.0, "b")] * blocks, last]
    network = Architecture((3,), layers, range(1, blocks + 3))
    x = np.array([[1.0, 0.5, -0.5], [0.3, -1.0, 0.8]])
    f, e = 1 + C, (2 * C + C**2) / n
    A, B = 1.0, 1 / n
    for _ in range(blocks):
        A, B = f**2 * A + 2 * e * B, f**2 * B + e * (A + B)
    G = x @ x.T / 3
    grown = Population(
        powers=(), orders=(1, 2), islands=24, members=400, of=None, exact=True, tangents=()
    )
    pair = G[:, :, None, None] * G
    other = np.einsum("ac,bd->abcd", G, G) + np.einsum("ad,bc->abcd", G, G)
    a, b = pairs(2).T
    right = ((A - f ** (2 * blocks)) * pair + B * other)[a, b][:, a, b]
    z = {"covariance": [], "four_point": []}
    for seed in range(7200, 7200 + SEEDS):
        about = {"networks": 500, "seed": seed}
        plain = sample(
            network, x, layers=[blocks + 2], record=4, measure=("preactivations", "quartic"),
            **about,
        )  # fmt: skip
        beside = sample_network_populations(
            network, x, grown, name=("e",), precision="float32", islands=(0, 24), **about
        )
        found = estimate([plain.merge(beside)], list(z), seed=0, ensemble="e", member="m")
        for name, exact in (("covariance", f**blocks * G), ("four_point", right)):
            assert "islands" in found[f"{name}_estimator"].attrs["estimators"]
            off = (found[name].values[0] - exact) / found[f"{name}_stderr"].values[0]
            z[name].append(np.where(found[f"{name}_trusted"].values[0], off, np.nan))
    for values in z.values():
        are_standard_normal(values, np.asarray(values[0]).size)
