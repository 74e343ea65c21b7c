"""Where an artifact came from: told whole, and every kind of broken link found and named."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import yaml

from finitewidth.__main__ import main
from finitewidth.provenance import code
from finitewidth.provenance.artifacts import beside, read_dataset, read_stamp, write_dataset
from finitewidth.provenance.digests import seal
from running import TINY, TINYS, snakemake

FIGURE = f"{TINYS}/studies/covariance/figures/histograms.png"
TABLE = f"{TINYS}/studies/covariance/comparison.csv"
SHARD = f"{TINYS}/ensembles/linear/C_W-2/samples/1.nc"
ESTIMATES = f"{TINYS}/ensembles/linear/C_W-2/estimates.nc"
#: Of an ensemble that is cheap to make again, and what its estimates were made on.
ONE = f"{TINYS}/ensembles/phases/activation-tanh_C_W-1"
SHARD_OF_ONE, ESTIMATES_OF_ONE = f"{ONE}/samples/0.nc", f"{ONE}/estimates.nc"
NOTE = f"{TINYS}/logs/estimate/phases.processor.json"


@pytest.fixture
def copy(tiny, tmp_path, monkeypatch):
    """The tiny study's results in a folder of their own, which is the current one."""
    shutil.copytree(tiny / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def traced(capsys):
    """Run ``trace``: its exit status, and what it printed."""

    def run(*arguments):
        status = main(["trace", *map(str, arguments)])
        done = capsys.readouterr()
        return status, done.out + done.err

    return run


def test_a_figure_is_traced_to_its_config(tiny, traced):
    status, out = traced("--json", tiny / FIGURE)
    told = json.loads(out)
    assert status == 0
    assert told["whole"] is True
    config = tiny / told["config"]
    assert config.parent == tiny / f"{TINYS}/configs"
    given = yaml.safe_load(TINY.read_text())
    assert yaml.safe_load(config.read_text()) == {**given, "run": "tiny"}
    artifacts = told["artifacts"]
    shards = {f"{TINYS}/ensembles/linear/C_W-{c}/samples/{i}.nc" for c in (1, 2) for i in range(3)}
    rules = {path: a["rule"] for path, a in artifacts.items() if a["kind"] == "artifact"}
    assert {path for path, rule in rules.items() if rule == "sample"} == shards
    assert rules[FIGURE] == "figure"
    assert rules[f"{TINYS}/inputs/pair.nc"] == "inputs"
    for path, artifact in artifacts.items():
        if artifact["kind"] == "samples":
            continue
        assert artifact["sha256"] == hashlib.sha256((tiny / path).read_bytes()).hexdigest()
        assert {"wildcards", "config", "code", "packages", "seed"} <= set(artifact)
        for source, digest in artifact["inputs"].items():
            assert artifacts[source]["sha256"] == digest
    sample = artifacts[SHARD]
    assert sample["seed"] == 7
    assert sample["config"]["member"]["C_W"] == 2
    assert "finitewidth/sampling/mlp/marginal.py" in sample["code"]["modules"]
    assert sample["packages"]["torch"].startswith("2.")


def test_the_tree_shows_every_artifact_once_and_the_config_at_its_end(tiny, traced):
    status, out = traced(tiny / FIGURE)
    assert status == 0
    lines = [line.strip("│├└─ ") for line in out.splitlines()]
    for name in (FIGURE, ESTIMATES, f"{TINYS}/inputs/pair.nc"):
        assert lines.count(name) == 1
    assert lines[-2].startswith(f"config {TINYS}/configs/")
    assert lines[-1].startswith("whole: 12 files")


def altered(path):
    """By a program that knows the format, so that no checksum fails."""
    with netCDF4.Dataset(path, "a") as file:
        file["covariance"][:] = file["covariance"][:] * (1 + 1e-9)


def edited(path):
    """One digit of one number."""
    text = Path(path).read_text()
    place = text.rindex(".") + 1
    Path(path).write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])


def flipped(path):
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 4
    Path(path).write_bytes(content)


def truncated(path):
    Path(path).write_bytes(Path(path).read_bytes()[:-1000])


def restamped(path):
    """A config that was never run, by somebody who knows how files are sealed."""
    written = Path(path).read_bytes()
    without = written[: written.rindex(b'\n{"content_sha256"')]
    Path(path).write_bytes(without.replace(b'"seed":7', b'"seed":8'))
    seal(path)


def swapped(path):
    """For the same shard of the other member."""
    shutil.copy(str(path).replace("C_W-2", "C_W-1"), path)


def gone(path):
    Path(path).unlink()


@pytest.mark.parametrize(
    ("file", "harm", "said"),
    [
        (TABLE, edited, "was altered"),
        (f"{TABLE}-metadata.json", edited, "was altered"),
        (f"{TABLE}-metadata.json", gone, "holds no stamp"),
        (TABLE.replace("csv", "tex"), edited, "was altered"),
        (FIGURE, flipped, "was altered"),
        (FIGURE.replace("png", "pdf"), flipped, "was altered"),
        (ESTIMATES, altered, "was altered"),
        (ESTIMATES, restamped, "another part of the config"),
        (SHARD, flipped, "was altered"),
        (SHARD, truncated, "was altered"),
        (SHARD, swapped, "its stamp is that of sample ensemble=linear member=C_W-1"),
        (SHARD, gone, f"is not what {ESTIMATES} was made from"),
        (ESTIMATES, gone, "is missing"),
        (f"{TINYS}/inputs/pair.nc", gone, "is missing"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_link_is_named(copy, traced, file, harm, said):
    harm(file)
    there = file.startswith(f"{TINYS}/studies") and harm is not gone
    status, out = traced(file if there else TABLE)
    assert status == 1
    # A file that says nothing of itself is refused before its ancestry.
    lines = out.splitlines()
    broken = [line for line in lines if line.startswith("BROKEN: ")] or lines
    named = file if harm is not gone or file != SHARD else str(Path(SHARD).parent)
    assert any(named in line and said in line for line in broken), broken
    # And no other file is blamed but those that hold its digest.
    status, out = traced("results")
    assert status == 1
    assert any(named in line for line in out.splitlines())
    assert not any("relu" in line for line in out.splitlines())


def test_a_stamp_commands_no_terminal(copy, traced):
    stamped = beside(TABLE)
    text, hostile = stamped.read_text(), json.dumps('"rule":"\\u001b[2J\\nwhole: 9"')[1:-1]
    assert json.dumps('"rule":"compare"')[1:-1] in text
    stamped.write_text(text.replace(json.dumps('"rule":"compare"')[1:-1], hostile, 1))
    for arguments in ([TABLE], [stamped], ["results"], ["--diff", TABLE, ESTIMATES]):
        status, out = traced(*arguments)
        assert status == 1
        assert "\x1b" not in out
        assert not any(line.startswith("whole") for line in out.splitlines())


#: Of files and modules, as a stamp may name them.
NAMES = ("/dev/zero", "/dev", "../../../etc/passwd", "a" * 6000, "a\0b", "", ".", "results")
CODE = {"commit": "a", "dirty": "no", "sha256": "a", "version": "a"}
PARTS = [
    *((key, value) for key in ("rule", "wildcards", "config", "config_sha256", "inputs", "code",
                               "device", "packages")
      for value in (None, 1, ["a"], {"a": 1}, [], "a", {})),
    *(("inputs", {name: "a"}) for name in NAMES),
    *(("code", {**CODE, "modules": {name: "a"}}) for name in NAMES),
]  # fmt: skip


def test_a_stamp_of_any_shape_is_told_or_refused(copy, traced):
    page, stamped = TABLE.replace("csv", "md"), beside(TABLE)
    text = Path(page).read_text().rpartition("<!-- provenance: ")[0]
    about = json.loads(stamped.read_text())
    whole = json.loads(about["dc:provenance"])
    for key, value in PARTS:
        changed = json.dumps(whole | {key: value})
        stamped.write_text(json.dumps(about | {"dc:provenance": changed}))
        Path(page).write_text(f"{text}<!-- provenance: {changed} -->\n")
        for file in (TABLE, page):
            for arguments in ([file], ["--json", file], ["--diff", file, ESTIMATES]):
                status, out = traced(*arguments)
                assert status == 1, (key, value)
                assert out
            assert main(["trace", "--rebuild", file]) in (0, 1)
    for other in ({}, {"dc:provenance": 1}, {"dc:provenance": "{"}, about | {"schema:sha256": 1}):
        stamped.write_text(json.dumps(other))
        assert traced(TABLE)[0] == 1


def test_who_reads_the_first_lines_only_sees_no_traceback(tiny):
    words = [sys.executable, "-m", "finitewidth", "trace", "--json", str(tiny / FIGURE)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_other_code_than_the_stamp_says_is_named_to_the_module(copy, traced, monkeypatch, tmp_path):
    package = tmp_path / "workflow" / "finitewidth"
    shutil.copytree(code.PACKAGE.parent, package.parent)
    monkeypatch.setattr(code, "PACKAGE", package)
    assert traced(TABLE)[0] == 0
    module = package / "theory/mlp/kernel.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    code._read.cache_clear()
    assert traced(TABLE)[0] == 0
    module.write_text(module.read_text() + "\nSPARE = 1\n")
    code._read.cache_clear()
    status, out = traced(TABLE)
    assert status == 1
    (line,) = (line for line in out.splitlines() if line.startswith("BROKEN"))
    assert "theory.nc was computed by other code" in line
    assert "finitewidth/theory/mlp/kernel.py is not the same" in line
    (package / "theory/mlp/kernel.py").unlink()
    code._read.cache_clear()
    assert traced(TABLE)[0] == 1


def test_a_run_of_another_config_is_told_from_this_one(copy, traced, tmp_path):
    content = yaml.safe_load(TINY.read_text())
    content["seed"] = 8
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(content))
    status, out = traced("--configfile", other, TABLE)
    assert status == 1
    assert f"was made from another config than {other}: seed: 7 | 8" in out
    content["studies"]["covariance"]["title"] = "Another"
    other.write_text(yaml.safe_dump(content))
    assert "is given by no config at hand" in traced("--configfile", other, TABLE)[1]
    shutil.rmtree(f"{TINYS}/configs")
    assert traced(TABLE)[0] == 1
    assert traced("--configfile", TINY, TABLE)[0] == 0


def test_what_differs_between_two_runs_is_said(tiny, tmp_path, traced):
    content = yaml.safe_load(TINY.read_text())
    content["ensembles"]["linear"]["networks"] = 8000
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(content))
    theirs = TABLE.replace("tiny", "other")
    done = snakemake(tmp_path, theirs, "--configfile", path, "--cores", "2")
    assert done.returncode == 0, done.stdout
    status, out = traced("--diff", tiny / TABLE, tmp_path / theirs)
    assert status == 1
    lines = [line.strip() for line in out.splitlines()]
    assert "config.study.members.0.networks: 9000 | 8000" in lines
    assert "config.member.networks: 9000 | 8000" in lines
    assert ESTIMATES not in lines[:1]
    assert not any("seed" in line or "packages" in line for line in lines)
    assert traced("--diff", tiny / TABLE, tiny / TABLE) == (0, "nothing differs\n")


def test_a_figure_is_made_again_to_the_byte(copy, traced):
    status, out = traced("--rebuild", FIGURE)
    assert status == 0
    assert out.startswith("snakemake ")
    assert out.endswith(f"-- {FIGURE}\n")
    # One that was copied away, by what it says of itself; and one that is not what its stamp says.
    Path("away").mkdir()
    shutil.copy(FIGURE, "away/a.png")
    status, told = traced("--rebuild", "--verify", "--cores", "2", "away/a.png")
    assert (status, told) == (0, out + "away/a.png: made again, the same bytes\n")
    # A table alone does not say it.
    shutil.copy(TABLE, "away/a.csv")
    status, told = traced("away/a.csv")
    assert (status, "a.csv-metadata.json" in told) == (1, True)
    shutil.copy(beside(TABLE), "away/a.csv-metadata.json")
    assert traced("away/a.csv")[0] == 0
    shutil.copy(f"{TINYS}/studies/covariance/figures/covariance.png", "other.png")
    edited(TABLE)
    status, out = traced("--verify", "--cores", "2", TABLE)
    assert status == 1
    # It was altered, and that is no rounding, however little it is.
    same = "made on such a processor\n"
    assert out == f"{TABLE}\n    other content, though made in the same way\n{same}"


def test_numbers_of_another_processor_are_told_from_broken_ones(copy, traced):
    """By a file that says that it was made elsewhere, and differs as if it had been."""
    samples = read_dataset(SHARD_OF_ONE)
    stamp, note = read_stamp(ESTIMATES_OF_ONE), Path(NOTE)
    estimates = read_dataset(ESTIMATES_OF_ONE)
    assert samples.attrs["precision"] == "float32"
    about = json.loads(note.read_text())
    note.write_text(json.dumps(about | {"processor": "another one", "openblas": "SkylakeX"}))
    for roundings, few in ((3, True), (3e4, False)):
        other = estimates.copy(deep=True)
        largest = float(np.abs(other["covariance"]).max())
        other["covariance"][0, 0, 0] += roundings * 2.0**-24 * largest
        write_dataset(other, ESTIMATES_OF_ONE, stamp, title=other.attrs["title"])
        status, out = traced("--verify", "--cores", "2", ESTIMATES_OF_ONE)
        lines = [line.strip() for line in out.splitlines()]
        (numbers,) = (line for line in lines if "roundings of single precision" in line)
        assert numbers.startswith(f"{ESTIMATES_OF_ONE}: at most {roundings:.3g} ")
        assert "standard errors" in numbers
        assert "made on another processor" in lines
        assert any(line.startswith("processor: another one | ") for line in lines)
        assert any(line.startswith("openblas: SkylakeX | ") for line in lines)
        assert status == (0 if few else 1)
        assert ("made again, the same but for rounding" in lines[-1]) == few


def test_a_rebuild_names_the_commits_that_the_stamps_did(tmp_path, monkeypatch):
    before = {"commit": 40 * "a", "dirty": "no"}
    commits = tmp_path / "commits.json"
    commits.write_text(json.dumps({json.dumps(["sample", {"shard": "0"}]): before}))
    monkeypatch.setenv(code.REBUILD, str(commits))
    assert code.commit_of("sample", {"shard": "0"}) == before
    assert code.commit_of("sample", {"shard": "1"}) == code.commit()
    monkeypatch.delenv(code.REBUILD)
    assert code.commit_of("sample", {"shard": "0"}) == code.commit()


def test_what_cannot_be_traced_or_made_again_says_why(copy, traced):
    Path("notes.csv").write_text("a,b\n")
    for arguments, said in (
        (["notes.csv"], "notes.csv holds no stamp"),
        (["nothing.csv"], "nothing.csv is missing"),
        ([], "given no file"),
        ([f"{TINYS}/logs"], "holds no artifacts"),
        (["--verify", f"{TINYS}/studies"], "given the folder results/runs/tiny/studies"),
        (["--rebuild", f"{TINYS}/studies"], "given the folder results/runs/tiny/studies"),
        (["--verify", f"{TINYS}/studies/tangents/figures/ntk_times.png"], "which differ from run"),
    ):
        status, out = traced(*arguments)
        assert status == 1
        assert said in out
        assert out.count("\n") == 1
    assert read_stamp(FIGURE)["rule"] == "figure"
