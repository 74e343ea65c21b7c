"""Digests of code: what a stage runs, and nothing else."""

import shutil
from pathlib import Path

import pytest

from finitewidth import code

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture
def package(tmp_path, monkeypatch):
    copy = tmp_path / "finitewidth"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


def digest(script):
    for cached in (code._tree, code._source, code._imports):
        cached.cache_clear()
    return code.digest(SCRIPTS / script)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_comment_and_a_docstring_change_nothing(package):
    before = digest("sample.py")
    edit(package / "sampling" / "marginal.py", "import torch\n", "import torch  # so it is\n")
    edit(package / "law.py", '"""The law of an ensemble member', '"""What a member is')
    assert digest("sample.py") == before


def test_an_edit_changes_the_stages_that_use_it_and_no_others(package):
    before = {script.name: digest(script.name) for script in SCRIPTS.glob("*.py")}
    edit(package / "sampling" / "marginal.py", "DEPENDENT = 1e-13", "DEPENDENT = 1e-12")
    after = {name: digest(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"sample.py"}


def test_an_edit_deep_down_reaches_all_that_stand_on_it(package):
    before = {script.name: digest(script.name) for script in SCRIPTS.glob("*.py")}
    edit(package / "artifacts.py", "CF-1.11", "CF-1.12")
    assert all(digest(name) != before[name] for name in before)


def test_only_sampling_and_training_compute_with_torch():
    computes = {"sample.py", "train.py", "measure.py", "generate.py"}
    for script in SCRIPTS.glob("*.py"):
        files = [script, *code.modules(script)]
        # random.py and activations.py name torch inside functions that only sampling calls.
        uses = [f.name for f in files if "\nimport torch" in f.read_text()]
        assert bool(uses) == (script.name in computes), uses


def test_theory_sampling_and_estimates_do_not_import_each_other():
    stages = {"sampling", "theory", "estimate", "trained"}
    for script, own in (
        ("sample.py", "sampling"),
        ("theory.py", "theory"),
        ("estimate.py", "estimate"),
        ("train.py", "trained"),
        ("measure.py", "trained"),
        ("predict.py", "theory"),
    ):
        folders = {path.parent.name for path in code.modules(SCRIPTS / script)}
        assert folders & stages == {own}
