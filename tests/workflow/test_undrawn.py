"""A figure that cannot be drawn is named, leaves a page in its place, and takes no other along."""

import shutil

import pytest

from finitewidth.provenance.artifacts import read_stamp
from running import KINDS, ROOT, snakemake


@pytest.fixture(scope="module")
def undrawn(kinds, tmp_path_factory):
    """The study with one job of every kind, drawn anew by code with a fault in one figure."""
    folder = tmp_path_factory.mktemp("undrawn")
    shutil.copytree(kinds, folder, dirs_exist_ok=True)
    copy = tmp_path_factory.mktemp("code")
    for part in ("Snakefile", "config.yaml", "profiles", "envs"):
        (copy / part).symlink_to(ROOT / part)
    shutil.copytree(ROOT / "workflow", copy / "workflow")
    with open(copy / "workflow/finitewidth/figures/preactivations/gaussianity.py", "a") as file:
        file.write("\n\ndef quadruple(study):\n    return {}['$missing']\n")
    snakefile = copy / "workflow/Snakefile"
    done = snakemake(folder, "--snakefile", snakefile, "--configfile", KINDS, "--cores", "2")
    return folder, done


def test_the_run_fails_and_names_it(undrawn):
    folder, done = undrawn
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "could not be drawn" in line]
    assert line == done.stdout.splitlines()[-1]
    assert line.startswith("gallery: studies.kinds: quadruple could not be drawn (KeyError")
    assert "results/logs/figures/kinds.log" in line
    assert "Traceback" not in done.stdout
    assert "Traceback" in (folder / "results/logs/figures/kinds.log").read_text()
    assert not (folder / "results/figures.md").exists()


@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_it_takes_no_other_with_it(undrawn, kinds, ending):
    folder, _ = undrawn
    figures = "results/studies/kinds/figures"
    stamp = read_stamp(folder / figures / f"quadruple.{ending}")
    assert stamp["problem"] == "KeyError: '$missing'"
    assert stamp["wildcards"] == {"study": "kinds", "figure": "quadruple"}
    other = read_stamp(folder / figures / f"training_curves.{ending}")
    assert "problem" not in other
    assert other["inputs"] == read_stamp(kinds / figures / f"training_curves.{ending}")["inputs"]


def test_all_is_drawn_anew_once_the_fault_is_mended(undrawn, kinds):
    folder, _ = undrawn
    done = snakemake(folder, "--configfile", KINDS, "--cores", "2")
    assert done.returncode == 0, done.stdout
    name = "results/studies/kinds/figures/quadruple.png"
    assert (folder / name).read_bytes() == (kinds / name).read_bytes()
    page = "results/figures.md"
    assert (folder / page).read_bytes() == (kinds / page).read_bytes()
