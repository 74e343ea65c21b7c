"""The tiny study, end to end: what stands there, what reruns, and the same bytes every time."""

import numpy as np
import pandas as pd
import xarray as xr

from finitewidth.comparison.tables import read_csv
from finitewidth.core.places import at
from finitewidth.provenance.artifacts import digest_of, read_dataset, read_stamp
from finitewidth.quantities.vocabulary import (
    COEFFICIENTS,
    FAMILIES,
    FROM_TRAINING,
    QUANTITIES,
    TABULATED,
    TRAINED_FAMILIES,
)
from running import TINY, TINYS, digests, snakemake, variant

MEMBERS = [
    "linear/C_W-1",
    "linear/C_W-2",
    "relu/width-4",
    "relu/width-6",
    "norms/only",
    "ladder/activation-tanh",
    "phases/activation-gelu_C_W-1.98306",
    "both/width-6",
    "jets/width-6",
]


def test_every_result_stands_there(tiny):
    results = tiny / TINYS
    for member in MEMBERS:
        for name in ("samples/0.nc", "estimates.nc", "theory.nc"):
            assert (results / "ensembles" / member / name).is_file()
    assert len(list((results / "ensembles/linear/C_W-1/samples").iterdir())) == 3
    for study, figures in (
        ("covariance", ["covariance", "histograms"]),
        ("everything", ["normality", "quadruple", "log_norm"]),
        ("trained", ["training_curves", "rainbow"]),
        ("tangents", ["ntk_cross", "ntk_fluctuations", "ntk_times"]),
    ):
        for figure in figures:
            for ending in ("pdf", "png"):
                assert (
                    results / f"studies/{study}/figures/{figure}.{ending}"
                ).stat().st_size > 4000
        for ending in ("csv", "csv-metadata.json", "md", "tex", "html"):
            assert (results / f"studies/{study}/comparison.{ending}").stat().st_size > 1000


def test_estimates_and_theory_of_trained_networks_join_name_by_name(tiny):
    for member in ("mlp/widen-1", "mlp/widen-2", "cnn/only"):
        folder = tiny / TINYS / "trained" / member
        names = ("networks", "estimates", "generated", "theory")
        networks, estimates, generated, theory = (read_dataset(folder / f"{x}.nc") for x in names)
        assert networks.sizes["replica"] == 3
        estimates = estimates.merge(generated)
        for name, values in theory.data_vars.items():
            name = name.removesuffix("_neglected")
            assert values.dims == ("order", *estimates[name].dims)
            shared = [d for d in estimates[name].dims if d != "rank"]
            for d in shared:
                assert (values[d] == estimates[name][d]).all()
            assert values.attrs["equation"]
        for name in (q for family in TRAINED_FAMILIES.values() for q in family):
            assert {f"{name}_stderr", f"{name}_trusted"} <= set(estimates.data_vars)
        assert not list(folder.glob(".*"))
        covariances = read_dataset(folder / "covariances.nc")
        last = estimates.sizes["layer"] - 2
        second, frame = (
            covariances[f"{x}_{last}"].values for x in ("second_moment", "eigenvector")
        )
        values = np.einsum("rak,rab,rbk->rk", frame, second, frame)
        where = {"state": "trained", "centring": "uncentred", "layer": last}
        expected = estimates["activation_eigenvalue"].sel(where).dropna("rank")
        assert np.allclose(values.mean(0), expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_estimates_and_theory_join_name_by_name(tiny):
    for member in MEMBERS:
        folder = tiny / TINYS / "ensembles" / member
        estimates, theory = (read_dataset(folder / f"{x}.nc") for x in ("estimates", "theory"))
        quantities = {q for family in FAMILIES.values() for q in family.names} & set(
            estimates.data_vars
        )
        assert quantities
        for name in quantities:
            assert theory[name].dims == ("order", *estimates[name].dims)
            assert theory[f"{name}_neglected"].dims == theory[name].dims
            assert {f"{name}_stderr", f"{name}_trusted"} <= set(estimates.data_vars)
            xr.align(theory[name], estimates[name], join="exact")
            assert theory[name].attrs["equation"]


def test_the_table_holds_every_number_with_its_error(tiny):
    rows = read_csv(tiny / f"{TINYS}/studies/everything/comparison.csv")
    assert {"study", "ensemble", "C_W", "width", "quantity", "layer", "inputs", "order", "theory",
            "estimate", "standard_error", "z", "relative_difference", "neglected", "holds",
            "trusted", "equation"} <= set(rows.columns)  # fmt: skip
    assert set(rows["ensemble"]) == {"linear", "relu", "norms"}
    # What has no error bar at all says why.
    assert ((rows["standard_error"] >= 0) | ~rows["trusted"]).all()
    assert (rows.loc[~rows["trusted"], "reason"] != "").all()
    assert not rows.duplicated(["ensemble", "C_W", "width", "quantity", "layer", "inputs",
                                "component", "order"]).any()  # fmt: skip


def test_no_number_is_silent(tiny):
    """Every quantity that a table can have: a finite number with a finite error, or a reason."""
    tables = [read_csv(path) for path in (tiny / f"{TINYS}/studies").glob("*/comparison.csv")]
    rows = pd.concat(tables, ignore_index=True)
    # Not in this study: ensembles in training, attention, derivatives by inputs, cosines. Random
    # studies have them.
    of_training = {name for family in FROM_TRAINING for name in FAMILIES[family].names}
    of_training |= {name for name, c in COEFFICIENTS.items() if c.of in of_training}
    of_training |= {"attention_entropy"}
    of_training |= {*FAMILIES["jacobian"].names, *FAMILIES["rank_collapse"].names}
    assert set(TABULATED) - of_training <= set(rows["quantity"])
    sound = np.isfinite(rows["estimate"]) & np.isfinite(rows["standard_error"])
    sound &= rows["standard_error"] > 0
    assert sound[rows["trusted"]].all()
    assert ((rows["reason"] == "") == rows["trusted"]).all()
    assert not np.isinf(rows["z"]).any()
    # An error that is not believed measures no distance from theory.
    untrusted = rows[~rows["trusted"]]
    assert len(untrusted) > 0
    assert untrusted[["z", "relative_difference"]].isna().all(axis=None)
    assert not untrusted["holds"].any()
    holds = rows[rows["holds"]]
    assert (holds["neglected"] <= holds["standard_error"] / 2).all()
    assert holds["z"].notna().all()
    # What is not trusted is said so in files, too, with a flag and the number it was read off.
    for path in (tiny / TINYS).glob("*/*/*/estimates.nc"):
        estimates = read_dataset(path)
        for name in set(QUANTITIES) & set(estimates.data_vars):
            reason = estimates[f"{name}_reason"]
            assert reason.dtype == np.int8
            assert len(reason.flag_meanings.split()) == len(reason.flag_values)
            assert ((reason == 0) == estimates[f"{name}_trusted"]).all()
            counted = reason == reason.flag_meanings.split().index("rare_event")
            assert (estimates[f"{name}_diagnostic"].where(counted, 0) < 50).all()
            assert estimates[f"{name}_diagnostic"].where(reason == 0).isnull().all()


def test_every_artifact_is_stamped_with_the_digests_of_what_it_was_made_from(tiny):
    for name in digests(tiny, TINYS):
        # What describes the run as a whole: the config, the code, and the crate.
        if name.split("/")[0] in ("configs", "code", "ro-crate-metadata.json"):
            continue
        stamp = read_stamp(tiny / TINYS / name)
        assert stamp["rule"]
        assert stamp["code"]["sha256"]
        assert stamp["packages"]["python"]
        for source, digest in stamp["inputs"].items():
            assert digest_of(tiny / at(TINYS, source)) == digest
        if not any(part in name for part in ("studies", "theory", "figures.md", "index.html")):
            assert stamp["config"]["seed"] == 7


def test_what_differs_from_run_to_run_stands_apart(tiny):
    for width in (4, 8):
        folder = tiny / f"{TINYS}/ensembles/ways/width-{width}"
        assert (read_dataset(folder / "seconds.nc")["seconds"] > 0).all()
        assert "seconds" not in read_dataset(folder / "samples/0.nc")
    for name in ("comparison.csv", "figures/ntk_methods.png", "figures/ntk_times.png"):
        inputs = read_stamp(tiny / f"{TINYS}/studies/tangents" / name)["inputs"]
        assert any("seconds.nc" in file for file in inputs) == ("ntk_times" in name)


def test_a_second_run_does_nothing(tiny_copy):
    done = snakemake(tiny_copy, "--configfile", TINY, "--cores", "2")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_any_division_into_shards_gives_the_same_bytes(tiny, tmp_path):
    def shards(content):
        content["ensembles"]["linear"]["shards"] = 1
        content["ensembles"]["relu"]["shards"] = 2
        content["ensembles"]["scalar"] |= {"shards": None}

    path = variant(tmp_path / "variant.yaml", shards)
    targets = [
        *(f"{TINYS}/ensembles/linear/C_W-{C_W}/estimates.nc" for C_W in (1, 2)),
        f"{TINYS}/ensembles/relu/width-4/normality.nc",
        f"{TINYS}/ensembles/scalar/activation-relu_depth-3/estimates.nc",
        f"{TINYS}/studies/covariance/comparison.csv",
        f"{TINYS}/studies/covariance/comparison.csv-metadata.json",
        f"{TINYS}/studies/covariance/figures/histograms.pdf",
    ]
    done = snakemake(tmp_path, *targets, "--configfile", path, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / f"{TINYS}/ensembles/linear/C_W-1/samples/1.nc").exists()
    for target in targets:
        assert (tmp_path / target).read_bytes() == (tiny / target).read_bytes(), target
