"""An archive, unpacked in another folder without git."""

import json
import os
import re
import subprocess
import sys
import tarfile

import pytest
import yaml

from finitewidth.core.errors import ConfigError
from finitewidth.provenance import archive
from finitewidth.provenance.artifacts import ArtifactError
from finitewidth.study.study_file import load
from running import TINY, TINYS


@pytest.fixture(scope="module")
def packed(tiny, tmp_path_factory):
    target = tmp_path_factory.mktemp("packed") / "finitewidth-tiny.tar.gz"
    archive.pack(load([TINY]), [TINY], target=target, folder=tiny, run="tiny")
    return target


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder / "finitewidth-tiny"


def there(folder, *arguments):
    """Run a module of Python in the unpacked folder, with nothing of this repository in sight."""
    hidden = {**os.environ, "GIT_CEILING_DIRECTORIES": "/", "GIT_DIR": "/nowhere"}
    hidden["PYTHONPATH"] = str(folder / "workflow")
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=folder, env=hidden, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip


def test_packing_twice_gives_the_same_bytes(packed, tiny, tmp_path):
    again = tmp_path / packed.name
    archive.pack(load([TINY]), [TINY], target=again, folder=tiny, run="tiny")
    assert again.read_bytes() == packed.read_bytes()
    with tarfile.open(packed) as tar:
        names = tar.getnames()
        assert all((m.uid, m.gid, m.uname, m.gname) == (0, 0, "", "") for m in tar)
    assert names == sorted(names)
    for part in ("Makefile", "envs/requirements.lock", "config/tiny.yaml", "docs/theory.md",
                 f"{TINYS}/ro-crate-metadata.json", "tests/conftest.py"):  # fmt: skip
        assert f"finitewidth-tiny/{part}" in names
    assert not any("__pycache__" in name or "/logs/" in name for name in names)


def test_everything_is_up_to_date_there_and_a_lost_file_comes_back(unpacked, tiny):
    plan = there(unpacked, "snakemake", "--configfile", "config/tiny.yaml", "--dry-run")
    assert "Nothing to be done" in plan.stdout, plan.stdout
    lost = f"{TINYS}/ensembles/norms/only/estimates.nc"
    (unpacked / lost).unlink()
    done = there(unpacked, "snakemake", "--configfile", "config/tiny.yaml", "--cores", "1")
    assert done.returncode == 0, done.stdout
    for name in (
        lost,
        f"{TINYS}/ro-crate-metadata.json",
        f"{TINYS}/studies/everything/comparison.md",
    ):
        assert (unpacked / name).read_bytes() == (tiny / name).read_bytes(), name


def test_what_depends_on_a_changed_key_is_known_there(unpacked):
    path = unpacked / "config/tiny.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["ensembles"]["norms"]["networks"] = 2100
    try:
        path.write_text(yaml.safe_dump(content))
        plan = there(unpacked, "snakemake", "--configfile", path, "--dry-run")
    finally:
        path.write_text(before)
    rules = set(re.findall(r"^rule (\w+):", plan.stdout, re.M))
    assert "sample_norms" in rules
    assert not any("linear" in rule for rule in rules)


def test_stamps_can_be_read_there(unpacked):
    done = there(unpacked, "finitewidth", "stamp", f"{TINYS}/studies/covariance/comparison.html")
    assert json.loads(done.stdout)["rule"] == "compare"


def test_the_commit_is_told_without_git_and_an_edit_with_it(unpacked):
    ask = "import json; from finitewidth.provenance.code import commit; print(json.dumps(commit()))"

    def told():
        script = unpacked / "ask.py"
        script.write_text(ask)
        return json.loads(there(unpacked, "ask").stdout)

    recorded = json.loads((unpacked / "COMMIT.json").read_text())
    assert told() == {key: recorded[key] for key in ("commit", "dirty")}
    assert re.fullmatch("[0-9a-f]{40}|unknown", recorded["commit"])
    edited = unpacked / "workflow/finitewidth/core/bins.py"
    before = edited.read_text()
    try:
        edited.write_text(before + "# edited\n")
        assert told() == {"commit": recorded["commit"], "dirty": "yes"}
    finally:
        edited.write_text(before)


def test_files_of_a_users_own_are_packed_or_named(tiny, tmp_path):
    (tiny / "own").mkdir(exist_ok=True)
    (tiny / "own/x.npy").write_bytes(b"numbers")
    content = yaml.safe_load(TINY.read_text())
    content["inputs"]["own"] = {"kind": "array", "file": "own/x.npy"}
    content["inputs"]["far"] = {"kind": "array", "file": str(tmp_path / "far.npy")}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    target = tmp_path / "finitewidth-mine.tar.gz"
    sentences = archive.pack(load([path]), [path], target=target, folder=tiny, run="tiny")
    with tarfile.open(target) as tar:
        names = tar.getnames()
    assert "finitewidth-mine/own/x.npy" in names
    assert "finitewidth-mine/config/mine.yaml" in names
    assert 'make CONFIG="config/mine.yaml"' in sentences[0]
    (sentence,) = (s for s in sentences if "inputs.far.file" in s)
    assert str(tmp_path / "far.npy") in sentence


def test_a_run_called_like_a_file_of_the_project_is_packed_beside_it(tiny, tmp_path):
    kept = next((tiny / TINYS / "configs").glob("*.yaml"))
    copy = tmp_path / "tiny.yaml"
    copy.write_bytes(TINY.read_bytes())
    for file, name in ((kept, f"tiny-{kept.stem}"), (copy, "tiny")):
        target = tmp_path / "a.tar.gz"
        archive.pack(load([file]), [file], target=target, folder=tiny, run="tiny")
        with tarfile.open(target) as tar:
            assert tar.extractfile(f"a/config/{name}.yaml").read() == file.read_bytes()
            assert tar.extractfile("a/config/tiny.yaml").read() == TINY.read_bytes()
    copy.write_text(TINY.read_text(encoding="utf-8") + "\n# another\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tiny\.yaml: given a name that another file has"):
        archive.pack(load([copy]), [copy], target=tmp_path / "a.tar.gz", folder=tiny, run="tiny")


def test_what_the_crate_does_not_know_is_not_packed(tiny, tmp_path):
    target = tmp_path / "finitewidth-tiny.tar.gz"
    with pytest.raises(ArtifactError, match="run make first"):
        archive.pack(load([TINY]), [TINY], target=target, folder=tmp_path, run="tiny")
    results = tmp_path / TINYS
    results.mkdir(parents=True)
    entity = {"@id": "a.csv", "@type": "File", "sha256": "0" * 64}
    (results / "ro-crate-metadata.json").write_text(json.dumps({"@graph": [entity]}))
    (results / "a.csv").write_text("edited")
    with pytest.raises(ArtifactError, match=r"tiny/a\.csv is not the file that the crate names"):
        archive.pack(load([TINY]), [TINY], target=target, folder=tmp_path, run="tiny")
    assert not target.exists()
