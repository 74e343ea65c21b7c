"""A ladder's estimates against numpy and scipy, their controls against plain averages.

False alarms: some 200 deviations within 5 standard errors, under 0.02 % for a fresh seed.
"""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kstat

from finitewidth.core.indices import pairs
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import FAMILIES, FROM_LADDER
from finitewidth.sampling.mlp.coupled_widths import sample_ladder

NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
ENDS = ("_stderr", "_trusted", "_reason", "_diagnostic", "_rungs")
MOMENTS = ("kernel_mean", "kernel_covariance", "kernel_third")
X = np.array([[1.0, -0.5], [0.8, 0.9]])


def draw(
    activation="gelu",
    inputs=2,
    networks=400,
    widths=(8, 12),
    depth=3,
    layers=None,
    tangent=True,
    **rest,
):
    mlps = [
        Perceptron.uniform_width(activation, dimension=2, width=n, depth=depth, **rest)
        for n in widths
    ]
    rates = [LearningRates.named("ntk", mlp) for mlp in mlps] if tangent else None
    return sample_ladder(mlps, X[:inputs], networks=networks, seed=1, layers=layers, rates=rates)


def plain(samples):
    return samples[["conditional_kernel"]].assign_coords(input=samples["input"])


@pytest.fixture(scope="module")
def samples():
    return draw(C_b=0.1, C_W=1.9)


@pytest.fixture(scope="module")
def estimates(samples):
    return estimate_ladder([samples], list(FROM_LADDER), **NAMES)


def test_families_and_dimensions_are_those_of_the_contract(samples, estimates):
    for family in FROM_LADDER:
        found = estimate_ladder([samples], [family], **NAMES)
        own = {n for n in found.data_vars if not n.endswith(ENDS)}
        assert own == set(FAMILIES[family].names)
    expected = {
        "kernel_mean": ("rung", "layer", "pair"),
        "kernel_covariance": ("rung", "layer", "pair", "pair_"),
        "kernel_third": ("rung", "layer", "input"),
        "ntk_mean": ("rung", "layer", "pair"),
        "inverse_kernel_mean": ("rung", "layer", "input"),
        "log_kernel_mean": ("rung", "layer", "input"),
        "log_kernel_variance": ("rung", "layer", "input"),
        "log_kernel_histogram": ("rung", "layer", "input", "standard_bin"),
    }
    for name, dims in expected.items():
        for variable in (name, f"{name}_stderr", f"{name}_trusted"):
            assert estimates[variable].dims == dims
        if name in (*MOMENTS, "ntk_mean"):
            assert estimates[f"{name}_rungs"].dims == ("rung", "rung_", *dims[1:])
            assert "conditional kernels" in estimates[name].attrs["estimator"]
    assert list(estimates["width"].values) == [8, 12]
    assert estimates["width"].dims == ("rung",)


@pytest.mark.parametrize("cuts", [[1], [64, 128], [7, 50, 51, 399]])
def test_any_division_into_shards_gives_the_same_bytes(samples, estimates, cuts):
    bounds = [0, *cuts, 400]
    shards = [samples.isel(network=slice(a, b)) for a, b in itertools.pairwise(bounds)]
    xr.testing.assert_identical(
        estimate_ladder(shards[::-1], list(FROM_LADDER), **NAMES), estimates
    )


def test_without_controls_moments_are_the_unbiased_ones(samples):
    found = estimate_ladder([plain(samples)], ["kernel_moments"], **NAMES)
    kernel = samples["conditional_kernel"].values
    np.testing.assert_allclose(found["kernel_mean"], kernel.mean(axis=0), rtol=1e-12)
    for rung, layer in np.ndindex(2, 3):
        k = kernel[:, rung, layer]
        np.testing.assert_allclose(
            found["kernel_covariance"][rung, layer], np.cov(k.T), rtol=1e-9, atol=1e-12
        )
        third = [kstat(k[:, place], 3) for place in (0, 2)]
        np.testing.assert_allclose(found["kernel_third"][rung, layer], third, atol=1e-12, rtol=1e-8)
    stderr = kernel.std(axis=0, ddof=1) / np.sqrt(len(kernel))
    ratio = found["kernel_mean_stderr"].values[:, 1:] / stderr[:, 1:]
    # Larger by what the skewness of a mean over few networks adds, of 0.35 at most.
    assert (ratio > 1).all()
    assert (ratio**2 < 1 + 3 / len(kernel) + 2 * 0.35**2).all()
    assert "controls" not in found["kernel_mean"].attrs["estimator"]


def test_rungs_hold_the_covariance_of_estimates(samples, estimates):
    for name in MOMENTS:
        rungs, stderr = estimates[f"{name}_rungs"].values, estimates[f"{name}_stderr"].values
        # Nothing varies in the first layer: no error, and a covariance of 0.
        own = np.einsum("rr...->r...", rungs)
        np.testing.assert_allclose(own, np.nan_to_num(stderr) ** 2, rtol=1e-9)
        assert np.isnan(stderr[:, 0]).all()
        np.testing.assert_allclose(rungs, np.swapaxes(rungs, 0, 1), rtol=1e-9)
    found = estimate_ladder([plain(samples)], ["kernel_moments"], **NAMES)
    k = samples["conditional_kernel"].values[:, :, 1, 0]
    # Every network is a block of its own here. What is added for few networks leaves correlations.
    ratio = found["kernel_mean_stderr"].values[:, 1, 0] / np.sqrt(
        np.var(k, axis=0, ddof=1) / len(k)
    )
    np.testing.assert_allclose(
        found["kernel_mean_rungs"][:, :, 1, 0],
        np.cov(k.T) / len(k) * np.outer(ratio, ratio),
        rtol=1e-9,
    )


def test_the_first_layer_is_exact(samples, estimates):
    expected = 0.1 + 1.9 / 2 * X @ X.T
    a, b = pairs(2).T
    np.testing.assert_allclose(estimates["kernel_mean"][:, 0], np.tile(expected[a, b], (2, 1)))
    assert (estimates["kernel_covariance"][:, 0] == 0).all()
    assert np.isnan(estimates["kernel_mean_stderr"][:, 0]).all()


@pytest.mark.parametrize(
    ("activation", "inputs", "tangent", "mean", "covariance", "third"),
    [
        ("gelu", 1, True, 20, 15, 0.99),
        ("tanh", 1, True, 8, 5, 0.99),
        ("softplus", 1, True, 100, 60, 0.99),
        ("gelu", 2, True, 5, 1.2, 0.99),
        ("tanh", 2, True, 3, 2, 0.99),
        # Where tangent kernels are not wanted, products of activations are the controls.
        ("gelu", 2, False, 300, 100, 10),
        ("tanh", 2, False, 300, 100, 10),
        ("relu", 2, False, 100, 20, 10),
    ],
)
def test_controls_leave_the_mean_and_take_the_variance(
    activation, inputs, tangent, mean, covariance, third
):
    # More controls have more coefficients to fit, which takes more networks before they pay.
    networks = 10000 * inputs
    options = {"layers": [3, 4], "tangent": tangent, "C_W": 1.3, "C_b": 0.1}
    samples = draw(activation, inputs, networks, (32, 64), 4, **options)
    with_controls = estimate_ladder([samples], ["kernel_moments"], **NAMES)
    without = estimate_ladder([plain(samples)], ["kernel_moments"], **NAMES)
    assert "controls" in with_controls["kernel_mean"].attrs["estimator"]
    for name, least in zip(MOMENTS, (mean, covariance, third), strict=True):
        old, new = without[f"{name}_stderr"].values, with_controls[f"{name}_stderr"].values
        z = (with_controls[name].values - without[name].values) / np.sqrt(old**2 + new**2)
        assert np.abs(z).max() < 5
        # A number whose controls are doubted stays as it is.
        gain = old / new
        varies = gain[np.isfinite(gain)]
        assert varies.min() > 0.99
        assert np.quantile(varies, 0.6) > least


def test_a_linear_or_relu_network_is_known_to_rounding():
    for activation, C_W, c in (("linear", 1.0, 2), ("relu", 2.0, 5), ("abs", 1.0, 2)):
        n = np.array([40, 60])
        found = estimate_ladder(
            [draw(activation, 1, 4000, tuple(n), 4, layers=[4], C_W=C_W)],
            ["kernel_moments"],
            **NAMES,
        )
        K = C_W * (X[0] @ X[0]) / 2
        np.testing.assert_allclose(found["kernel_mean"].values.ravel(), K, rtol=3e-7)
        variance = K**2 * ((1 + c / n) ** 3 - 1)
        np.testing.assert_allclose(found["kernel_covariance"].values.ravel(), variance, rtol=1e-5)
        # E X^2 - 1 and E X^3 - 1 of a layer's factor X.
        second, third = {2: (2 / n, 6 / n + 8 / n**2), 5: (5 / n, 15 / n + 44 / n**2)}[c]
        expected = K**3 * ((1 + third) ** 3 - 3 * (1 + second) ** 3 + 2)
        np.testing.assert_allclose(found["kernel_third"].values.ravel(), expected, rtol=1e-4)


def test_the_mean_tangent_kernel_without_controls_is_numpys(samples):
    ntk = samples["conditional_ntk"].values
    without = samples[["conditional_kernel", "conditional_ntk"]].assign_coords(
        input=samples["input"]
    )
    found = estimate_ladder([without], ["ntk_mean"], **NAMES)
    np.testing.assert_allclose(found["ntk_mean"], ntk.mean(axis=0), rtol=1e-12)
    # Wider by what the skewness of a mean over few networks asks for (estimate/errors/mean_errors).
    wider = found["ntk_mean_stderr"].values[:, 1:] / (ntk[:, :, 1:].std(axis=0, ddof=1) / 20)
    assert wider.min() > 1
    assert wider.max() < 1.05


@pytest.mark.parametrize(
    ("activation", "gain"), [("tanh", 50), ("gelu", 50), ("silu", 50), ("relu", 20)]
)
def test_controls_of_the_mean_tangent_kernel(activation, gain):
    """They divide its error, and 24 seeds scatter as their errors say.

    The mean of the squared z-scores about their weighted mean is chi-square of 23 degrees: from 0.3
    to 2.2 with a false alarm in 2000 choices of the seeds. Seeds may use different orders.
    """
    mlp = Perceptron.uniform_width(activation, dimension=2, width=48, depth=3, C_b=0.0, C_W=1.5)
    rates = [LearningRates((0.4,) * 3, (1.2,) * 3)]
    values, errors = [], []
    for seed in range(24):
        samples = sample_ladder(
            [mlp], X[:1], networks=4000, seed=seed, layers=[3], rates=rates, precision="float64"
        )
        found = estimate_ladder([samples], ["ntk_mean"], **NAMES)
        values.append(float(found["ntk_mean"].squeeze()))
        errors.append(float(found["ntk_mean_stderr"].squeeze()))
    plainly = samples["conditional_ntk"].values.std() / np.sqrt(4000)
    assert np.mean(errors) < plainly / gain
    weights = np.power(errors, -2.0)
    spread = np.sum(weights * (values - np.average(values, weights=weights)) ** 2) / 23
    assert spread < 2.2
    # Of two slopes and three layers the controls leave rounding alone, for which errors allow.
    assert spread > 0.3 or activation == "relu"


def test_few_networks_are_estimated_without_controls():
    found = estimate_ladder([draw(networks=80, C_W=1.5)], ["kernel_moments"], **NAMES)
    assert np.isfinite(found["kernel_mean"]).all()
    assert "controls" not in found["kernel_mean"].attrs["estimator"]


def test_logarithms_and_inverses_are_numpys(samples, estimates):
    k = samples["conditional_kernel"].values[:, :, 1:, [0, 2]]
    np.testing.assert_allclose(estimates["log_kernel_mean"][:, 1:], np.log(k).mean(axis=0))
    np.testing.assert_allclose(estimates["log_kernel_variance"][:, 1:], np.log(k).var(0, ddof=1))
    np.testing.assert_allclose(estimates["inverse_kernel_mean"][:, 1:], (1 / k).mean(axis=0))
    stderr = (1 / k).std(axis=0, ddof=1) / 20
    np.testing.assert_allclose(estimates["inverse_kernel_mean_stderr"][:, 1:], stderr)


def test_dead_networks_are_left_out_of_logarithms_and_forbid_inverses():
    samples = draw("relu", 1, 2000, (3, 8), 4, C_W=2.0)
    k = samples["conditional_kernel"].values[:, 0, -1, 0]
    assert (k == 0).sum() > 50
    found = estimate_ladder([samples], list(FROM_LADDER), **NAMES).isel(rung=0, layer=-1, input=0)
    assert found["log_kernel_mean"] == pytest.approx(np.log(k[k > 0]).mean())
    assert not found["inverse_kernel_mean_trusted"]
    assert np.isfinite(found["kernel_mean"]).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e200])
def test_kernels_out_of_range_are_untrusted_without_a_word(scale, recwarn):
    samples = draw("relu", 2, C_W=2.0)
    spoilt = samples.assign(conditional_kernel=samples["conditional_kernel"] * scale)
    found = estimate_ladder([spoilt], list(FROM_LADDER), **NAMES)
    assert not found["kernel_third_trusted"].any()
    assert np.isfinite(found["log_kernel_mean"]).all()
    assert not list(recwarn)


def test_what_cannot_be_estimated_is_refused_in_one_sentence(samples):
    with pytest.raises(ValueError, match="unknown family 'covariance'"):
        estimate_ladder([samples], ["covariance"], **NAMES)
    with pytest.raises(ValueError, match="do not hold the variable conditional_kernel"):
        estimate_ladder([samples.drop_vars("conditional_kernel")], ["log_kernel"], **NAMES)
    shards = [samples.isel(network=slice(0, 5)), samples.isel(network=slice(6, 400))]
    with pytest.raises(ValueError, match="network 5 is missing"):
        estimate_ladder(shards, ["log_kernel"], **NAMES)
