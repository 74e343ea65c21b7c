"""What an earlier config has left in a run's folder is told from what the last one makes."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

import finitewidth as fw
from finitewidth.__main__ import main
from finitewidth.provenance.artifacts import read_dataset, read_stamp, write_dataset
from finitewidth.provenance.digests import OWN, digest_of_data
from finitewidth.provenance.leftovers import LastConfig, leftovers
from finitewidth.provenance.projections import parts
from finitewidth.study.study_file import load
from running import TINYS


def given_next(root, edit):
    """As if the run of a folder were begun again with an edited config."""
    config = yaml.safe_load(LastConfig.of(root).file.read_text())
    edit(config)
    file = root / "configs" / "00000000000000ff.yaml"
    file.write_text(yaml.safe_dump(config))
    os.utime(file, (time.time() + 9, time.time() + 9))
    return file


def files_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def fewer(config):
    """One member, one figure and one study fewer."""
    config["ensembles"]["linear"]["init"]["C_W"] = 1.0
    config["studies"]["covariance"]["figures"] = ["covariance"]
    del config["studies"]["everything"]


@pytest.fixture
def edited(tiny_copy):
    root = tiny_copy / TINYS
    given_next(root, fewer)
    (root / "studies/covariance/notes.md").write_text("mine\n")
    (root / "studies/covariance/figures/mine.png").write_bytes(b"mine")
    return root


def test_a_run_leaves_nothing_that_its_config_does_not_make(tiny):
    assert leftovers(tiny / TINYS) == []
    for folder in (tiny / TINYS / "studies").iterdir():
        # What warns fails.
        study = fw.read_study(folder)
        assert study.note == ""
        assert repr(study) == f"<ReadStudy {folder}>"
        figures = folder / "figures"
        assert {p for of in study.figures.values() for p in of.values()} == set(figures.iterdir())


def test_a_study_shows_what_its_last_config_makes_and_says_what_else_is_there(edited):
    folder = edited / "studies/covariance"
    with pytest.warns(UserWarning, match=r"the table is of another config than .*ff\.yaml") as told:
        study = fw.read_study(folder)
    assert Path(told[0].filename) == Path(__file__)
    assert set(study.figures) == {"covariance"}
    given_next(edited, lambda c: c["studies"]["covariance"].update(figures=["histograms"]))
    given_next(edited, lambda c: c["ensembles"]["linear"]["init"].update(C_W=[1.0, 2.0]))
    with pytest.warns(UserWarning, match=r"also holds.*covariance\..*and 1 more; finitewidth left"):
        assert set(fw.read_study(folder).figures) == {"histograms"}
    given_next(edited, lambda c: c["studies"]["covariance"].update(figures=["covariance"]))
    with pytest.warns(UserWarning, match=r"also holds"):
        study = fw.read_study(folder)
    assert set(study.figures) == {"covariance"}
    assert {p.name for p in study.leftovers} == {"histograms.pdf", "histograms.png"}
    assert study.note in repr(study)
    assert "\n" not in study.note
    with pytest.warns(UserWarning, match="no such study"):
        gone = fw.read_study(edited / "studies/everything")
    assert gone.figures
    assert gone.leftovers == []


def test_a_study_outside_of_its_run_goes_by_its_table(tiny, tmp_path):
    folder = tmp_path / "covariance"
    shutil.copytree(tiny / TINYS / "studies/covariance", folder)
    assert fw.read_study(folder).note == ""
    other = tiny / TINYS / "studies/everything/figures/log_norm.png"
    shutil.copy(other, folder / "figures/log_norm.png")
    with pytest.warns(UserWarning, match=r"earlier config made: figures.log_norm\.png$"):
        study = fw.read_study(folder)
    assert set(study.figures) == {"covariance", "histograms"}


def test_an_ensemble_is_opened_as_the_last_config_has_it(edited):
    folder = edited / "ensembles/linear"
    given_next(edited, lambda c: c["ensembles"]["linear"]["init"].update(C_W=[1.0, 3.0]))
    with pytest.warns(UserWarning, match="does not have C_W-2, which are left out") as told:
        found = fw.open_ensemble(folder)
    assert Path(told[0].filename) == Path(__file__)
    assert found["C_W"].values.tolist() == [1.0]
    # Members of another sweep alone, of an ensemble that is no more.
    given_next(edited, lambda c: c["ensembles"]["linear"].update(width=[8, 9]))
    with pytest.raises(fw.ArtifactError, match=r"has none of the members .*C_W-1, C_W-2"):
        fw.open_ensemble(folder)
    given_next(edited, lambda c: (c["ensembles"].pop("norms"), c["studies"].clear()))
    with pytest.warns(UserWarning, match="no such ensemble"):
        fw.open_ensemble(edited / "ensembles/norms")


def test_members_of_two_configs_are_not_mixed(tiny_copy, tmp_path):
    root = tiny_copy / TINYS
    config = given_next(root, lambda c: c.update(seed=8))
    made = {path: part for part in parts(load([config])) for path in part.paths}
    # As where a run was interrupted: one member of two is made anew.
    name = "ensembles/both/width-6/estimates.nc"
    part, dataset = made[f"results/{name}"].config, read_dataset(root / name)
    stamp = {k: v for k, v in read_stamp(root / name).items() if k != OWN}
    stamp |= {"config": part, "config_sha256": digest_of_data(part)}
    write_dataset(dataset.assign_attrs(seed=8), root / name, stamp, title="estimates")
    with pytest.raises(fw.ArtifactError, match=r"width-12 .*earlier config.*seed: 7 \| 8.*again"):
        fw.open_ensemble(root / "ensembles/both")
    # Where nothing says what the config is, members say what they are.
    apart = tmp_path / "both"
    shutil.copytree(root / "ensembles/both", apart)
    with pytest.raises(fw.ArtifactError, match="seed is 7 in width-12 and 8 in width-6"):
        fw.open_ensemble(apart)
    shutil.rmtree(apart / "width-6")
    shutil.copytree(root / "ensembles/linear/C_W-1", apart / "C_W-1")
    with pytest.raises(fw.ArtifactError, match="C_W-1 sweeps C_W, width-12 sweeps width"):
        fw.open_ensemble(apart)


def test_leftovers_are_listed_and_deleted_only_where_it_is_asked(edited, capsys):
    before = files_below(edited)
    old = {f for f in before if f.startswith(("ensembles/linear/C_W-", "studies/everything/"))}
    old |= {f"studies/covariance/figures/histograms.{ending}" for ending in ("pdf", "png")}
    # An ensemble of one member has no swept key in its name.
    assert main(["leftovers", str(edited)]) == 0
    listed = capsys.readouterr()
    assert {Path(line).relative_to(edited).as_posix() for line in listed.out.splitlines()} == old
    assert f"{len(old)} files of an earlier config" in listed.err
    assert files_below(edited) == before
    assert main(["leftovers", "--delete", str(edited)]) == 0
    assert files_below(edited) == before - old
    assert not (edited / "ensembles/linear").exists()
    assert (edited / "studies/covariance/notes.md").exists()
    capsys.readouterr()
    assert main(["leftovers", str(edited)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["leftovers", str(edited / "studies")]) == 1
    assert "allowed is the folder of a run" in capsys.readouterr().err


def test_a_trace_says_that_a_file_is_of_an_earlier_config(edited, capsys):
    (edited / "studies/covariance/figures/mine.png").unlink()
    figures = edited / "studies/covariance/figures"
    later = f"{TINYS}/configs/00000000000000ff.yaml"
    main(["trace", str(figures / "histograms.png")])
    assert f"(an earlier one: the run was last given {later})" in capsys.readouterr().out
    main(["trace", "--json", str(figures)])
    told = json.loads(capsys.readouterr().out)["earlier"]
    assert f"{TINYS}/studies/covariance/figures/histograms.png" in told
    main(["trace", str(edited / "ensembles/both")])
    assert "earlier" not in capsys.readouterr().out
