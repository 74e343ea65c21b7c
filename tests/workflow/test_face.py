"""The library's face gives what jobs of the workflow give, and reads what a run has left."""

import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import finitewidth as fw
from finitewidth.comparison.tables import read_csv
from finitewidth.core.processor import PINS
from finitewidth.provenance.artifacts import read_dataset
from running import TINYS

#: In the environment that jobs have: members in several shards, ladders, tangent kernels, weights
#: drawn by torch, tests of normality.
PROGRAM = """
import sys
import finitewidth as fw
study = fw.load_study(sys.argv[1])
for key, member in study.members.items():
    if member.about.ensemble in sys.argv[2].split(","):
        samples = member.sample(progress=False)
        folder = f"out/{key.replace('/', '+')}"
        samples.to_netcdf(f"{folder}+samples.nc")
        member.estimate(samples).to_netcdf(f"{folder}+estimates.nc")
        member.predict().to_netcdf(f"{folder}+theory.nc")
fw.compare(study.run("covariance", progress=False)).to_pickle("out/covariance.pkl")
"""
ENSEMBLES = ("linear", "relu", "ladder", "both")


@pytest.fixture(scope="module")
def mine(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("face")
    (folder / "out").mkdir()
    (config,) = (tiny / TINYS / "configs").glob("*.yaml")
    words = [sys.executable, "-c", PROGRAM, str(config), ",".join(ENSEMBLES)]
    done = subprocess.run(words, cwd=folder, env=os.environ | PINS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def members(tiny, ensemble):
    return sorted(p.name for p in (tiny / TINYS / "ensembles" / ensemble).iterdir())


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_members_have_the_numbers_of_jobs_to_the_bit(tiny, mine, ensemble):
    for name in members(tiny, ensemble):
        folder = tiny / TINYS / "ensembles" / ensemble / name
        shards = [read_dataset(p) for p in sorted((folder / "samples").glob("*.nc"))]
        theirs = {
            "samples": xr.concat(shards, "network", data_vars="minimal"),
            "theory": read_dataset(folder / "theory.nc"),
            "estimates": read_dataset(folder / "estimates.nc"),
        }
        if (folder / "normality.nc").exists():
            tests = read_dataset(folder / "normality.nc")
            theirs["estimates"] = theirs["estimates"].merge(tests, compat="override", join="outer")
        for what, one in theirs.items():
            with xr.open_dataset(mine / f"{ensemble}+{name}+{what}.nc") as other:
                assert set(one.data_vars) <= set(other.data_vars), what
                for variable in one.data_vars:
                    pair = one[variable].values, other[variable].values
                    assert np.array_equal(*pair, equal_nan=pair[0].dtype.kind == "f"), variable


def test_the_table_is_that_of_the_workflow(tiny, mine):
    theirs = read_csv(tiny / TINYS / "studies/covariance/comparison.csv")
    found = pd.read_pickle(mine / "covariance.pkl")
    assert list(found.columns) == list(theirs.columns)
    for column in theirs.columns:
        if theirs[column].dtype.kind in "fi":
            one, other = (rows[column].to_numpy(float) for rows in (found, theirs))
            assert np.array_equal(one, other, equal_nan=True), column
        else:
            texts = (rows[column].fillna("").astype(str).tolist() for rows in (found, theirs))
            assert next(texts) == next(texts), column


def test_a_study_is_read_with_table_datasets_and_figures(tiny, monkeypatch):
    study = fw.read_study(tiny / TINYS / "studies/covariance")
    assert study.name == "covariance"
    plain = pd.read_csv(tiny / TINYS / "studies/covariance/comparison.csv")
    assert len(study.table) == len(plain) > 100
    assert set(study.datasets) == {f"linear/{name}" for name in members(tiny, "linear")}
    one = study.datasets["linear/C_W-2"]
    assert set(one) == {"estimates", "theory"}
    about = {"study": "covariance", "C_W": 2.0, "activation": "linear", "sampler": "marginal",
             "networks": 9000, "seed": 7}  # fmt: skip
    assert {key: one["estimates"].attrs[key] for key in about} == about
    assert all(set(files) == {"pdf", "png"} for files in study.figures.values())
    assert "covariance" in study.figures
    # Also from the folder of the run, as somebody types it.
    monkeypatch.chdir(tiny / TINYS)
    again = fw.read_study("studies/covariance")
    assert set(again.datasets) == set(study.datasets)
    figure = fw.draw(again, "covariance", width=4.5)
    assert figure.get_figwidth() == pytest.approx(4.5)
    plt.close(figure)
    rows = fw.compare(again)
    assert len(rows) == len(study.table)
    with pytest.raises(fw.ArtifactError, match="studies/everything"):
        fw.read_study("studies")


def test_a_run_is_read_where_it_was_copied_or_linked_to_and_from_any_folder(
    tiny, tmp_path, monkeypatch
):
    copies = [tmp_path / "mit Leerzeichen ä/results/runs/tiny", tmp_path / "renamed"]
    for copy in copies:
        shutil.copytree(tiny / TINYS, copy)
    (tmp_path / "link").symlink_to(tiny / TINYS)
    # What stands where Python runs is another run's.
    monkeypatch.chdir(tiny)
    wanted = fw.read_study(tiny / TINYS / "studies/covariance")
    for run in (*copies, tmp_path / "link"):
        study = fw.read_study(run / "studies/covariance")
        assert set(study.datasets) == set(wanted.datasets)
        assert set(study.figures) == set(wanted.figures)
        assert study.leftovers == []
    alone = tmp_path / "alone"
    shutil.copytree(tiny / TINYS / "studies/covariance", alone)
    study = fw.read_study(alone)
    assert study.table.equals(wanted.table)
    with pytest.raises(fw.ArtifactError, match="alone stands in no run, allowed is"):
        _ = study.datasets


@pytest.mark.parametrize("look", [{"width": "a"}, {"width": -1}, {"font_size": 1e9}, {"file": 3}])
def test_a_look_that_no_figure_has_is_refused_by_name(tiny, look):
    study = fw.read_study(tiny / TINYS / "studies/covariance")
    with pytest.raises(ValueError, match=rf"^{next(iter(look))}: given .*, allowed is "):
        study.draw("covariance", **look)


def test_members_of_an_ensemble_are_one_dataset(tiny):
    found = fw.open_ensemble(tiny / TINYS / "ensembles/linear")
    assert found["C_W"].values.tolist() == [1.0, 2.0]
    assert found["covariance"].dims[0] == "C_W"
    for C_W in (1, 2):
        file = tiny / TINYS / f"ensembles/linear/C_W-{C_W}/estimates.nc"
        one = read_dataset(file)["covariance"]
        assert np.array_equal(found["covariance"].sel(C_W=C_W).values, one.values)
    assert found.attrs["activation"] == "linear"
    assert "C_W" not in found.attrs
    widths = fw.open_ensemble(tiny / TINYS / "ensembles/both", "theory")
    assert widths["width"].values.tolist() == [6, 12]
    with pytest.raises(fw.ArtifactError, match="no member"):
        fw.open_ensemble(tiny / TINYS / "inputs")
