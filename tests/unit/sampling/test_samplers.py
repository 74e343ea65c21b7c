"""The samplers against each other, against brute force and against torch's own modules.

Two are marginal: the one on torch ("marginal") and the one of compiled kernels ("fused"), which
studies draw by on a processor.

False alarms: every comparison in distribution is a two-sample Kolmogorov-Smirnov test of one
statistic with p > 1e-5; about 500 of them give a false-alarm rate under 0.6 % for a fresh seed.
The seeds are fixed.
"""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from finitewidth.core.blocks import block_size
from finitewidth.core.indices import quads
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling import ensemble

pytestmark = pytest.mark.fast

LEAST_P = 1e-5
N = 12000


ALL = ("preactivations", "quartic", "sextic")


def sample(network, x, *, sampler="marginal", **rest):
    compiled = sampler == "fused"
    how = {"sampler": "marginal" if compiled else sampler, "compiled": compiled}
    return ensemble.sample(network, x, **how, **rest)


def mlp(activation="tanh", width=5, depth=3, dimension=3, **rest):
    return Perceptron.uniform_width(
        activation, dimension=dimension, width=width, depth=depth, **rest
    )


X = np.array([[1.0, -0.5, 0.3], [0.2, 0.9, -1.1]])


def statistics(samples):
    """Several numbers a network, of its last layer."""
    last = samples.isel(layer=-1)
    z = last["preactivation"].values.astype(float)
    kernel = last["kernel"].values
    return {
        "first": z[:, 0, 0],
        "product of neurons": z[:, 0, 0] * z[:, 0, 1],
        "product of inputs": z[:, 0, 0] * z[:, -1, 0],
        "size": kernel[:, 0, 0],
        "overlap": kernel[:, 0, -1],
        "determinant": kernel[:, 0, 0] * kernel[:, -1, -1] - kernel[:, 0, -1] ** 2,
        "quartic": last["quartic"].values[:, -1],
        "sextic": last["sextic"].values[:, 0],
    }


def assert_same_law(one, other, skip=()):
    a, b = statistics(one), statistics(other)
    for name in a.keys() - set(skip):
        # Rounded on one scale, so that atoms (dead networks, say) compare equal.
        scale = np.median(np.abs(a[name])) or 1.0
        p = ks_2samp(np.round(a[name] / scale, 5), np.round(b[name] / scale, 5)).pvalue
        assert p > LEAST_P, (name, p)


@pytest.mark.parametrize(
    ("activation", "C_b"),
    [
        ("linear", 0.0),
        ("linear", 0.3),
        ("relu", 0.0),
        ("relu", 0.2),
        ("leaky_relu(0.2)", 0.0),
        ("abs", 0.0),
        ("tanh", 0.1),
        ("erf", 0.0),
        ("arctan", 0.0),
        ("sin", 0.0),
        ("cos", 0.0),
        ("gelu", 0.2),
        ("silu", 0.0),
        ("softplus", 0.1),
        ("sigmoid", 0.0),
    ],
)
def test_marginal_ones_equal_explicit_in_distribution(activation, C_b):
    member = mlp(activation, C_W=1.7, C_b=C_b)
    one, fused, other = (
        sample(member, X, networks=N, seed=s, sampler=sampler, layers=[2, 3], measure=ALL)
        for s, sampler in ((1, "marginal"), (1, "fused"), (2, "explicit"))
    )
    assert_same_law(one, other)
    assert_same_law(fused, other)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "gelu"])
@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.array([[1.0, 2, 0], [1, 2, 0]]), id="duplicated"),
        pytest.param(np.array([[1.0, 2, 0], [-1, -2, 0]]), id="antipodal"),
        pytest.param(np.array([[1.0, 2, 0], [0, 0, 0]]), id="zero"),
        pytest.param(np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]), id="dependent"),
        pytest.param(np.random.default_rng(3).standard_normal((7, 3)), id="more than neurons"),
    ],
)
@pytest.mark.parametrize("C_b", [0.0, 0.4])
def test_singular_inputs_are_ordinary(activation, x, C_b):
    member = mlp(activation, width=4, C_W=1.5, C_b=C_b)
    one, fused, other = (
        sample(member, x, networks=4000, seed=s, sampler=sampler, measure=ALL)
        for s, sampler in ((5, "marginal"), (5, "fused"), (6, "explicit"))
    )
    singular = len(x) == 2  # then the determinant is rounding, and its distribution meaningless
    for marginal in (one, fused):
        assert np.isfinite(marginal["preactivation"]).all()
        assert_same_law(marginal, other, skip=["determinant"] if singular else [])


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
def test_duplicated_inputs_stay_together_and_zero_stays_zero(sampler):
    x = np.array([[1.0, 2, 0], [1, 2, 0], [0, 0, 0]])
    z = sample(mlp("relu", C_W=2.0, depth=6), x, networks=500, sampler=sampler, seed=1)[
        "preactivation"
    ].values
    assert np.abs(z[:, :, 0] - z[:, :, 1]).max() < 1e-5 * np.abs(z).max()
    assert (z[:, :, 2] == 0).all()


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_overflow_is_not_finite_and_no_dead_network(sampler, count):
    """In single precision, where scales are not carried apart: of every input."""
    x = np.random.default_rng(0).standard_normal((count, 3))
    deep = mlp("softplus", width=20, depth=9, C_W=1e12)
    samples = sample(deep, x, networks=50, seed=1, sampler=sampler)
    kernel = np.einsum("nlaa->lna", samples["kernel"].values)
    assert np.isfinite(kernel[0]).all()
    assert not np.isfinite(kernel[-1]).any()
    assert not np.isfinite(samples["preactivation"].values[:, -1]).any()


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
def test_dependent_inputs_stay_dependent_in_a_linear_network(sampler):
    x = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    z = sample(mlp("linear", depth=20), x, networks=200, sampler=sampler, seed=1)[
        "preactivation"
    ].values
    assert np.abs(z[:, :, 0] + z[:, :, 1] - z[:, :, 2]).max() < 1e-4 * np.abs(z).max()


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
def test_inputs_that_nearly_coincide_keep_their_difference(sampler):
    angle = 1e-4
    x = np.array([[1.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    z = sample(mlp("linear"), x, networks=4000, sampler=sampler, seed=1, record=5)[
        "preactivation"
    ].values
    difference = (z[:, -1, 0] - z[:, -1, 1]).astype(float)
    ratio = (difference**2).mean() / (z[:, -1, 0].astype(float) ** 2).mean()
    assert ratio == pytest.approx(angle**2, rel=0.1)


@pytest.mark.parametrize("sampler", ["marginal", "fused", "explicit"])
def test_dead_networks_are_exactly_zero_and_as_many_as_they_should_be(sampler):
    samples = sample(mlp("relu", width=3, depth=4, C_W=2.0), X[:1], networks=N, seed=4,
                     sampler=sampler)  # fmt: skip
    dead = np.isneginf(samples["log_norm"].values[:, -1, 0])
    assert (samples["preactivation"].values[dead, -1] == 0).all()
    assert (samples["kernel"].values[dead, -1] == 0).all()
    expected = 1 - (1 - 2.0**-3) ** 3
    assert abs(dead.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / N)


@pytest.mark.parametrize("sampler", ["marginal", "fused", "explicit"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_recorded_sums_are_those_of_the_neurons(sampler, activation):
    samples = sample(
        mlp(activation, width=6), X, networks=40, seed=2, sampler=sampler, record=6, measure=ALL
    )
    z = samples["preactivation"].values.astype(float)
    for network in range(0, 40, 13):
        for layer in range(3):
            for a in range(2):
                sextic = np.mean([z[network, layer, a, i] ** 6 for i in range(6)])
                assert samples["sextic"].values[network, layer, a] == pytest.approx(
                    sextic, rel=1e-4
                )
                for b in range(2):
                    pair = np.mean(
                        [z[network, layer, a, i] * z[network, layer, b, i] for i in range(6)]
                    )
                    kernel = samples["kernel"].values[network, layer, a, b]
                    assert kernel == pytest.approx(pair, rel=1e-4, abs=1e-6)
            for place, q in enumerate(quads(2)):
                four = np.mean([np.prod([z[network, layer, a, i] for a in q]) for i in range(6)])
                found = samples["quartic"].values[network, layer, place]
                assert found == pytest.approx(four, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("sampler", ["marginal", "fused", "explicit"])
def test_log_norm_is_that_of_the_kernel(sampler):
    samples = sample(mlp("relu", C_W=2.0), X, networks=60, seed=8, sampler=sampler)
    kernel = np.einsum("nlaa->nla", samples["kernel"].values)
    alive = kernel > 0
    found = samples["log_norm"].values
    assert np.allclose(found[alive], 0.5 * np.log(kernel[alive]), atol=1e-5)
    assert np.isneginf(found[~alive]).all()


def test_all_samplers_agree_on_the_log_norm_of_a_deep_narrow_network():
    member = mlp("relu", width=8, depth=300, C_W=2.0)
    deep = {"networks": 3000, "layers": [300], "measure": ["log_norm"]}
    found = [
        sample(member, X[:1], seed=seed, sampler=sampler, **deep)["log_norm"].values.ravel()
        for seed, sampler in ((1, "marginal"), (1, "fused"), (2, "explicit"))
    ]
    one, fused, explicit = (values[np.isfinite(values)] for values in found)
    assert ks_2samp(one, explicit).pvalue > LEAST_P
    assert ks_2samp(fused, explicit).pvalue > LEAST_P


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
def test_a_hundred_thousand_layers_neither_overflow_nor_underflow(sampler):
    member = mlp("linear", width=16, depth=100_000)
    samples = sample(
        member, X[:1], networks=8, sampler=sampler, seed=1, layers=[100_000], measure=["log_norm"]
    )
    assert np.isfinite(samples["log_norm"]).all()
    assert (samples["log_norm"] < -2500).all()


def test_layers_drawn_together_have_the_law_of_layers_drawn_one_by_one():
    member = mlp("relu", width=10, depth=40, C_W=2.0)
    few = sample(member, X[:1], networks=6000, seed=1, layers=[40], measure=["log_norm"])
    every = sample(member, X[:1], networks=6000, seed=2, measure=["log_norm"])
    a, b = few["log_norm"].values.ravel(), every["log_norm"].sel(layer=40).values.ravel()
    assert ks_2samp(a[np.isfinite(a)], b[np.isfinite(b)]).pvalue > LEAST_P


@pytest.mark.parametrize("sampler", ["marginal", "fused", "explicit"])
def test_shards_hold_the_bytes_of_the_whole(sampler):
    member = mlp("tanh", width=40)
    whole = sample(member, X, networks=9000, seed=3, sampler=sampler)
    blocks = -(-9000 // block_size("explicit" if sampler == "explicit" else "marginal", 40))
    assert blocks > 2
    parts = [
        sample(member, X, networks=9000, seed=3, sampler=sampler, blocks=part)
        for part in ((0, 1), (1, blocks))
    ]
    for name in whole.data_vars:
        joined = np.concatenate([part[name].values for part in parts])
        assert np.array_equal(joined, whole[name].values)
    assert [int(n) for part in parts for n in part["network"]] == list(range(9000))


def test_pytorch_weights_are_those_of_nn_linear():
    networks, width, depth = 4000, 4, 3
    torch.manual_seed(17)
    inputs = torch.tensor(X, dtype=torch.float32)
    z = np.empty((networks, 2, width))
    for k in range(networks):
        modules = [torch.nn.Linear(3 if i == 0 else width, width) for i in range(depth)]
        with torch.no_grad():
            s = inputs
            for module in modules[:-1]:
                s = torch.relu(module(s))
            z[k] = modules[-1](s).numpy()
    member = mlp("relu", width=width, weights="pytorch")
    ours = sample(member, X, networks=networks, seed=1, sampler="explicit", record=4)
    found = ours["preactivation"].values[:, -1]
    for statistic in (
        lambda v: v[:, 0, 0],
        lambda v: v[:, 0, 0] * v[:, 1, 1],
        lambda v: (v**2).mean(axis=(1, 2)),
    ):
        assert ks_2samp(statistic(found), statistic(z)).pvalue > LEAST_P


def test_uniform_weights_have_the_variances_of_normal_ones():
    member = mlp("linear", width=6, weights="uniform", C_W=1.3, C_b=0.2)
    kernel = sample(member, X, networks=N, seed=1, sampler="explicit")["kernel"].values
    expected = 0.2 + 1.3 / 3 * X @ X.T
    for layer in range(3):
        mean = kernel[:, layer].mean(0)
        error = kernel[:, layer].std(0) / np.sqrt(N)
        assert (np.abs(mean - expected) < 4.5 * error).all()
        expected = 0.2 + 1.3 * expected


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
def test_float64_agrees_with_float32_on_what_neither_rounds_away(sampler):
    member = mlp("tanh")
    one, other = (
        sample(member, X, networks=N, seed=s, sampler=sampler, precision=precision, measure=ALL)
        for s, precision in ((1, "float32"), (2, "float64"))
    )
    assert_same_law(one, other)


@pytest.mark.parametrize("sampler", ["marginal", "fused"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, :2]}, "do not fit"),
        ({"x": X * np.nan}, "finite"),
        ({"layers": [9]}, "depth"),
        ({"x": np.ones((9, 3)), "measure": ALL}, "at most 8 inputs"),
        ({"network": mlp(weights="uniform")}, "normal weights only"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_sentence(change, message, sampler):
    about = {"network": mlp(), "x": X, "networks": 10, "seed": 1, "sampler": sampler} | change
    with pytest.raises(ValueError, match=message):
        sample(**about)
