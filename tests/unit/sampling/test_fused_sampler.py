"""The compiled sampler, network by network, against numpy alone on the same counters.

tests/unit/sampling/test_samplers.py holds it against the other samplers in distribution.
"""

import importlib.util
import pickle
import sys

import numpy as np
import pytest

from finitewidth.models.activations import table
from finitewidth.models.activations.activation import Activation
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.fused import activations, cached, marginal, networks, tiles
from plain_networks import network, recorded

ALL = ("preactivations", "quartic", "sextic")
#: Differences allowed, as a share of the largest number of a kind: rounding of so many layers.
CLOSE = {"float32": 2e-4, "float64": 1e-11}


def inputs(count, dimension=5):
    return np.random.default_rng(count).standard_normal((count, dimension))


def mlp(activation="tanh", widths=(70, 16, 257), C_b=0.2, C_W=1.8):
    depth = len(widths)
    # Layers differ in all that they can differ in.
    return Perceptron(
        activation,
        (5, *widths),
        tuple(C_b * (1 + k) for k in range(depth)),
        tuple(C_W + k / 10 for k in range(depth)),
    )


def assert_same_numbers(samples, member, x, seed, name, close):
    layers = samples["layer"].values
    for place, number in enumerate(samples["network"].values):
        plain = network(member, x, seed, name, int(number))
        for at, layer in enumerate(layers):
            for kind, exact in recorded(plain[layer - 1], samples.sizes["neuron"]).items():
                if kind in samples:
                    found = samples[kind].values[place, at]
                    # Recorded neurons are rounded to single precision.
                    rounding = 1e-7 if kind == "preactivation" else 0
                    most = (close + rounding) * max(1e-3, np.abs(exact).max())
                    # A dead layer's logarithm is minus infinity in both.
                    same = found == exact
                    assert np.abs(found[~same] - exact[~same]).max(initial=0) < most, (kind, layer)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("activation", [*table.TABLE, "leaky_relu(-0.3)"])
def test_every_activation(activation, precision):
    for C_b in (0.0, 0.2):
        member, x = mlp(activation, C_b=C_b), inputs(2)
        samples = sample(
            member, x, networks=3, seed=5, name=("e", "m"), measure=ALL, precision=precision
        )
        assert samples.attrs["precision"] == precision
        assert ("log_norm" in samples) == member.is_scale_invariant
        assert_same_numbers(samples, member, x, 5, ("e", "m"), CLOSE[precision])


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_inputs(count, precision):
    # Independent inputs have more components than there are of them.
    x = inputs(count, 9)
    for measure in (ALL, ALL[:2], ALL[:1]):
        member = Perceptron("gelu", (9, 65, 300, 33), (0.1,) * 3, (1.5,) * 3)
        samples = sample(member, x, networks=2, seed=1, measure=measure, precision=precision)
        assert_same_numbers(samples, member, x, 1, (), CLOSE[precision] * count)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000])
def test_widths_about_the_sizes_of_pieces(width):
    # cos(0) is not 0: what stands behind the last neuron would be seen.
    for activation, C_b in (("cos", 0.3), ("relu", 0.0)):
        member, x = mlp(activation, (width, width), C_b), inputs(1)
        samples = sample(member, x, networks=4, seed=2, measure=ALL, precision="float64")
        assert_same_numbers(samples, member, x, 2, (), 1e-12)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("activation", ["relu", "tanh", "bump"])
def test_narrow_layers_that_share_counters(activation, precision, bump):
    """Four layers a group, two, or one: whatever widths stand behind one another."""
    widths = (16, 4, 16, 16, 16, 32, 20, 17, 33, 3, 64, 1, 16, 31, 32, 32)
    member, x = mlp(activation, widths, C_b=0.0 if activation == "relu" else 0.2), inputs(1)
    samples = sample(member, x, networks=3, seed=5, measure=ALL, precision=precision)
    assert_same_numbers(samples, member, x, 5, (), 10 * CLOSE[precision])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("widths", [(40,) * 6, (600, 9, 16, 30, 300, 12)])
@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu(-0.3)"])
def test_recorded_layers_leave_the_others_alone(activation, widths, count):
    """Layers that are not recorded of one input take a shorter way."""
    member, x = mlp(activation, widths, 0.0), inputs(count)
    every = sample(member, x, networks=20, seed=1, measure=ALL)
    few = sample(member, x, networks=20, seed=1, layers=[2, 5], measure=ALL)
    for name in every.data_vars:
        assert np.array_equal(every[name].sel(layer=[2, 5]), few[name]), name
    norms = sample(member, x, networks=20, seed=1, measure=["log_norm"])
    assert norms["log_norm"].equals(every["log_norm"])


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("activation", ["relu", "tanh", "bump"])
def test_any_division_of_the_work_gives_the_same_bytes(activation, precision, bump, monkeypatch):
    member, x = mlp(activation, (300, 1500), 0.0), inputs(2)
    about = {"networks": 1500, "seed": 4, "measure": ALL, "precision": precision}
    whole = sample(member, x, **about)
    for tile in (1, 2**14, 2**19 + 1):
        monkeypatch.setattr(marginal, "TILE", tile)
        monkeypatch.setattr(tiles, "TILE", tile)
        assert whole.equals(sample(member, x, **about))
    parts = [sample(member, x, blocks=part, **about) for part in ((0, 1), (1, 3))]
    for name in whole.data_vars:
        assert np.array_equal(np.concatenate([p[name].values for p in parts]), whole[name].values)
    # Nor does an ensemble's size matter to its first networks.
    few = sample(member, x, **about | {"networks": 3})
    assert few.equals(whole.isel(network=slice(3)))


def test_progress_is_told(monkeypatch):
    member, told = mlp(), []
    monkeypatch.setattr(marginal, "TILE", 4 * sum(member.widths[1:]))
    sample(member, inputs(1), networks=10, seed=1, on_tile=lambda *at: told.append(at))
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.fixture
def bump(monkeypatch):
    """An activation that the kernels do not know."""
    activation = Activation(
        "bump",
        lambda z: np.exp(-z * z / 2),
        lambda z: -z * np.exp(-z * z / 2),
        lambda torch, z: torch.exp(-z * z / 2),
        derivative_on_tensor_=lambda torch, z, s: -z * s,
        second_on_tensor=lambda torch, z: (z * z - 1) * torch.exp(-z * z / 2),
    )
    monkeypatch.setitem(table.TABLE, "bump", activation)
    return activation


@pytest.mark.parametrize("precision", CLOSE)
def test_an_activation_that_the_kernels_do_not_know(precision, bump):
    assert activations.code_of(bump) is None
    for measure, count in ((ALL, 3), (ALL[:1], 2)):
        member, x = mlp("bump"), inputs(count)
        samples = sample(member, x, networks=5, seed=1, measure=measure, precision=precision)
        assert_same_numbers(samples, member, x, 1, (), CLOSE[precision])


def test_both_ways_give_the_same_networks(monkeypatch):
    member, x = mlp("tanh"), inputs(3)
    about = {"networks": 8, "seed": 1, "measure": ALL, "precision": "float64"}
    one = sample(member, x, **about)
    monkeypatch.delitem(activations.CODES, "tanh")
    monkeypatch.setattr(tiles, "TILE", 1)
    other = sample(member, x, **about)
    for name in one.data_vars:
        assert np.allclose(one[name], other[name], rtol=1e-6, atol=1e-11), name


def test_scales_of_any_size_come_back():
    """Beyond the range of numbers kernels are 0 or infinite, and log_norm still tells the truth."""
    for C_W, sign in ((1e-9, -1), (1e9, 1)):
        member, x = Perceptron("relu", (5, *(30,) * 60), (0.0,) * 60, (C_W,) * 60), inputs(2)
        samples = sample(member, x, networks=4, seed=1, measure=ALL)
        expected = 0.5 * np.arange(1, 61) * np.log(C_W)
        norm = samples["log_norm"].values
        assert np.isfinite(norm).all()
        assert np.abs(norm - expected[:, None]).max() < 60
        kernel = np.einsum("nlaa->nla", samples["kernel"].values)
        inside = np.abs(norm) < 300
        assert inside.any()
        assert not inside.all()
        assert np.allclose(np.log(kernel[inside]) / 2, norm[inside], rtol=1e-12, atol=1e-10)
        out = kernel[np.abs(norm) > 380]
        assert len(out)
        assert (out == (0 if sign < 0 else np.inf)).all()


CALLER = """
from finitewidth.sampling.fused.cached import cached
from {helper} import value


@cached
def answer(version):
    def answer():
        _ = version
        return value()

    return answer
"""


def test_what_is_kept_is_of_the_code_as_it_is(tmp_path, monkeypatch):
    """Numba looks at the file of a function, not at those of functions that it calls."""

    def run(helper, value, version):
        monkeypatch.setattr(cached, "_version", lambda: version)
        (tmp_path / f"{helper}.py").write_text(
            f"import numba\n\n\n@numba.njit\ndef value():\n    return {value}\n"
        )
        path = tmp_path / "caller.py"
        if not path.exists():
            path.write_text(CALLER.format(helper="helper_of_cached"))
        modules = []
        for name in ("helper_of_cached", "caller"):
            spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
            modules.append(importlib.util.module_from_spec(spec))
            monkeypatch.setitem(sys.modules, name, modules[-1])
            spec.loader.exec_module(modules[-1])
        answer = modules[-1].answer
        return answer(), sum(answer.dispatcher.stats.cache_hits.values())

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert run("helper_of_cached", 1, "one") == (1, 0)
    assert run("helper_of_cached", 1, "one") == (1, 1)
    assert run("helper_of_cached", 22, "two") == (22, 0)


def test_what_is_kept_names_no_class_of_ours(bump):
    """Numba unpickles what it kept before it looks whether that is out of date."""
    sample(mlp("bump"), inputs(1), networks=1, seed=1)
    sample(mlp("relu"), inputs(1), networks=1, seed=1)
    for function in (networks.sample_networks, tiles.draw_layer, tiles.sum_layer):
        assert function.dispatcher.signatures
        assert b"finitewidth" not in pickle.dumps(function.dispatcher.signatures)


def test_where_nothing_can_be_kept_code_is_compiled():
    """A function of no file, which numba refuses to keep as it does one of a file that it cannot
    write beside."""
    names = {}
    exec("def make(version):\n    def answer():\n        return 7\n    return answer", names)
    assert cached.cached(names["make"])() == 7
