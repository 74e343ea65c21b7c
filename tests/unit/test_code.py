"""Digests of code: what a stage runs, and nothing else."""

import ast
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from finitewidth.provenance import code, parsed
from finitewidth.quantities.vocabulary import FIGURES

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture
def unread(tmp_path, monkeypatch):
    """A copy of the library whose code has not been parsed."""
    copy = tmp_path / "finitewidth"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


@pytest.fixture
def package(parsed_once, unread):
    """A copy that comes with what parsing the library told: to parse it again takes a second."""
    shutil.copytree(parsed_once, unread / "__pycache__")
    return unread


@pytest.fixture(scope="session")
def parsed_once(tmp_path_factory):
    """The folder of what is remembered of every script's code."""
    copy = tmp_path_factory.mktemp("code") / "finitewidth"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "PACKAGE", copy)
        for script in SCRIPTS.glob("*.py"):
            digest(script.name)
    return copy / "__pycache__"


def digest(script, *modules):
    for held in vars(code).values():
        if hasattr(held, "cache_clear"):
            held.cache_clear()
    return code.used(SCRIPTS / script, *modules)["sha256"]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_comment_and_a_docstring_change_nothing(package):
    before = digest("sample.py")
    edit(package / "sampling/mlp/marginal.py", "import torch\n", "import torch  # so it is\n")
    edit(package / "models/perceptron.py", '"""Multilayer perceptrons', '"""Networks')
    assert digest("sample.py") == before


def test_an_edit_changes_the_stages_that_use_it_and_no_others(package):
    before = {script.name: digest(script.name) for script in SCRIPTS.glob("*.py")}
    edit(package / "sampling/gaussian_rows.py", "DEPENDENT = 1e-13", "DEPENDENT = 1e-12")
    after = {name: digest(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"sample.py"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("networks", "ROW = 256", "ROW = 512"),
        ("philox", "ROUNDS = 7", "ROUNDS = 10"),
        ("coefficients", "0x1.5555580000000p-1", "0x1.5555560000000p-1"),
        ("cached", 'error_model="numpy"', 'error_model="python"'),
        ("way_back", "row_scales[r] *= scale", "row_scales[r] *= scale * 2"),
        ("products", "rows - i == 3", "rows - i == 33"),
        ("chances", "BITS = 1024", "BITS = 2048"),
    ],
)
def test_an_edit_of_a_kernel_reruns_samples_alone(package, file, old, new):
    before = {script.name: digest(script.name) for script in SCRIPTS.glob("*.py")}
    edit(package / f"sampling/fused/{file}.py", old, new)
    after = {name: digest(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"sample.py"}


def test_an_edit_deep_down_reaches_all_that_stand_on_it(package):
    before = {script.name: digest(script.name) for script in SCRIPTS.glob("*.py")}
    edit(package / "provenance/artifacts.py", "CF-1.11", "CF-1.12")
    assert all(digest(name) != before[name] for name in before)


def test_what_does_not_compute_with_torch_never_imports_it():
    computes = {"sample.py", "train.py", "measure.py", "generate.py"}
    figures = [code.PACKAGE / figure.file for figure in FIGURES.values()]
    for script in SCRIPTS.glob("*.py"):
        more = figures if script.name == "figures.py" else []
        assert ("torch" in code.packages(script, *more)) == (script.name in computes), script.name


def test_packages_are_those_of_all_that_a_script_imports_wherever_it_does():
    figures = {name: code.PACKAGE / FIGURES[name].file for name in ("covariance", "histograms")}
    assert "pingouin" in code.packages(SCRIPTS / "normality.py")
    assert "scipy" in code.packages(SCRIPTS / "theory.py")
    assert "seaborn" not in code.packages(SCRIPTS / "figures.py")
    drawn = code.packages(SCRIPTS / "figures.py", figures["covariance"])
    assert {"matplotlib", "seaborn", "xarray"} <= set(drawn)
    assert "seaborn" not in code.packages(SCRIPTS / "figures.py", figures["histograms"])
    for names in (drawn, code.packages(SCRIPTS / "data.py")):
        assert names == sorted(names)
        assert not {"finitewidth", "os", "json", "__future__"} & set(names)


def test_what_is_imported_by_name_counts_as_code(package):
    modules = [package / FIGURES[name].file for name in ("histograms", "ntk_spectrum")]
    before = digest("figures.py", *modules)
    assert before != digest("figures.py") != digest("figures.py", modules[0])
    edit(modules[1], "ax.", "ax .")
    assert digest("figures.py", *modules) == before
    edit(package / "figures/common/style.py", '"font.size": 9', '"font.size": 8')
    assert digest("figures.py", *modules) != before


def test_the_light_half_of_the_library_stays_light():
    """What takes a second or more to import stands inside the functions that need it."""
    heavy = {"pingouin", "seaborn", "sklearn"}
    for path in code.PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                names = {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
            assert not {name.partition(".")[0] for name in names} & heavy, path
            assert "scipy.stats" not in names, path


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


@pytest.mark.parametrize("damage", [None, "", "[1, 2]", '{"a": 1}', "\x00", "[[1, [2, 3]]]"])
def test_what_is_remembered_of_code_is_what_the_code_says(unread, damage):
    fresh = digest("sample.py")
    (kept,) = (unread / "__pycache__").glob("parsed.*.json")
    known = json.loads(kept.read_text())
    assert {of: digest for of, (digest, _) in known} == {
        hashlib.sha256(content).hexdigest(): parsed.parse(content)[0]
        for content in (
            p.read_bytes() for p in [SCRIPTS / "sample.py", *code.modules(SCRIPTS / "sample.py")]
        )
    }
    if damage is not None:
        kept.write_text(damage)
    assert digest("sample.py") == fresh
    edit(unread / "models/perceptron.py", "import", "import sys\nimport")
    assert digest("sample.py") != fresh


def test_where_nothing_can_be_remembered_nothing_is_lost(package):
    fresh = digest("sample.py")
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("in the way")
    assert digest("sample.py") == fresh


def test_what_was_remembered_is_not_parsed_again(package, monkeypatch):
    fresh = digest("sample.py")
    monkeypatch.setattr(parsed.ast, "parse", None)
    assert digest("sample.py") == fresh
