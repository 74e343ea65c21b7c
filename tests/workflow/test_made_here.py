"""What the test of the default study takes along of a run that was there before."""

import shutil

import pytest

import made_here
from made_here import take_along
from running import KINDS, digests, snakemake, together


def test_a_sound_run_is_taken_along_and_up_to_date(kinds, tmp_path):
    changed = tmp_path / "changed.yaml"
    changed.write_text(KINDS.read_text().replace("networks: 600", "networks: 610"))
    folder = tmp_path / "here"
    assert take_along(folder, kinds)
    assert digests(folder) == digests(kinds)
    plan = [folder, "--dry-run", "--configfile"]
    (same, said), (other, planned) = together([[*plan, KINDS], [*plan, changed]])
    assert (same, other) == (0, 0)
    assert "Nothing to be done" in said
    assert "rule sample_plain:" in planned


def altered(run, monkeypatch):
    path = run / "results/studies/kinds/comparison.csv"
    path.write_text(path.read_text().replace("1", "2", 1))


def of_other_packages(run, monkeypatch):
    monkeypatch.setattr(made_here.metadata, "version", lambda name: "0.1")


def not_at_its_end(run, monkeypatch):
    (run / "results/index.html").unlink()


def without_records(run, monkeypatch):
    shutil.rmtree(run / ".snakemake")


@pytest.mark.parametrize("harm", [altered, of_other_packages, not_at_its_end, without_records])
def test_nothing_is_taken_along_of_one_that_is_not(kinds, tmp_path, monkeypatch, harm):
    run = shutil.copytree(kinds, tmp_path / "run")
    harm(run, monkeypatch)
    assert not take_along(tmp_path / "here", run)
    assert not (tmp_path / "here").exists() or not any((tmp_path / "here").iterdir())


def test_a_file_that_is_lost_there_is_made_anew(kinds, tmp_path):
    run = shutil.copytree(kinds, tmp_path / "run")
    (run / "results/ensembles/plain/only/theory.nc").unlink()
    folder = tmp_path / "here"
    assert take_along(folder, run)
    done = snakemake(folder, "--configfile", KINDS, "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert digests(folder) == digests(kinds)
