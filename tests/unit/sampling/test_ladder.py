"""Ladders against networks drawn one width at a time, and against a loop over the same normals.

False alarms: 12 Kolmogorov-Smirnov tests with p > 1e-5, and some 500 means within 5 standard
errors: together under 0.1 % for a fresh seed. The seeds are fixed.
"""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr
from numpy.polynomial.hermite_e import HermiteE
from scipy.stats import ks_2samp

from finitewidth.core.indices import pairs
from finitewidth.core.torch_random import torch_stream
from finitewidth.estimate.coupled.driven_layers import chains
from finitewidth.estimate.coupled.interpolation import interpolated
from finitewidth.estimate.samples import Samples
from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.mlp.neuron_tables import moment_names, neuron_moments
from finitewidth.sampling.mlp.width_controls import control_names
from plain_networks import layer_of_normals

pytestmark = pytest.mark.fast

X = np.array([[1.0, -0.5, 0.3], [0.2, 0.9, -1.1]])


def ladder(activation, widths, depth=4, dimension=3, **rest):
    return [
        Perceptron.uniform_width(activation, dimension=dimension, width=n, depth=depth, **rest)
        for n in widths
    ]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
def test_a_rung_has_the_law_of_networks_drawn_by_themselves(sampler, compiled):
    widths, networks = (4, 7), 6000
    mlps = ladder("tanh", widths, C_b=0.1, C_W=1.6)
    found = sample_ladder(mlps, X, networks=networks, seed=1, layers=[4], compiled=compiled)
    kernels = found["conditional_kernel"]
    for rung, mlp in enumerate(mlps):
        other = sample(
            mlp,
            X,
            networks=networks,
            seed=2 + rung,
            sampler=sampler,
            layers=[3],
            record=widths[rung],
        )
        s = np.tanh(other["preactivation"].values[:, 0].astype(float))
        expected = 0.1 + 1.6 / widths[rung] * np.einsum("naj,nbj->nab", s, s)
        for place, (a, b) in enumerate(pairs(2)):
            found = kernels.values[:, rung, 0, place]
            assert ks_2samp(found, expected[:, a, b]).pvalue > 1e-5


def by_hand(name, u, s):
    """Mean over neurons of a control of normals u or neurons s (input, neuron), from its name."""
    if name[0] == "s" and "." in name:
        p, q = (int(k) for k in name[1:].split("."))
        return np.mean(s[0] ** p * s[1] ** q)
    if "." in name:
        powers = [int(k) for k in name[2:].split(".")]
        polynomials = [HermiteE.basis(k)(u[a]) for a, k in enumerate(powers)]
        return np.mean(np.prod(polynomials, axis=0))
    u = u[0]
    return np.mean({"He2": u**2 - 1, "odd2": u * np.abs(u), "s2": s[0] ** 2}[name])


@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("activation", ["gelu", "tanh", "relu", "linear"])
@pytest.mark.parametrize("compiled", [True, False])
def test_every_rung_reads_the_first_columns_of_the_same_normals(activation, inputs, compiled):
    x = np.vstack([X, [[0.7, 0.7, 0.1]]])[:inputs]
    widths, networks, C_b, C_W = (24, 10, 15), 5, 0.2, 1.3
    mlps = ladder(activation, widths, C_b=C_b, C_W=C_W)
    found = sample_ladder(mlps, x, networks=networks, seed=3, name=("e", "m"), compiled=compiled)
    stream = torch_stream(3, "e", "m", "networks", 0)
    grams = np.broadcast_to(C_b + C_W / 3 * x @ x.T, (3, networks, inputs, inputs))
    a, b = pairs(inputs).T
    names = [str(name) for name in found["control"].values]
    for layer in range(1, 5):
        kernel = found["conditional_kernel"].sel(layer=layer).values
        np.testing.assert_allclose(kernel.swapaxes(0, 1), grams[..., a, b], rtol=2e-5)
        if layer == 4:
            break
        driven = found["driven_kernel"].sel(driven=layer).values
        np.testing.assert_array_equal(driven, kernel.astype(np.float32))
        normals = torch.empty(networks, inputs, 24).normal_(generator=stream).numpy().astype(float)
        if compiled:
            each = itertools.product(range(networks), range(inputs))
            rows = [layer_of_normals(3, ("e", "m"), k, layer, a, 24) for k, a in each]
            normals = np.array(rows).reshape(normals.shape)
        following = []
        for rung, n in enumerate(widths):
            u = normals[:, :, :n]
            drive = found["drive"].sel(driven=layer).values[:, rung]
            s = get(activation).function(np.linalg.cholesky(grams[rung]) @ u)
            expected = [[by_hand(name, *one) for name in names] for one in zip(u, s, strict=True)]
            np.testing.assert_allclose(drive, expected, atol=2e-5)
            following.append(C_b + C_W / n * s @ s.swapaxes(1, 2))
        grams = np.array(following)


@pytest.mark.parametrize(
    ("activation", "inputs", "count"),
    [
        ("linear", 1, 1),
        ("abs", 1, 1),
        ("relu", 1, 2),
        ("tanh", 1, 1),
        ("gelu", 1, 1),
        ("relu", 2, 3),
        ("gelu", 2, 3),
        ("linear", 3, 6),
        ("cos", 3, 49),
        ("gelu", 4, 34),
        ("silu", 9, 54),
    ],
)
def test_controls_have_expectation_zero_and_are_modest_in_number(activation, inputs, count):
    names = control_names(get(activation), inputs)
    assert len(names) == len(set(names)) == count
    x = np.random.default_rng(1).standard_normal((inputs, 3))
    mlps = ladder(activation, (5, 16), depth=3, C_W=1.5)
    samples = sample_ladder(mlps, x, networks=3000, seed=5)
    found = list(chains(Samples([samples]), pairs(inputs)))
    drive = np.stack([chain.drive for chain in found], axis=1)
    z = drive.mean(axis=0) / drive.std(axis=0) * np.sqrt(len(drive))
    assert np.abs(z).max() < 5
    # Different layers share nothing.
    product = drive[:, :, 0] * drive[:, :, 1]
    z = product.mean(axis=0) / product.std(axis=0) * np.sqrt(len(drive))
    assert np.abs(z).max() < 5


@pytest.mark.parametrize("activation", ["tanh", "erf", "sin", "gelu", "silu", "softplus"])
def test_moments_of_a_neuron_given_its_kernel_are_those_of_a_quadrature(activation):
    """Expectations, covariances and third moments of the controls, between nodes of the table."""
    act, (C_b, C_W) = get(activation), (0.1, 1.6)
    names = control_names(act, 1, tangent=True)
    nodes, table = neuron_moments(act, 1.1, [C_b] * 4, [C_W] * 4, names)
    u = np.linspace(-12, 12, 24001)
    w = np.exp(-u * u / 2)
    for g in (0.031, 0.74, 2.9):
        z = np.sqrt(g) * u
        s, d = act.function(z), act.derivative(z)
        h = np.array([s * s, d * d, z * s * d, (z * d) ** 2, (s * d) ** 2])
        mean = h @ w / w.sum()
        x = h - mean[:, None]
        found = dict(zip(moment_names(names), interpolated(np.log(g), nodes, table), strict=True))
        for i, one in enumerate(names):
            assert found[one] == pytest.approx(mean[i], rel=1e-7)
            for j in range(i, 5):
                expected = (x[i] * x[j]) @ w / w.sum()
                assert found[f"{one} {names[j]}"] == pytest.approx(expected, rel=1e-5, abs=1e-9)
        expected = (x[0] ** 2 * x[1]) @ w / w.sum()
        assert found["s2 s2 d2"] == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_shards_give_the_same_bytes():
    mlps = ladder("gelu", (600, 2048), depth=3)
    whole = sample_ladder(mlps, X, networks=1300, seed=1, name=("e", "m"))
    shards = [
        sample_ladder(mlps, X, networks=1300, seed=1, name=("e", "m"), blocks=blocks)
        for blocks in ((0, 1), (1, 3))
    ]
    xr.testing.assert_identical(xr.concat(shards, "network", data_vars="minimal"), whole)
    other = sample_ladder(mlps, X, networks=1300, seed=1, name=("e", "n"))
    assert not np.array_equal(other["drive"], whole["drive"])


def test_rungs_depend_on_the_widest_alone_and_layers_on_nothing():
    mlps = ladder("relu", (3, 5, 8), C_W=2.0)
    whole = sample_ladder(mlps, X, networks=50, seed=1)
    part = sample_ladder([mlps[2], mlps[0]], X, networks=50, seed=1, layers=[4, 2])
    for rung, same in ((0, 2), (1, 0)):
        for layer in (2, 4):
            np.testing.assert_array_equal(
                part["conditional_kernel"].isel(rung=rung).sel(layer=layer),
                whole["conditional_kernel"].isel(rung=same).sel(layer=layer),
            )
        np.testing.assert_allclose(part["drive"][:, rung], whole["drive"][:, same], atol=1e-5)
    bare = sample_ladder(mlps, X, networks=50, seed=1, controls=False)
    xr.testing.assert_identical(bare["conditional_kernel"], whole["conditional_kernel"])
    assert set(bare.data_vars) == {"conditional_kernel"}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("activation", "C_b"), [("relu", 0.0), ("tanh", 0.0), ("gelu", 0.3)])
def test_singular_inputs_are_ordinary(activation, C_b, compiled):
    x = np.array([[1.0, 2, 0], [1, 2, 0], [-1, -2, 0], [0, 0, 0]])
    mlps = ladder(activation, (6, 20), C_b=C_b, C_W=1.8, depth=6)
    found = sample_ladder(mlps, x, networks=300, seed=2, compiled=compiled)
    kernel = found["conditional_kernel"].values
    gram = np.zeros((*kernel.shape[:3], 4, 4))
    a, b = pairs(4).T
    gram[..., a, b] = gram[..., b, a] = kernel
    assert np.isfinite(gram).all()
    np.testing.assert_allclose(gram[..., 0, :], gram[..., 1, :], rtol=1e-5, atol=1e-6)
    if activation == "tanh":
        np.testing.assert_allclose(gram[..., 2, 0], -gram[..., 0, 0], rtol=1e-5, atol=1e-6)
    if C_b == 0:
        assert (gram[..., 3, :] == 0).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_dead_networks_are_exactly_zero_and_as_many_as_they_should_be(compiled):
    networks, n = 12000, 3
    mlps = ladder("relu", (n, 6), C_W=2.0)
    found = sample_ladder(mlps, X[:1], networks=networks, seed=4, compiled=compiled)
    found = found["conditional_kernel"].values
    dead = found[:, 0, :, 0] == 0
    assert (dead[:, 1:] >= dead[:, :-1]).all()
    expected = 1 - (1 - 2.0**-n) ** 3
    error = np.sqrt(expected * (1 - expected) / networks)
    assert abs(dead[:, -1].mean() - expected) < 4.5 * error


def test_precision_is_of_rounding_and_nothing_else():
    x, options = X[:1], {"networks": 4000, "seed": 7, "layers": [4]}
    mlps = ladder("gelu", (8, 16), C_b=0.1, C_W=1.9)
    one, other = (
        sample_ladder(mlps, x, precision=p, **options)["conditional_kernel"].values
        for p in ("float32", "float64")
    )
    for rung in range(2):
        assert ks_2samp(one[:, rung, 0, 0], other[:, rung, 0, 0]).pvalue > 1e-5


def test_progress_and_coordinates():
    seen = []
    found = sample_ladder(
        ladder("tanh", (4, 6)),
        X,
        networks=30,
        seed=1,
        layers=[3],
        on_tile=lambda *a: seen.append(a),
    )
    assert seen[-1] == (30, 30)
    assert found["conditional_kernel"].dims == ("network", "rung", "layer", "pair")
    assert found["drive"].dims == ("network", "rung", "driven", "control")
    assert list(found["width"].values) == [4, 6]
    assert list(found["driven"].values) == [1, 2]
    assert list(itertools.chain(found["pair_a"].values, found["pair_b"].values)) == [
        0,
        0,
        1,
        0,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, :2]}, "do not fit"),
        ({"x": X * np.inf}, "finite"),
        ({"layers": [5]}, "depth"),
        ({"mlps": ladder("tanh", (4,), weights="uniform")}, "normal weights"),
        ({"mlps": [*ladder("tanh", (4,)), *ladder("erf", (5,))]}, "width alone"),
        ({"mlps": [*ladder("tanh", (4,)), *ladder("tanh", (5,), C_W=2.0)]}, "width alone"),
        ({"mlps": [Perceptron("tanh", (3, 4, 5, 6), (0.0,) * 3, (1.0,) * 3)]}, "equally wide"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_sentence(change, message):
    arguments = {"mlps": ladder("tanh", (4, 6)), "x": X, "networks": 10, "seed": 1} | change
    with pytest.raises(ValueError, match=message):
        sample_ladder(**arguments)
