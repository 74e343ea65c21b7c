"""Studies with extensions, run from the command line: results, stamps, copies, and what reruns."""

import json
import re
import shutil
import tarfile

import pytest

from extending import OWN, VARIABLE, as_package, distribution, run, small
from finitewidth.core.files import sha256
from finitewidth.provenance.artifacts import read_dataset, read_stamp
from running import artifacts, planned, together

FIGURE = "results/studies/own/figures/participation_by_layer.png"
THEORY = "results/ensembles/bumps/only/theory.nc"
INPUTS = "results/inputs/turned.nc"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which the study was run with the file beside it; nothing is changed there."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copyfile(OWN, folder / "own.py")
    done = run(
        "finitewidth", "run", "--configfile", small(folder), "--directory", folder, "--cores", 2,
        extensions=folder / "own.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder


def used(folder, path):
    """What the stamp of a file names of extensions."""
    modules = read_stamp(folder / path)["code"]["modules"]
    return {m.partition("/")[2]: d for m, d in modules.items() if m.startswith("extensions/")}


def test_stamps_name_what_a_file_used_of_an_extension(made):
    each = {
        INPUTS: {"KINDS.spiral"},
        "results/ensembles/bumps/only/samples/0.nc": {"ACTIVATIONS.bump"},
        "results/ensembles/bumps/only/estimates.nc": {
            "FAMILIES.participation", "FAMILIES.participation.estimator",
        },
        THEORY: {
            "ACTIVATIONS.bump", "FAMILIES.participation", "FAMILIES.participation.theory",
        },
        "results/studies/own/comparison.csv": {"FAMILIES.participation"},
        FIGURE: {"ACTIVATIONS.bump", "FAMILIES.participation", "FIGURES.participation_by_layer"},
    }  # fmt: skip
    for path, names in each.items():
        assert set(used(made, path)) == {f"own.py:{name}" for name in names}, path
        assert all(len(digest) == 16 for digest in used(made, path).values())
    # The parts of the library that the figure imports are code of it, too.
    stamp = read_stamp(made / FIGURE)
    assert "finitewidth/figures/common/panels.py" in stamp["code"]["modules"]
    assert "pydantic" not in stamp["packages"]
    assert {"matplotlib", "numpy"} <= set(stamp["packages"])


def test_a_package_named_by_its_entry_point_gives_the_same_numbers(made, tmp_path):
    site = distribution(tmp_path / "site", as_package(OWN.read_text()), theirs="ownpack.tables")
    # Jobs run a copy: the distribution need not be where they are.
    done = run(
        "snakemake", "--directory", tmp_path, "--config", f"study={small(tmp_path)}", "--cores", 2,
        "--", INPUTS, extensions="theirs", PYTHONPATH=str(site),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert read_dataset(made / INPUTS).equals(read_dataset(tmp_path / INPUTS))
    assert set(used(tmp_path, INPUTS)) == {"ownpack/tables.py:KINDS.spiral"}
    (copy,) = (tmp_path / ".snakemake/finitewidth/extensions").glob("*/ownpack/parts.py")
    assert copy.read_text() == (site / "ownpack/parts.py").read_text()


def test_the_crate_names_the_file_and_holds_a_copy(made):
    graph = json.loads((made / "results/ro-crate-metadata.json").read_text())["@graph"]
    (entity,) = (e for e in graph if e["@id"].startswith("extensions/"))
    copy = made / "results" / entity["@id"]
    assert copy.read_text() == OWN.read_text()
    assert entity["sha256"] == sha256(copy)
    (root,) = (e for e in graph if e["@id"] == "./")
    assert {"@id": entity["@id"]} in root["hasPart"]


def test_without_the_extension_trace_says_what_is_missing_and_where_a_copy_is(made):
    done = run("finitewidth", "trace", made / "results")
    assert done.returncode == 1
    assert "uses the extension own.py, which is not loaded" in done.stdout
    assert "a copy with this code: results/extensions/" in done.stdout
    done = run("finitewidth", "trace", "--rebuild", "--verify", made / THEORY)
    assert done.returncode == 1
    assert done.stdout.startswith("BROKEN: ")
    assert done.stdout.count("\n") == 1
    assert VARIABLE in done.stdout


def test_with_the_file_or_its_copy_everything_is_traced_and_made_again(made):
    (copy,) = (made / "results/extensions").glob("*/own.py")
    done = run("finitewidth", "trace", made / "results", extensions=made / "own.py")
    assert done.returncode == 0, done.stdout
    done = run(
        "finitewidth", "trace", "--rebuild", "--verify", "--cores", 1, made / THEORY,
        extensions=copy,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"{VARIABLE}={copy} snakemake" in done.stdout
    assert "made again, the same bytes" in done.stdout


def test_another_code_than_made_it_is_told_with_the_copy_that_did(made, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN.read_text().replace("1 / (3 + values)", "1 / (4 + values)"))
    done = run("finitewidth", "trace", "--verify", made / THEORY, extensions=file)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "was computed by other code" in done.stdout
    assert "of what it used, extensions/own.py:FAMILIES.participation.theory is not" in done.stdout
    assert "a copy with this code: results/extensions/" in done.stdout


def test_an_archive_carries_it_and_runs_elsewhere(made, tmp_path):
    target = tmp_path / "finitewidth-own.tar.gz"
    done = run(
        "finitewidth", "archive", "--configfile", made / "study.yaml", "--directory", made,
        "--output", target, extensions=made / "own.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (copy,) = (made / "results/extensions").glob("*/own.py")
    name = copy.relative_to(made)
    assert f'`make EXTENSIONS={name} CONFIG="config/study.yaml"`' in done.stdout
    with tarfile.open(target) as tar:
        tar.extractall(tmp_path, filter="data")
    there = tmp_path / "finitewidth-own"
    words = ["--snakefile", there / "Snakefile", "--directory", there]
    words += ["--config", f"study={there}/config/study.yaml", "--cores", 1]
    hidden = {"GIT_DIR": "/nowhere", "PYTHONPATH": str(there / "workflow")}
    # Everything is up to date but what is lost.
    (there / THEORY).unlink()
    done = run("snakemake", *words, extensions=there / name, **hidden)
    assert done.returncode == 0, done.stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.M))
    assert rules == {"theory_bumps", "compare", "figures_own", "study"}
    assert (there / THEORY).read_bytes() == (made / THEORY).read_bytes()


#: An edit of the file, and the stages that it reruns.
EDITS = {
    "nothing": ("", "", set()),
    "the activation": (
        "-0.5 * z * z", "-z * z / 2",
        {"sample", "estimate", "theory", "compare", "figures"},
    ),
    "the estimator": (
        "correct_bias=True", "correct_bias=False",
        {"estimate", "compare", "figures"},
    ),
    "the figure": ('"layer")', '"layers")', {"figures"}),
    "the inputs": (
        "np.cos(angle)", "np.cos(angle + 0)",
        {"inputs", "sample", "estimate", "theory", "compare", "figures"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def plans(made, tmp_path_factory):
    commands = []
    for old, new, _ in EDITS.values():
        file = tmp_path_factory.mktemp("edited") / "own.py"
        assert old in OWN.read_text()
        file.write_text(OWN.read_text().replace(old, new))
        words = ["--config", f"study={made}/study.yaml", "--dry-run"]
        commands.append([made, f"{VARIABLE}={file}", *words])
    # Named, and used by nothing.
    unused = tmp_path_factory.mktemp("unused") / "unused.py"
    unused.write_text("ACTIVATIONS = []\n")
    commands.append([made, f"{VARIABLE}={made}/own.py,{unused}", *commands[0][2:]])
    outcomes = together(commands)
    for status, told in outcomes:
        assert status == 0, told
    return dict(zip([*EDITS, "unused"], [planned(told) for _, told in outcomes], strict=True))


@pytest.mark.parametrize("name", [*EDITS, "unused"])
def test_an_edit_reruns_what_uses_it(plans, name):
    assert {stage for stage, _ in plans[name]} == (EDITS[name][2] if name in EDITS else set())


def test_a_run_refuses_before_its_first_job(made, tmp_path):
    bad = tmp_path / "own.py"
    bad.write_text("1 / 0\n")
    commands = [
        [tmp_path, f"{VARIABLE}={file}", "--config", f"study={made}/study.yaml", "--cores", "1"]
        for file in (bad, "")
    ]
    for (status, told), word in zip(
        together(commands), ("ZeroDivisionError", "spiral"), strict=True
    ):
        assert status == 1
        (line,) = (line for line in told.splitlines() if VARIABLE in line)
        assert word in line
        assert "allowed is" in line
        assert "Traceback" not in told
        assert "Job stats" not in told
    assert not artifacts(tmp_path)
    done = run("finitewidth", "check", made / "study.yaml", extensions=bad)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "line 1 raises ZeroDivisionError" in done.stdout
