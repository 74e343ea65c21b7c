"""The workflow as a module of somebody else's: any config, to its end, renamed, elsewhere."""

import re
import shutil

import numpy as np
import pytest
import yaml

from finitewidth.__main__ import main
from finitewidth.provenance.artifacts import read_stamp
from outside import outside
from running import KINDS, ROOT, digests, snakemake, together

#: One rule of ours with another log, more memory, and the rest as it is.
OVERRIDE = """
use rule estimate_plain from fw as fw_estimate_plain with:
    log: "elsewhere/estimate.log"
    resources: mem_mb=4321

use rule compare from fw as fw_compare with:
    message: "Comparing, as somebody else says it: {wildcards.study}."
"""
PREFIX = 'prefix: "theirs/results"'
#: A study of somebody's own array, which stands in the folder of the outer workflow.
ARRAY = {
    "seed": 1,
    "inputs": {"own": {"kind": "array", "file": "own.npy"}},
    "ensembles": {
        "small": {"activation": "relu", "init": "critical", "width": 4, "depth": 2,
                  "inputs": "own", "networks": 200, "estimate": ["covariance"]},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory):
    """A study with one job of every kind, as a module with a prefix and overrides, to its end."""
    folder = tmp_path_factory.mktemp("module")
    shutil.copy(KINDS, folder / "kinds.yaml")
    outside(folder, config='configfile: "kinds.yaml"', prefix=PREFIX, more=OVERRIDE)
    done = run(folder, "--cores", "2", "fw_all")
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def run(folder, *arguments):
    return snakemake(folder, "--snakefile", folder / "Snakefile", *arguments)


def test_a_module_with_a_prefix_makes_the_same_bytes(prefixed, kinds):
    folder, _ = prefixed
    assert digests(folder / "theirs" / "results") == digests(kinds)
    # Nothing of ours stands elsewhere.
    assert not (folder / "results").exists()
    assert (folder / "theirs/results/results/logs/compare/kinds.log").exists()


def test_what_a_module_made_can_be_traced(prefixed, monkeypatch, capsys):
    folder, _ = prefixed
    monkeypatch.chdir(folder)
    assert main(["trace", "theirs/results/results"]) == 0, capsys.readouterr().out
    assert "whole" in capsys.readouterr().out
    figure = "theirs/results/results/studies/kinds/figures/quadruple.png"
    assert set(read_stamp(figure)["inputs"]) > {"results/ensembles/plain/only/estimates.nc"}


def test_single_rules_of_a_module_can_be_overridden(prefixed):
    folder, said = prefixed
    assert "Comparing, as somebody else says it: kinds." in said
    assert "mem_mb=4321" in said
    assert list(folder.rglob("elsewhere/estimate.log"))


def test_a_module_that_was_run_is_up_to_date_and_takes_names(prefixed):
    folder, _ = prefixed
    assert "Nothing to be done" in run(folder, "--dry-run", "fw_all").stdout
    said = run(folder, "--dry-run", "fw_all", "--forcerun", "fw_estimate").stdout
    assert set(re.findall(r"^rule (fw_estimate_\w+):", said, re.MULTILINE)) == {
        "fw_estimate_plain", "fw_estimate_scalar", "fw_estimate_stream", "fw_estimate_ways",
    }  # fmt: skip
    done = run(folder, "fw_all", "--report", "report.html")
    assert done.returncode == 0, done.stdout
    assert "quadruple" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_users_own_array_keeps_its_place(tmp_path, monkeypatch, capsys):
    outside(tmp_path, repr(ARRAY), prefix='prefix: "theirs"')
    np.save(tmp_path / "own.npy", np.ones((2, 3)))
    done = run(tmp_path, "--cores", "1", "theirs/results/inputs/own.nc", "fw_crate_config")
    assert done.returncode == 0, done.stdout
    monkeypatch.chdir(tmp_path)
    stamp = read_stamp("theirs/results/inputs/own.nc")
    assert set(stamp["inputs"]) == {"own.npy"}
    assert main(["trace", "theirs/results/inputs/own.nc"]) == 0, capsys.readouterr().out
    # With other numbers the link is broken, and what was made of it is made again.
    np.save(tmp_path / "own.npy", np.zeros((2, 3)))
    assert main(["trace", "theirs/results/inputs/own.nc"]) == 1
    assert "own.npy is not what" in capsys.readouterr().out
    again = run(tmp_path, "--dry-run", "theirs/results/inputs/own.nc")
    assert "rule fw_inputs:" in again.stdout


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Dry runs of outer workflows, by name: status and what is said."""
    base = tmp_path_factory.mktemp("planned")
    kinds = yaml.safe_load(KINDS.read_text())
    single = 'use rule compare from fw as fw_compare with:\n    log: "{study}.log"'
    folders = {
        "dict": outside(base / "dict", repr(kinds)),
        "nothing": outside(base / "nothing", "{}"),
        "no sections": outside(base / "no-sections", "{'seed': 4, 'formats': ['svg']}"),
        "by name": outside(base / "by-name", repr({"study": str(KINDS)})),
        "by name, seed": outside(base / "by-name-seed", repr({"study": str(KINDS), "seed": 9})),
        "top": outside(base / "top", repr(kinds), entry=ROOT / "Snakefile"),
        "bad key": outside(base / "bad-key", repr(kinds | {"sede": 1})),
        "bad seed": outside(base / "bad-seed", "{'seed': -7}"),
        "bad file": outside(base / "bad-file", "{'study': 'gone.yaml'}"),
        "no dict": outside(base / "no-dict", "{'seed': 1, 'ensembles': 3}"),
        "one rule": outside(base / "one-rule", repr(kinds), more=single),
    }
    targets = {name: ["fw_all"] for name in folders} | {"top": ["fw_study"]}
    commands = {
        name: [folder, "-s", folder / "Snakefile", "--dry-run", *targets[name]]
        for name, folder in folders.items()
    }
    commands["first"] = commands["dict"][:-1]
    return dict(zip(commands, together(list(commands.values())), strict=True))


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The workflow of the page on modules, with the study file that it names beside it."""
    folder = tmp_path_factory.mktemp("example")
    pages = [(ROOT / f"docs/{name}.md").read_text() for name in ("module", "ten-minutes")]
    (snakefile,) = re.findall(r"```python\n(.*?)```", pages[0], re.DOTALL)
    (study,) = re.findall(r"```yaml\n(.*?)```", pages[1], re.DOTALL)
    (folder / "Snakefile").write_text(snakefile.replace("/path/to/finitewidth", str(ROOT)))
    (folder / "mine.yaml").write_text(study)
    return folder


def jobs(outcome):
    status, said = outcome
    assert status == 0, said
    return set(re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE))


def test_a_module_runs_the_config_that_it_is_handed(planned):
    assert "fw_sample_plain" in jobs(planned["dict"])
    assert jobs(planned["by name"]) == jobs(planned["dict"]) == jobs(planned["by name, seed"])
    assert jobs(planned["one rule"]) == jobs(planned["dict"])
    assert jobs(planned["top"]) == jobs(planned["dict"]) - {"fw_all"} | {"fw_study"}
    for default in ("nothing", "no sections"):
        assert "fw_sample_chaos" in jobs(planned[default])
    assert ".svg" in planned["no sections"][1]
    assert ".svg" not in planned["nothing"][1]
    assert planned["by name"][1].count("configs/") > 0
    kept = [re.findall(r"configs/(\w+)", planned[x][1])[0] for x in ("by name", "by name, seed")]
    assert kept[0] != kept[1]


def test_the_first_rule_of_the_outer_workflow_stays_its_default(planned):
    assert jobs(planned["first"]) == {"mine"}


def test_the_workflow_of_the_page_is_one(example):
    (outcome,) = together([[example, "-s", example / "Snakefile", "--dry-run"]])
    assert jobs(outcome) == {"paper", "fw_inputs", "fw_compare"} | {
        f"fw_{stage}_mine" for stage in ("sample", "estimate", "theory")
    }


def test_rules_of_a_module_that_run_beside_the_controller_still_do(tmp_path, monkeypatch):
    """On a cluster, whose compute nodes often have no network."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sinfo"):
        (commands / name).write_text(f"#!/bin/sh\ntest {name} = sbatch || exit 0\n"
                                     f"echo $0 >>{tmp_path}/asked\nexit 1\n")  # fmt: skip
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    folder = outside(tmp_path / "run", repr(yaml.safe_load(KINDS.read_text())))
    slurm = ["--executor", "finitewidth-slurm", "--jobs", "1", "--retries", "0"]
    made = ["results/inputs/three.nc", "results/data/digits.nc"]
    done = run(folder, *slurm, *made)
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "asked").exists()
    done = run(folder, *slurm, "results/ensembles/plain/only/theory.nc")
    assert done.returncode == 1
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("bad key", "config key sede: given an unknown key"),
     ("bad seed", "config key seed: given -7, allowed is"),
     ("bad file", "gone.yaml cannot be read: there is no such file"),
     ("no dict", "config key ensembles: given 3, allowed is")],
)  # fmt: skip
def test_a_bad_config_of_a_module_is_refused_in_one_sentence(planned, name, sentence):
    status, said = planned[name]
    assert status != 0
    (line,) = [x for x in said.splitlines() if x and not x.startswith(("Using", "Assuming"))]
    assert sentence in line
