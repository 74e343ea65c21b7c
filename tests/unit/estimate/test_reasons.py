"""Numbers that cannot be trusted carry a reason: NaN, overflow, dead layers, few networks."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.comparison.compare import table
from finitewidth.comparison.results import Study
from finitewidth.core.reasons import Reason, sentence, variables
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.errors.jackknife import block_bounds, block_sums, jackknife
from finitewidth.estimate.families import BY_LAYER, estimate
from finitewidth.estimate.ntk.way_deviation import way_deviation
from finitewidth.estimate.preactivations.lognorm import log_norm
from finitewidth.estimate.preactivations.normality import normality
from finitewidth.estimate.samples import Samples
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import FROM_LADDER as LADDER
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.trained.representations.replicas import over_pairs, over_replicas
from small_members import results

pytestmark = pytest.mark.fast

NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
X = np.array([[1.0, -0.5], [0.8, 0.9]])
ALL = [*BY_LAYER]
EVERYTHING = ("preactivations", "quartic", "sextic", "log_norm")


def draw(activation="relu", inputs=2, width=6, depth=4, networks=300, C_W=2.0, layers=None):
    mlp = Perceptron.uniform_width(activation, dimension=2, width=width, depth=depth, C_W=C_W)
    found = sample(mlp, X[:inputs], networks=networks, seed=1, measure=EVERYTHING, layers=layers)
    # In place of derivatives and entropies, whose law does not matter here.
    squares = ("network", "layer", "input"), np.einsum("nlii->nli", found["kernel"].values)
    with np.errstate(divide="ignore"):
        logs = np.log(np.stack([squares[1]] * 2, axis=-1))
    logs = ("network", "layer", "input", "singular"), logs
    return found.assign(gradient=squares, entropy=squares, jacobian=logs)


def rows_of(estimates):
    return table(Study("s", None, None, [results(estimates, xr.Dataset())]))


def assert_no_silent_number(rows):
    sound = np.isfinite(rows["estimate"]) & (rows["standard_error"] > 0)
    sound &= np.isfinite(rows["standard_error"])
    assert not (rows["trusted"] & ~sound).any()
    assert ((rows["reason"] == "") == rows["trusted"]).all()
    assert not np.isinf(rows["z"]).any()


def test_the_vocabulary_is_closed_and_every_reason_is_a_sentence():
    assert [r.value for r in Reason] == list(range(len(Reason)))
    words = {r: sentence(r, 7) for r in Reason}
    assert words.pop(Reason.NONE) == ""
    assert len(set(words.values())) == len(words)
    for reason in words:
        assert "{" not in sentence(reason, 7)
        assert sentence(reason, np.nan)
        assert "nan" not in sentence(reason, np.nan)


def test_files_hold_flags_as_cf_wants_them():
    found = variables("a", ("x",), np.array([0, Reason.SKEW]), np.array([np.nan, 0.4]), of="a name")
    dims, values, about = found["a_reason"]
    assert dims == ("x",)
    assert values.dtype == about["flag_values"].dtype == np.int8
    assert about["flag_meanings"].split()[values[1]] == "skew"
    assert len(about["flag_meanings"].split()) == len(about["flag_values"])
    assert found["a_trusted"][1].tolist() == [1, 0]
    assert found["a_diagnostic"][1].dtype == np.float32


@pytest.mark.parametrize("networks", [1, 2, 3, 10, 49])
def test_fewer_than_fifty_networks_are_refused_by_every_estimator(networks):
    samples = draw(networks=networks)
    for family in ALL:
        with pytest.raises(ValueError, match="at least 50 networks"):
            estimate([samples], [family], **NAMES)
    with pytest.raises(ValueError, match="at least as many"):
        normality(samples, networks=50, neurons=3, **NAMES)
    mlp = [Perceptron.uniform_width("relu", dimension=2, width=n, depth=2, C_W=2.0) for n in (4, 8)]
    rungs = sample_ladder(mlp, X, networks=networks, seed=1)
    with pytest.raises(ValueError, match="at least 50 networks"):
        estimate_ladder([rungs], ["kernel_moments"], **NAMES)


@pytest.mark.parametrize("shards", [1, 3])
def test_fifty_networks_give_no_silent_number(shards):
    samples = draw("relu", width=5, networks=50)
    parts = [samples.isel(network=slice(k, None, shards)) for k in range(shards)]
    rows = rows_of(estimate(parts, ALL, **NAMES))
    assert_no_silent_number(rows)
    assert set(rows["quantity"]) >= {"covariance", "six_point", "dead_fraction", "quadruple"}
    tests = normality(samples, networks=25, neurons=3, **NAMES)
    assert set(rows_of(tests)["reason"]) == {"too few groups of networks for a share of them: 2"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_planted_network_is_found_and_spoils_its_own_layer_and_input_alone(bad, recwarn):
    clean = draw("linear", width=32, networks=600, C_W=1.0)
    planted = clean.copy(deep=True)
    for network in (17, 401):
        planted["kernel"][network, 2, 0, 0] = bad
    planted["preactivation"][401, 2, 1, 3] = bad
    parts = [planted.isel(network=slice(0, 250)), planted.isel(network=slice(250, 600))]
    found, expected = estimate(parts, ALL, **NAMES), estimate([clean], ALL, **NAMES)
    third = found["layer"].values[2]
    rest = [layer for layer in found["layer"].values if layer != third]
    for name in expected.data_vars:
        xr.testing.assert_identical(found[name].sel(layer=rest), expected[name].sel(layer=rest))
    here = found.sel(layer=third)
    assert here["covariance_reason"].values.tolist() == [[2, 2], [2, 0]]
    kurtosis = here["excess_kurtosis_reason"].values.tolist()
    assert kurtosis[0] == Reason.NOT_FINITE != kurtosis[1]
    assert (here["histogram_reason"] == Reason.NOT_FINITE).all()
    assert found["not_finite_networks"].values.tolist() == [0, 0, 2, 0]
    assert found["not_finite_first"].values.tolist() == [-1, -1, 17, -1]
    rows = rows_of(found)
    assert_no_silent_number(rows)
    why = rows[rows["reason"].str.startswith("not finite")]["reason"]
    assert set(why) == {"not finite in 2 networks, the first of index 17"}
    assert not list(recwarn)


def ladder():
    mlps = [
        Perceptron.uniform_width("gelu", dimension=2, width=n, depth=3, C_W=1.9) for n in (8, 12)
    ]
    rates = [LearningRates.named("ntk", mlp) for mlp in mlps]
    # One input and networks enough for controls of variance, which the other rung keeps.
    return sample_ladder(mlps, X[:1], networks=2000, seed=1, rates=rates)


@pytest.mark.parametrize("variable", ["conditional_kernel", "conditional_ntk"])
def test_one_planted_network_leaves_the_other_rungs_of_a_ladder_alone(variable, recwarn):
    clean = ladder()
    planted = clean.copy(deep=True)
    planted[variable][33, 1, 2, 0] = np.nan
    found = estimate_ladder([planted], [*LADDER], **NAMES)
    expected = estimate_ladder([clean], [*LADDER], **NAMES)
    assert "controls of order" in expected["ntk_mean"].attrs["estimator"]
    spoilt = "ntk_mean" if variable == "conditional_ntk" else "kernel_mean"
    for name in expected.data_vars:
        if not name.endswith("_rungs"):
            # How the variance was reduced is said of all rungs together, and their skewness, which
            # errors of cumulants are widened by, is that of those which have one.
            ours, theirs = found[name].isel(rung=0), expected[name].isel(rung=0)
            if name.endswith(("_stderr", "_diagnostic")):
                # The skewness itself goes with a high power of what is read off.
                rtol = 0.05 if name.endswith("_stderr") else 0.5
                xr.testing.assert_allclose(ours, theirs, rtol=rtol)
            else:
                xr.testing.assert_equal(ours, theirs)
    assert found[f"{spoilt}_reason"].isel(rung=1, layer=2).values.tolist()[0] == Reason.NOT_FINITE
    assert found[f"{spoilt}_trusted"].isel(rung=1, layer=1).all()
    assert found["not_finite_networks"].values.tolist() == [[0, 0, 0], [0, 0, 1]]
    rows = rows_of(found)
    assert_no_silent_number(rows)
    assert "not finite in 1 networks, the first of index 33" in set(rows["reason"])
    assert not list(recwarn)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_layers_that_overflow_are_flagged_and_the_others_are_not(activation, recwarn):
    samples = draw(activation, width=8, depth=200, networks=200, C_W=100.0, layers=[3, 60, 200])
    assert np.isinf(samples["preactivation"][:, 1]).any()
    assert np.isfinite(samples["kernel"][:, 1]).all()
    assert np.isinf(samples["kernel"][:, 2]).any()
    found = estimate([samples], ALL, **NAMES)
    rows = rows_of(found)
    assert_no_silent_number(rows)
    lost = rows["reason"].str.startswith("not finite")
    by_layer = {layer: set(own["quantity"]) for layer, own in rows[lost].groupby("layer")}
    assert set(by_layer) == {60, 200}
    # Single precision is left first.
    assert {"neuron_covariance", "histogram", "quadruple"} <= by_layer[60]
    assert "covariance" not in by_layer[60]
    assert {"covariance", "four_point", "six_point"} <= by_layer[200]
    assert found["not_finite_networks"][0] == 0
    # Carried apart, the log-norm stays.
    assert np.isfinite(found["log_norm_mean"]).all()
    assert not list(recwarn)


def test_a_layer_dead_in_every_network_says_so():
    samples = draw("relu").copy(deep=True)
    for name in ("preactivation", "kernel", "quartic", "sextic"):
        samples[name][:, 3] = 0
    samples["log_norm"][:, 3] = -np.inf
    rows = rows_of(estimate([samples], ALL, **NAMES))
    assert_no_silent_number(rows)
    last = rows[rows["layer"] == 4].groupby("quantity")["reason"].agg(set)
    dead = {"dead: the layer is zero in 300 networks"}
    for name in ("covariance", "correlation", "four_point", "six_point", "excess_kurtosis",
                 "log_norm_mean", "log_norm_histogram", "histogram", "quadruple"):  # fmt: skip
        assert last[name] == dead, name
    assert not rows.loc[rows["layer"] == 3, "reason"].str.startswith("dead").any()


def test_few_living_and_rare_networks_are_counted():
    values = np.random.default_rng(5).standard_normal(400)
    values[30:] = -np.inf
    found = log_norm(values, block_bounds(400))
    assert found["log_norm_mean"].reason == Reason.TOO_FEW_NETWORKS
    assert found["log_norm_mean"].diagnostic == 30
    assert found["dead_fraction"].reason == Reason.RARE_EVENT
    assert found["dead_fraction"].diagnostic == 30


def test_narrow_layers_say_how_narrow():
    found = estimate([draw(width=2, inputs=1)], ["covariance", "six_point"], **NAMES)
    assert (found["six_point_reason"] == Reason.TOO_NARROW).all()
    assert (found["six_point_diagnostic"] == 2).all()


def test_ways_that_have_only_dead_networks_to_compare_say_so():
    kernels = np.random.default_rng(0).standard_normal((60, 2, 1, 1, 1, 1))
    kernels[[4, 9]] = 0
    dims = ("network", "way", "output", "output_", "input", "input_")
    shard = xr.Dataset(
        {"ntk_by_way": (dims, kernels)},
        coords={"network": np.arange(60), "way": ["jacobian", "other"], "layer": [2],
                "width": ("layer", [3])},
    )  # fmt: skip
    with np.errstate(invalid="ignore"):
        found = way_deviation(Samples([shard]), block_bounds(60))
    assert found.reason.tolist() == [Reason.NOT_MEASURED, Reason.DEAD]
    assert found.diagnostic[1] == 2


def test_replicas_say_how_many_they_are_and_how_many_are_lost():
    values = np.array([[1.0, np.nan, np.nan], [2.0, np.nan, 3.0], [4.0, np.nan, 4.0]])
    found = over_replicas(values).variables("a", ("x",), long_name="it")
    assert found["a_reason"][1].tolist() == [0, Reason.NOT_MEASURED, Reason.NOT_FINITE]
    assert found["a_diagnostic"][1][2] == 1
    for count in (1, 2):
        few = over_replicas(np.arange(count, dtype=float)[:, None] + 1)
        few = few.variables("a", ("x",), long_name="it")
        assert few["a_reason"][1].item() == Reason.TOO_FEW_REPLICAS
        assert few["a_diagnostic"][1].item() == count
    alone = over_pairs(np.full((1, 1), np.nan), []).variables("a", ("x",), long_name="it")
    assert alone["a_reason"][1].item() == Reason.TOO_FEW_REPLICAS
    assert alone["a_diagnostic"][1].item() == 1


def test_a_number_whose_exact_mean_is_infinite_is_not_trusted():
    dims = ("rung", "layer", "input")
    value = xr.DataArray([[[2.0]], [[3.0]]], dims=dims)
    estimates = xr.Dataset(
        {"inverse_kernel_mean": value, "inverse_kernel_mean_stderr": 0 * value + 0.1,
         **variables("inverse_kernel_mean", dims, 0 * value, np.nan * value, of="it")},
        coords={"layer": [2], "width": ("rung", [4, 16])},
    )  # fmt: skip
    exact = np.array([[[np.inf]], [[3.1]]])
    theory = xr.Dataset(
        {"inverse_kernel_mean": (("order", *dims), np.stack([exact, 0 * value + 1.5]))},
        coords={"order": ["exact", "infinite_width"], "layer": [2]},
    )
    rows = table(Study("s", None, None, [results(estimates, theory)]))
    assert rows.groupby("width")["trusted"].agg(set).to_dict() == {4: {False}, 16: {True}}
    assert rows.loc[rows["width"] == 4, "reason"].str.startswith("infinite").all()
    assert not np.isinf(rows["z"]).any()


def test_one_huge_network_is_named_with_its_share():
    x = np.random.default_rng(1).standard_normal((500, 1))
    x[100] = 1e3
    sums = block_sums(lambda at: {"x": x[at]}, block_bounds(500))
    found = jackknife(sums, block_bounds(500), lambda s, count: s["x"] / count)
    assert found.reason.item() == Reason.ONE_BLOCK
    assert found.diagnostic.item() == pytest.approx(1, abs=1e-2)
