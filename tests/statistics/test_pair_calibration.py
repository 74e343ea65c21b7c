"""Errors of ladders on two inputs: z over seeds, where controls are products of two activations.

One z a seed in every row, against the mean of the seeds weighted by their errors. A row's spread is
known to 1/sqrt(2 seeds), 11 %, and rows of a case vary together: bounds of three to four such on
the root mean square over rows, and one z in 40 beyond 3 where chance puts one in 370.
"""

import numpy as np
import pytest

from finitewidth.core.indices import pairs
from finitewidth.estimate.coupled.controls import adjusted
from finitewidth.estimate.coupled.driven_layers import chains
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.samples import Samples
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.coupled_widths import sample_ladder

X = np.array([[1.0, 1.0], [1.2, -0.4]])
SEEDS = 40
#: Activation, bias and weight variance, networks, widths: where one order, two or three are safe.
CASES = [
    ("relu", 0.0, 2.0, 300, (8, 24)),
    # Means over eight neurons are exact in binary: of layer 2 controls leave not even rounding.
    ("tanh", 0.0, 1.0, 1000, (8, 24)),
    ("softplus", 0.0, 1.0, 1000, (24, 48)),
]


@pytest.mark.parametrize(("activation", "C_b", "C_W", "networks", "widths"), CASES)
def test_errors_on_two_inputs_are_right(activation, C_b, C_W, networks, widths):
    mlps = [
        Perceptron.uniform_width(activation, dimension=2, width=n, depth=3, C_b=C_b, C_W=C_W)
        for n in widths
    ]
    found = [
        estimate_ladder(
            [sample_ladder(mlps, X, networks=networks, seed=seed, layers=[2, 3])],
            ["kernel_moments"],
            seed=0,
            ensemble="",
            member="",
        )
        for seed in range(SEEDS)
    ]
    assert all("controls" in one["kernel_mean"].attrs["estimator"] for one in found)
    for name in ("kernel_mean", "kernel_covariance"):
        value, error, trusted = (
            np.stack([one[name + part].values for one in found]).reshape(SEEDS, -1)
            for part in ("", "_stderr", "_trusted")
        )
        mean = np.average(value, axis=0, weights=1 / error**2)
        # Where controls leave nothing but rounding, errors allow for more of it than there is.
        z = np.where(trusted & (error > 1e-6 * np.abs(value)), (value - mean) / error, np.nan)
        known = z[np.isfinite(z)]
        if known.size < 0.1 * z.size:
            continue
        assert 0.75 < np.sqrt(np.mean(known**2)) < 1.3
        assert np.mean(np.abs(known) > 3) < 1 / 40
        if name == "kernel_mean":
            assert np.mean(trusted) > 0.8


def test_what_second_order_controls_leave_of_a_bounded_kernel_has_no_tails_of_their_own():
    """Of 200,000 networks, as ladders of 10,000 leave them; each meets 0.03 of its number, 300.

    With tangent kernels controls are Hermite polynomials. The square of a mean over eight neurons
    of He_4 has a kurtosis of 35,000, which nothing in a bounded kernel cancels: with such products
    the rest has some 3500 here, and ladders that met no tail had errors a fifth too small.
    """
    networks, ladders = 10_000, 20
    rates = [LearningRates((0.5, 0.5), (1.0, 1.0))]
    mlps = [Perceptron.uniform_width("sin", dimension=2, width=8, depth=2, C_b=0.0, C_W=1.0)]
    samples = sample_ladder(
        mlps, X, networks=networks * ladders, seed=7200, layers=[2], rates=rates
    )
    left = []
    for first in range(0, networks * ladders, networks):
        part = samples.isel(network=slice(first, first + networks))
        part = Samples([part.assign_coords(network=np.arange(networks))])
        (chain,) = chains(part, pairs(2))
        kernel = chain.state[:, -1:]
        products = kernel[..., [0, 0, 1, 0, 1, 2]] * kernel[..., [0, 1, 1, 2, 2, 2]]
        products = products - products.mean(axis=0)
        rest, order = adjusted(chain, part.layers, lambda at, y=products: y[at])
        assert order == 2
        left.append(rest(slice(0, networks))[:, 2, 0])
    left = np.concatenate(left) - np.mean(left, axis=(0, 1))
    assert (np.mean(left**4, axis=0) / np.mean(left**2, axis=0) ** 2).max() < 300
