"""What failed jobs said stands at the end of a run, and is never lost."""

import subprocess
import sys

import pytest

from finitewidth.runtime import failed

pytestmark = pytest.mark.fast


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "failed"
    file.touch()
    return file


def test_each_job_says_its_last_word_unless_it_went_well_after_all(file, tmp_path):
    (tmp_path / "well.log").write_text("failed\n2026 3.1 s: done in 1.234 s of processor time\n")
    (tmp_path / "bad.log").write_text("failed\n")
    for line, log in (("a: one", "bad.log"), ("b: one", "well.log"), ("a: two", "bad.log"),
                      ("c: no log", "gone.log")):  # fmt: skip
        assert failed.kept(line, log, file)
    assert failed.told(file, tmp_path) == ["a: two", "c: no log"]


def test_of_many_the_last_are_told_and_how_many_more_there_are(file, tmp_path):
    for k in range(20):
        assert failed.kept(f"job {k}", f"{k}.log", file)
    first, *lines = failed.told(file, tmp_path)
    assert first == "12 more failed: see Snakemake's log."
    assert lines == [f"job {k}" for k in range(12, 20)]


def test_what_cannot_be_kept_is_for_the_job_to_say(file, tmp_path, monkeypatch):
    assert not failed.kept("a", "a.log", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert not failed.kept("a", "a.log", file)
    assert file.read_text() == ""
    monkeypatch.delenv("SLURM_JOB_ID")
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    assert not failed.kept("a", "a.log", full)


@pytest.mark.parametrize("end", ["", "sys.exit(1)", "raise ValueError('what Snakemake says')"])
def test_lines_come_last_however_the_controller_ends(file, end):
    script = f"""
import os, sys
from pathlib import Path
from finitewidth.runtime import failed
failed.keep(Path("ours/failed"))
assert failed.kept("job: no luck (log: a.log)", "a.log", Path("ours/failed"))
os.chdir("/")
{end}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "job: no luck (log: a.log)"
    assert done.returncode == bool(end)
    assert not (file.parent / "ours/failed").exists()
