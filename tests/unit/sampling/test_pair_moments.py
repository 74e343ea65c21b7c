"""What is known of the neurons of two inputs given their kernel, against sums over a fine grid."""

import itertools

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.estimate.coupled.driven_layers import chains
from finitewidth.estimate.coupled.pair_expectations import given_kernels
from finitewidth.estimate.samples import Samples
from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.mlp.pair_tables import pair_moments

pytestmark = pytest.mark.fast

POWERS = [(2, 0), (1, 1), (0, 2)]
#: Variances and the correlation of one layer's kernels: wide apart, nearly and wholly singular.
KERNELS = [(1.0, 1.0, 0.5), (0.3, 1.7, -0.8), (0.9, 1.2, 0.0), (1.1, 0.8, 0.999), (1.0, 0.6, -1.0)]


def kernel(one, two, r):
    return np.array([one, r * np.sqrt(one * two), two])


def tables(activation, r=0.9):
    first = np.array([[1.1, 1.1 * r], [1.1 * r, 1.1]])
    return pair_moments(get(activation), first, [0.1] * 4, [1.2] * 4)


def samples(found):
    whole = {"network": range(60), "layer": [1], "width": ("layer", [4])}
    return Samples([xr.Dataset({"x": ("network", np.zeros(60))}, coords=whole | found)])


def by_grid(activation, one, two, r):
    """Means, covariances and third moments of the three products."""
    u = np.linspace(-9, 9, 1201)
    w = np.exp(-u * u / 2) / np.sum(np.exp(-u * u / 2))
    z = np.sqrt(one) * u[:, None], np.sqrt(two) * (r * u[:, None] + np.sqrt(1 - r * r) * u)
    s = [get(activation).function(np.broadcast_to(part, (1201, 1201))) for part in z]
    h = [s[0] ** p * s[1] ** q for p, q in POWERS]
    mean = np.array([w @ one @ w for one in h])
    x = [one - m for one, m in zip(h, mean, strict=True)]
    second, third = np.empty((3, 3)), np.empty((3, 3, 3))
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        second[i, j] = second[j, i] = w @ (x[i] * x[j]) @ w
    for which in itertools.combinations_with_replacement(range(3), 3):
        i, j, k = which
        value = w @ (x[i] * x[j] * x[k]) @ w
        for order in itertools.permutations(which):
            third[order] = value
    return mean, second, third


@pytest.mark.parametrize("activation", [*TABLE, "leaky_relu(0.1)"])
def test_moments_are_those_of_a_grid(activation):
    found = samples(tables(activation))
    # A grid of this step resolves a kink to its square, and smooth functions to rounding.
    bound = 3e-4 if get(activation).slopes else 1e-6
    for one, two, r in KERNELS[:4]:
        expected = by_grid(activation, one, two, r)
        values = given_kernels(found, kernel(one, two, r)[None, None])
        size = np.sqrt(np.diagonal(expected[1]))
        scale = np.maximum(size.max(), np.abs(expected[0]).max())
        for power, (value, right) in enumerate(zip(values, expected, strict=True), 1):
            known = np.isfinite(value)
            # Near a singular kernel a series of finitely many terms may not be enough, and says so.
            assert known.all() or abs(r) > 0.99
            np.testing.assert_allclose(value[0, 0][known[0, 0]], right[known[0, 0]],
                                       atol=bound * scale**power)  # fmt: skip


@pytest.mark.parametrize("activation", ["relu", "abs", "leaky_relu(0.1)", "linear"])
def test_two_slopes_are_known_at_every_angle(activation):
    found = samples(tables(activation))
    for one, two, r in KERNELS[3:]:
        mean, second, _ = given_kernels(found, kernel(one, two, r)[None, None])
        expected = by_grid(activation, one, two, r)
        np.testing.assert_allclose(mean[0, 0], expected[0], atol=1e-3)
        np.testing.assert_allclose(second[0, 0], expected[1], atol=1e-3)
    # A dead network has no angle, and products that are zero.
    values = given_kernels(found, np.zeros((1, 1, 3)))
    assert all(np.all(value == 0) for value in values)


def test_what_a_series_cannot_tell_is_not_told():
    found = samples(tables("tanh"))
    far = np.array([kernel(300, 300, 0.99), kernel(1.0, 1.0, 0.3), kernel(1e-9, 1.0, 0.1)])
    mean, second, _ = given_kernels(found, far[:, None])
    # What one input tells by itself needs no series; beyond the table nothing is known.
    assert np.isnan(mean[0, 0]).tolist() == [False, True, False]
    assert np.isfinite(second[1, 0]).all()
    assert np.isnan(mean[2, 0]).any()


@pytest.mark.parametrize(("activation", "C_W"), [("tanh", 1.5), ("gelu", 1.9), ("relu", 2.0)])
def test_controls_are_differences_of_martingales_at_every_width(activation, C_W):
    """A network outside the tables has none, and the others are what they are without it.

    Some 70 means within 4.5 standard errors: a false alarm once in 2000 seeds.
    """
    mlps = [
        Perceptron.uniform_width(activation, dimension=2, width=n, depth=4, C_W=C_W)
        for n in (6, 40)
    ]
    x = np.array([[1.0, -0.5], [0.8, 0.9]])
    drawn = sample_ladder(mlps, x, networks=6000, seed=2, layers=[4])
    if activation == "tanh":
        # As if tables ended here: at a function of the kernel.
        table = drawn["pair_moments"].values.copy()
        table[drawn["log_kernel"].values > np.log(0.6)] = np.nan
        drawn = drawn.assign_coords(pair_moments=(drawn["pair_moments"].dims, table))
    for chain in chains(Samples([drawn]), pairs(2)):
        assert chain.complete
        d, n = chain.drive, chain.width
        square = d[..., :, None] * d[..., None, :] - chain.second / n
        cube = d[..., :, None, None] * d[..., None, :, None] * d[..., None, None, :]
        for difference in (d, square, cube - chain.third / n**2):
            flat = difference.reshape(len(d), -1)
            spread = flat.std(axis=0)
            z = flat.mean(axis=0)[spread > 0] / spread[spread > 0] * np.sqrt(len(d))
            assert np.abs(z).max() < 4.5
        # Nor do they go with the kernels that the layer was made from.
        before = chain.state[:, 1:-1] - chain.state[:, 1:-1].mean(axis=0)
        product = (before[..., :, None] * d[:, 1:, None, :]).reshape(len(d), -1)
        assert np.abs(product.mean(axis=0) / product.std(axis=0)).max() < 4.5 / np.sqrt(len(d))
        if activation == "tanh":
            unknown = np.all(d == 0, axis=2)
            assert 0.02 < unknown.mean() < 0.98
            assert (chain.second[unknown] == 0).all()


def test_a_zero_input_takes_polynomials():
    x = np.array([[1.0, 0.5], [0.0, 0.0]])
    mlps = [Perceptron.uniform_width("tanh", dimension=2, width=8, depth=3, C_W=1.5)]
    drawn = sample_ladder(mlps, x, networks=60, seed=1)
    assert str(drawn["control"].values[0]).startswith("He")
    assert "pair_moments" not in drawn.coords
