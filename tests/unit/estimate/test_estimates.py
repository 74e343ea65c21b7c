"""The dataset of estimates: names, dimensions, shards, and what cannot be estimated."""

import itertools

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.indices import pairs, quads
from finitewidth.estimate.families import BY_LAYER, estimate
from finitewidth.quantities.vocabulary import FAMILIES, FROM_LADDER, FROM_NTK, FROM_TRAINING

pytestmark = pytest.mark.fast

NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
ALL = list(BY_LAYER)
ENDS = ("_stderr", "_trusted", "_reason", "_diagnostic")


def draw(seed=0, networks=200, widths=(6, 5), inputs=2, scale=1.0, recorded=5):
    """Samples with everything recorded, of networks that are Gaussian given a common variance."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((inputs, inputs))
    parts = {"preactivation": [], "kernel": [], "quartic": [], "sextic": [], "log_norm": []}
    parts |= {"gradient": [], "jacobian": [], "entropy": []}
    for width in widths:
        g = scale * rng.lognormal(0, 0.2, (networks, 1, 1))
        z = g * (mixing @ rng.standard_normal((networks, inputs, width)))
        with np.errstate(all="ignore"):
            parts["preactivation"].append(z[..., :recorded].astype(np.float32))
            parts["kernel"].append(np.mean(z[:, :, None] * z[:, None], axis=-1))
            four = [np.mean(np.prod(z[:, q], axis=1), axis=1) for q in quads(inputs)]
            parts["quartic"].append(np.stack(four, axis=1))
            parts["sextic"].append(np.mean(z**6, axis=2))
            root = np.sqrt(np.mean((z / scale) ** 2, axis=2))
            parts["log_norm"].append(np.log(root) + np.log(scale))
            parts["gradient"].append(scale * np.mean(z[..., :1] ** 2, axis=2))
            parts["jacobian"].append(np.log(np.abs(z[..., :2])))
            parts["entropy"].append(np.abs(z[..., 0]))
    dims = {
        "preactivation": ("input", "neuron"),
        "kernel": ("input", "input_"),
        "quartic": ("quad",),
        "sextic": ("input",),
        "log_norm": ("input",),
        "gradient": ("input",),
        "jacobian": ("input", "singular"),
        "entropy": ("input",),
    }
    return xr.Dataset(
        {name: (("network", "layer", *dims[name]), np.stack(parts[name], 1)) for name in parts},
        coords={
            "network": np.arange(networks),
            "layer": np.arange(1, len(widths) + 1) * 3,
            "width": ("layer", np.array(widths)),
            "input": np.arange(inputs),
        },
    )


@pytest.fixture(scope="module")
def samples():
    return draw()


@pytest.fixture(scope="module")
def estimates(samples):
    return estimate([samples], ALL, **NAMES)


def test_families_give_the_quantities_of_the_vocabulary(samples):
    others = {"normality", *FROM_LADDER, *FROM_NTK, *FROM_TRAINING}
    assert set(BY_LAYER) == set(FAMILIES) - others
    for family in BY_LAYER:
        found = estimate([samples], [family], **NAMES)
        names = {n for n in found.data_vars if not n.endswith(ENDS)}
        assert names == set(FAMILIES[family].names)


def test_dimensions_are_those_of_the_contract(estimates):
    expected = {
        "covariance": ("layer", "input", "input_"),
        "neuron_covariance": ("layer", "neuron", "neuron_", "input", "input_"),
        "cross_covariance": ("layer", "input", "input_"),
        "four_point": ("layer", "pair", "pair_"),
        "four_point_same": ("layer", "quad"),
        "intralayer": ("layer", "input"),
        "six_point": ("layer", "input"),
        "excess_kurtosis": ("layer", "input"),
        "histogram": ("layer", "input", "bin"),
        "quantile": ("layer", "input", "probability"),
        "dead_fraction": ("layer", "input"),
        "log_norm_mean": ("layer", "input"),
        "log_norm_variance": ("layer", "input"),
        "log_norm_histogram": ("layer", "input", "standard_bin"),
        "quadruple": ("sample", "layer", "input"),
    }
    for name, dims in expected.items():
        for variable in (name, f"{name}_stderr", f"{name}_trusted"):
            assert estimates[variable].dims == dims
            assert estimates[variable].attrs["units"] == "1"
            assert estimates[variable].attrs["long_name"]
        assert estimates[f"{name}_trusted"].dtype == np.int8
    assert estimates.sizes["neuron"] == 4
    np.testing.assert_array_equal(estimates["layer"], [3, 6])
    np.testing.assert_array_equal(estimates["width"], [6, 5])
    np.testing.assert_array_equal(
        np.stack([estimates["pair_a"], estimates["pair_b"]], axis=1), pairs(2)
    )
    np.testing.assert_array_equal(
        np.stack([estimates[f"quad_{x}"] for x in "abcd"], axis=1), quads(2)
    )
    assert estimates["bin_left"][0] == -np.inf
    assert estimates["standard_bin_right"][-1] == np.inf
    assert list(estimates["sample"].values) == ["ensemble", "gaussian"]


def test_each_layer_has_its_own_numbers(samples, estimates):
    for place in range(2):
        alone = estimate([samples.isel(layer=[place])], ALL, **NAMES)
        xr.testing.assert_identical(alone, estimates.isel(layer=[place]))


@pytest.mark.parametrize("cuts", [[1], [64, 128], [7, 50, 51, 199]])
def test_any_division_into_shards_gives_the_same_bytes(samples, estimates, cuts):
    bounds = [0, *cuts, 200]
    shards = [samples.isel(network=slice(a, b)) for a, b in itertools.pairwise(bounds)]
    xr.testing.assert_identical(estimate(shards, ALL, **NAMES), estimates)
    xr.testing.assert_identical(estimate(shards[::-1], ALL, **NAMES), estimates)


def test_order_within_a_shard_does_not_matter(samples, estimates):
    shuffled = samples.isel(network=np.random.default_rng(1).permutation(200))
    xr.testing.assert_identical(estimate([shuffled], ALL, **NAMES), estimates)


def test_the_gaussian_control_depends_on_the_names(samples, estimates):
    other = estimate([samples], ["quadruple"], **(NAMES | {"ensemble": "other"}))
    assert not np.array_equal(other["quadruple"], estimates["quadruple"])


def test_a_log_norm_alone_is_enough_for_its_family(samples, estimates):
    found = estimate([samples[["log_norm"]]], ["log_norm"], **NAMES)
    xr.testing.assert_identical(found["log_norm_mean"], estimates["log_norm_mean"])


def test_the_kernel_stands_in_for_a_log_norm(samples, estimates):
    found = estimate([samples.drop_vars("log_norm")], ["log_norm"], **NAMES)
    np.testing.assert_allclose(found["log_norm_variance"], estimates["log_norm_variance"])


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-90, 1e90, 1e170, 1e300])
def test_layers_out_of_range_are_untrusted_without_a_word(scale, recwarn, capfd):
    with np.errstate(over="ignore", under="ignore"):
        spoilt = draw(scale=scale)
    found = estimate([spoilt], ALL, **NAMES)
    for name in ("six_point", "histogram", "quantile", "neuron_covariance"):
        assert not found[f"{name}_trusted"].any()
    assert np.isfinite(found["log_norm_mean"]).all()
    assert found["log_norm_mean_trusted"].all()
    assert not list(recwarn)
    assert capfd.readouterr().err == ""


def test_dead_layers_are_counted_and_break_nothing(samples):
    dead = samples.copy(deep=True)
    for name in ("preactivation", "kernel", "quartic", "sextic"):
        dead[name][:80] = 0
    dead["log_norm"][:80] = -np.inf
    found = estimate([dead], ALL, **NAMES)
    np.testing.assert_allclose(found["dead_fraction"], 0.4)
    assert np.isfinite(found["excess_kurtosis"]).all()
    assert np.isfinite(found["histogram"]).all()


def test_narrow_layers_give_what_they_can():
    families = [name for name in ALL if name != "quadruple"]
    found = estimate([draw(widths=(1,), recorded=1)], families, **NAMES)
    assert np.isnan(found["four_point"]).all()
    assert np.isnan(found["six_point"]).all()
    assert np.isnan(found["cross_covariance"]).all()
    assert np.isfinite(found["covariance"]).all()
    assert found.sizes["neuron"] == 1


def parts(samples, *slices):
    return [samples.isel(network=s) for s in slices]


@pytest.mark.parametrize(
    ("shards", "families", "message"),
    [
        (lambda s: [], ["covariance"], "there are no samples"),
        (lambda s: [s], ["magic"], "unknown family 'magic'; allowed are covariance"),
        (lambda s: [s.drop_vars("sextic")], ["six_point"], "six_point needs the variable sextic"),
        (lambda s: [s.drop_vars("quartic")], ["kurtosis"], "kurtosis needs the variable quartic"),
        (
            lambda s: parts(s, slice(0, 100), slice(90, 200)),
            ["covariance"],
            "network 90 stands twice",
        ),
        (
            lambda s: parts(s, slice(0, 100), slice(110, 200)),
            ["covariance"],
            "network 100 is missing",
        ),
        (lambda s: parts(s, slice(10, 200)), ["covariance"], "network 0 is missing"),
        (lambda s: parts(s, slice(0, 49)), ["covariance"], "at least 50 networks, not 49"),
        (
            lambda s: [s.isel(network=slice(0, 9)), s.isel(network=slice(9, None), layer=[0])],
            ["covariance"],
            "different variables or layers",
        ),
        (lambda s: [s.isel(neuron=slice(0, 3))], ["quadruple"], "at least 4 recorded neurons"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_a_sentence(samples, shards, families, message):
    with pytest.raises(ValueError, match=message) as error:
        estimate(shards(samples), families, **NAMES)
    assert "\n" not in str(error.value)
