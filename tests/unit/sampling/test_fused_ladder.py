"""Compiled ladders against those on torch, from the same numbers: everything that is recorded.

The numbers come from numpy alone (plain_networks), and are handed to torch.
"""

import numpy as np
import pytest
import torch

from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused import networks as fused_networks
from finitewidth.sampling.fused.rung_controls import rows_of_controls
from finitewidth.sampling.mlp import compiled_ladder, coupled_widths, torch_ladder
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from plain_networks import layer_of_normals

NETWORKS, SEED, NAME = 3, 4, ("e", "m")
X = np.random.default_rng(2).standard_normal((4, 4))


def ladder(activation, widths, depth=4, **rest):
    return [
        Perceptron.uniform_width(activation, dimension=4, width=n, depth=depth, **rest)
        for n in widths
    ]


class Plain:
    """Streams that hand out the numbers that the kernels draw, layer by layer."""

    def __init__(self):
        self.networks = self.most = NETWORKS
        self.layer = 0

    def normal_(self, values):
        self.layer += 1
        networks, inputs, width = values.shape
        given = [
            [layer_of_normals(SEED, NAME, k, self.layer, a, width) for a in range(inputs)]
            for k in range(networks)
        ]
        return values.copy_(torch.from_numpy(np.array(given)))


@pytest.fixture
def both(monkeypatch):
    """Samples a ladder by compiled kernels, and by torch from the same numbers."""

    def one_tile(shard, tile, device):
        yield slice(0, len(shard)), Plain()

    monkeypatch.setattr(torch_ladder, "tiles", one_tile)
    about = {"networks": NETWORKS, "seed": SEED, "name": NAME}

    def sample(mlps, x, **rest):
        return [sample_ladder(mlps, x, compiled=c, **about, **rest) for c in (True, False)]

    return sample


def rates(depth=4):
    return LearningRates((0.5, 0.3, 0.9, 0.2)[:depth], (1.2, 0.8, 1.1, 0.4)[:depth])


def assert_same(one, other, close):
    assert set(one.variables) == set(other.variables)
    for name in one.data_vars:
        a, b = one[name], other[name]
        assert a.dims == b.dims
        assert a.dtype == b.dtype
        a, b = a.values.astype(float), b.values.astype(float)
        assert np.isfinite(a).all()
        # Some are kept in single precision, and a difference of sums counts by their size.
        rounding = 3e-7 if one[name].dtype == np.float32 else 0
        size = np.abs(b).max(axis=(0, 1, 2), initial=1e-3)
        assert (np.abs(a - b) <= (close + rounding) * size).all(), name


@pytest.mark.parametrize("tangent", [False, True])
@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("activation", [*TABLE, "leaky_relu(-0.3)"])
def test_all_that_is_recorded(activation, inputs, tangent, both):
    for C_b in (0.0, 0.2) if get(activation).slopes else (0.2,):
        # In no order, two alike, and about the sizes of pieces.
        mlps = ladder(activation, (40, 7, 65, 40), C_b=C_b, C_W=1.4)
        options = {"rates": [rates()] * 4 if tangent else None, "layers": [2, 4]}
        for controls in (True, False):
            found = both(mlps, X[:inputs], controls=controls, precision="float64", **options)
            assert_same(*found, close=1e-8)
            assert ("drive" in found[0]) == controls
            assert ("conditional_ntk" in found[0]) == tangent


@pytest.mark.parametrize("inputs", [1, 2, 4])
def test_single_precision(inputs, both):
    for activation in ("relu", "gelu"):
        mlps = ladder(activation, (30, 20), C_b=0.1, C_W=1.4)
        for tangent in (None, [rates()] * 2):
            # Beside sums of single precision, which torch makes of some.
            assert_same(*both(mlps, X[:inputs], rates=tangent), close=3e-5)


@pytest.mark.parametrize(
    "widths", [(1,), (3, 16), (17, 32), (33, 64, 48), (255, 256, 257), (600, 520)]
)
@pytest.mark.parametrize("activation", ["linear", "relu", "cos"])
def test_widths_about_the_sizes_of_pieces(activation, widths, both):
    """cos(0) is not 0: what stands behind the last neuron would be seen."""
    C_b = 0.3 if activation == "cos" else 0.0
    mlps = ladder(activation, widths, depth=3, C_b=C_b, C_W=1.2)
    for tangent in (None, [rates(3)] * len(widths)):
        assert_same(*both(mlps, X[:1], rates=tangent, precision="float64"), close=1e-8)
        assert_same(*both(mlps, X[:3], rates=tangent, precision="float64"), close=1e-7)


@pytest.mark.parametrize("tangent", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_any_division_of_the_work_gives_the_same_bytes(activation, tangent, monkeypatch):
    mlps = ladder(activation, (600, 2048), depth=3, C_W=1.5)
    about = {"seed": 1, "rates": [rates(3)] * 2 if tangent else None}
    whole = sample_ladder(mlps, X[:2], networks=1100, **about)
    parts = [sample_ladder(mlps, X[:2], networks=1100, blocks=b, **about) for b in ((0, 2), (2, 3))]
    for size in (1, 3 * 3 * 2 * 2648):
        monkeypatch.setattr(compiled_ladder, "TILE", size)
        few = sample_ladder(mlps, X[:2], networks=60, **about)
        for name in whole.data_vars:
            joined = np.concatenate([part[name].values for part in parts])
            assert np.array_equal(joined, whole[name].values), name
            assert np.array_equal(few[name].values, whole[name].values[:60]), name


def test_kernels_beyond_the_range_of_numbers():
    """Scales are carried apart: what is too small or too large for a kernel comes back."""
    for C_W, out in ((1e-9, 0.0), (1e9, np.inf)):
        mlps = ladder("relu", (30, 60), depth=60, C_W=C_W)
        kernel = sample_ladder(mlps, X[:1], networks=4, seed=1, controls=False)
        kernel = kernel["conditional_kernel"].values[..., 0]
        assert (kernel[:, :, 50:] == out).all()
        inside = np.log(kernel[:, :, :30]) / np.log(C_W) / np.arange(1, 31)
        assert np.abs(inside - 1).max() < 0.2


def test_an_activation_that_the_kernels_do_not_know_goes_through_torch(monkeypatch):
    mlps = ladder("tanh", (6, 9))
    about = {"networks": 50, "seed": 1, "precision": "float64"}
    expected = sample_ladder(mlps, X[:2], compiled=False, **about)
    monkeypatch.setattr(coupled_widths, "code_of", lambda activation: None)
    assert sample_ladder(mlps, X[:2], **about).identical(expected)


def test_rows_of_controls():
    factors, top = rows_of_controls(("He2", "odd2", "sgn0"), 1)
    assert (factors.tolist(), top) == ([[1], [2], [3]], 2)
    factors, top = rows_of_controls(("He1.0.2", "He0.3.0", "He1.1.1"), 3)
    assert (factors.tolist(), top) == ([[0, 7, -1], [5, -1, -1], [0, 3, 6]], 3)
    assert rows_of_controls((), 2)[0].shape[0] == 0
    assert fused_networks.ROW % 16 == 0
