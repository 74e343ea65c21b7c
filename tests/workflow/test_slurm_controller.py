"""What the profile for SLURM has the controller do before the first job, on a machine without."""

import pytest

from finitewidth_slurm.earlier import RUNS
from running import ROOT, TINY, snakemake

PROFILE = ROOT / "workflow/profiles/slurm"


@pytest.mark.parametrize("name", ["slurm_partiton", "gpu_partion"])
def test_a_misspelt_line_of_the_site_is_refused_in_one_sentence(tmp_path, name):
    plan = ("--workflow-profile", PROFILE, "--configfile", TINY, "--dry-run")
    done = snakemake(tmp_path, *plan, "--default-resources", "mem_mb=1000", f"{name}=x")
    assert done.returncode == 1
    _, sentence = done.stdout.splitlines()
    assert name in sentence
    assert "gpu_partition" in sentence


def test_a_run_on_this_machine_first_ends_what_one_on_slurm_left(tmp_path, monkeypatch):
    """Else a file would have two writers."""
    commands, folder = tmp_path / "bin", tmp_path / "run"
    commands.mkdir()
    # A job that goes when it is cancelled.
    script = {
        "squeue": f'test -e {tmp_path}/gone || echo "7|{folder}"',
        "scancel": f'echo "$@" >{tmp_path}/gone',
    }
    for name, text in script.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    (folder / ".snakemake").mkdir(parents=True)
    (folder / ".snakemake" / RUNS).write_text("one\n")
    target = "results/inputs/pair.nc"
    small = ROOT / "tests/slurm/small.yaml"
    done = snakemake(folder, target, "--configfile", small, "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert "left 1 jobs in SLURM's queue: cancelling 7" in done.stdout
    assert (tmp_path / "gone").read_text() == "7\n"
    assert not (folder / ".snakemake" / RUNS).exists()
