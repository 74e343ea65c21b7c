"""Tests of normality: their error of the first kind on Gaussian data, and their power."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.estimate.preactivations.normality import normality
from finitewidth.estimate.preactivations.radial import dispersion, null_dispersions, p_value

NAMES = {"seed": 1, "ensemble": "e", "member": "m"}


def ensemble(rng, networks, width, spread=0.0, recorded=16):
    """One layer, one input: z = sqrt(g) x, log g normal with standard deviation ``spread``."""
    g = np.exp(spread * rng.standard_normal(networks) - spread**2 / 2)
    z = np.sqrt(g)[:, None] * rng.standard_normal((networks, recorded))
    rest = g * rng.chisquare(width - recorded, networks) if width > recorded else 0
    kernel = (np.sum(z**2, axis=1) + rest) / width
    return xr.Dataset(
        {
            "preactivation": (
                ("network", "layer", "input", "neuron"),
                z[:, None, None].astype(np.float32),
            ),
            "kernel": (("network", "layer", "input", "input_"), kernel[:, None, None, None]),
        },
        coords={"network": np.arange(networks), "layer": [3], "width": ("layer", [width])},
    )


@pytest.fixture(scope="module")
def gaussian():
    samples = ensemble(np.random.default_rng(0), 300 * 60, 24)
    return normality(samples, **NAMES, groups=300, networks=60, neurons=5)


@pytest.mark.parametrize("test", ["henze_zirkler", "hotelling_mean", "radial"])
@pytest.mark.parametrize("sample", ["ensemble", "gaussian"])
def test_gaussian_groups_are_rejected_at_the_nominal_rate(gaussian, test, sample):
    # 300 groups: 5 % +- 1.26 %. Four standard deviations either side, plus the 1 % by which
    # the log-normal approximation of Henze-Zirkler is off (5000 groups of 250 networks and 16
    # neurons: 6.0 %; Hotelling 5.1 %): a false alarm in 10^4 seeds.
    rate = gaussian["rejection_rate"].sel(test=test, sample=sample).item()
    assert 0.0 < rate < 0.05 + 4 * 0.0126 + 0.01
    p = np.sort(gaussian["p_value"].sel(test=test, sample=sample).values.ravel())
    # Kolmogorov distance of 300 p-values from uniform: 0.113 once in 1000.
    assert np.abs(p - np.arange(300) / 300).max() < 0.12


@pytest.mark.parametrize("width", [1, 2, 8, 1000])
def test_the_radial_test_has_the_right_level_at_any_width(width):
    rng = np.random.default_rng(1)
    null = null_dispersions(width, 50, rng)
    p = np.array([p_value(d, null) for d in dispersion(rng.chisquare(width, (4000, 50)))])
    # Binomial and Monte Carlo error together 0.5 %; bound 4.5 sigma.
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.022)
    assert np.mean(p) == pytest.approx(0.5, abs=0.04)


def test_monte_carlo_p_values_count_the_observation_itself():
    null = np.arange(1.0, 20)
    assert [p_value(x, null) for x in (100, 19, 18.5, 0)] == [0.05, 0.1, 0.1, 1]
    assert np.isnan(p_value(np.nan, null))


@pytest.mark.parametrize("width", [32, 4096])
def test_the_radial_test_sees_the_dispersion_of_the_second_layer_at_any_width(width):
    # Relative variance 2/n of the conditional variance, as in the second layer of a linear network.
    samples = ensemble(np.random.default_rng(2), 5000, width, np.sqrt(2 / width))
    result = normality(samples, **NAMES, groups=20)
    rate = result["rejection_rate"].sel(layer=3, input=0)
    assert rate.sel(test="radial", sample="ensemble") > 0.99
    # 20 groups at 5 %: six or more rejections once in 3000.
    assert rate.sel(test="radial", sample="gaussian") < 0.3
    assert rate.sel(test="hotelling_mean", sample="ensemble") < 0.3


def test_a_heavy_tailed_mixture_is_seen_by_all_but_the_test_of_the_mean():
    result = normality(ensemble(np.random.default_rng(3), 5000, 16, 1.0), **NAMES, groups=20)
    rate = result["rejection_rate"].sel(sample="ensemble").squeeze()
    assert rate.sel(test="radial") == 1
    assert rate.sel(test="henze_zirkler") > 0.9
    assert rate.sel(test="hotelling_mean") < 0.3


def test_dead_networks_count_as_dispersion():
    samples = ensemble(np.random.default_rng(4), 1000, 16)
    samples["preactivation"][::10] = 0
    samples["kernel"][::10] = 0
    rate = normality(samples, **NAMES)["rejection_rate"].sel(sample="ensemble").squeeze()
    assert rate.sel(test="radial") == 1


def test_shapes_names_and_rates():
    samples = ensemble(np.random.default_rng(5), 1100, 16)
    result = normality(samples, **NAMES, groups=40, networks=50)
    assert result["p_value"].dims == ("test", "sample", "layer", "input", "group")
    assert result.sizes["group"] == 22
    p, rate = result["p_value"], result["rejection_rate"]
    np.testing.assert_allclose(rate, (p <= 0.05).mean("group"))
    assert (result["rejection_rate_stderr"] > 0).all()
    assert result["rejection_rate_trusted"].dtype == np.int8
    assert result["rejection_rate_trusted"].all()
    few = normality(samples, **NAMES, groups=3, networks=50)
    assert not few["rejection_rate_trusted"].any()


def test_the_same_names_give_the_same_numbers_and_shards_do_not_matter():
    samples = ensemble(np.random.default_rng(6), 500, 16)
    options = {"groups": 5, "networks": 100}
    one = normality(samples, **NAMES, **options)
    parts = [samples.isel(network=slice(300, 500)), samples.isel(network=slice(0, 300))]
    xr.testing.assert_identical(one, normality(parts, **NAMES, **options))
    other = normality(samples, **(NAMES | {"member": "other"}), **options)
    assert not np.array_equal(one["p_value"], other["p_value"])


def test_numbers_out_of_range_are_unknown():
    samples = ensemble(np.random.default_rng(7), 500, 16)
    samples["kernel"][3] = np.inf
    result = normality(samples, **NAMES, groups=2)
    assert np.isnan(result["rejection_rate"].sel(sample="ensemble")).all()
    assert not result["rejection_rate_trusted"].sel(sample="ensemble").any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 501}, "groups of 501 networks need at least as many, not 500"),
        ({"neurons": 21}, "2 to 20 neurons, not 21"),
        ({"neurons": 10, "networks": 10}, "10 networks is too small to test 10 neurons"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_a_sentence(options, message):
    samples = ensemble(np.random.default_rng(8), 500, 16)
    with pytest.raises(ValueError, match=message):
        normality(samples, **NAMES, **options)


def test_one_recorded_neuron_is_too_few():
    samples = ensemble(np.random.default_rng(9), 500, 16, recorded=1)
    with pytest.raises(ValueError, match="at least 2 recorded neurons, not 1"):
        normality(samples, **NAMES)
