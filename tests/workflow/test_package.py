"""The package: built as it would be handed out, and used where no checkout is."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import finitewidth
from finitewidth.core.extras import EXTRAS
from finitewidth.provenance.code import PACKAGE, PACKAGES, tree
from running import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Packages as they are imported, where pip knows them by another name.
CALLED = {"netcdf4": "netCDF4", "pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}
#: What is loaded only where it is there: GPU kernels, with torch.
OPTIONAL = {"triton"}


def named(requirements: list[str]) -> set[str]:
    """Packages that requirements ask for, as they are imported."""
    names = (re.match(r"[\w-]+", r)[0].lower() for r in requirements)
    return {CALLED.get(name, name.replace("-", "_")) for name in names}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sdist and, made of it, wheel; of a copy, which building writes into."""
    folder = tmp_path_factory.mktemp("package")
    leave = shutil.ignore_patterns(
        ".*", "build", "dist", "results", "tests", "*.egg-info", "__pycache__"
    )
    source = shutil.copytree(ROOT, folder / "source", ignore=leave, symlinks=True)
    (source / "results").mkdir()
    shutil.copy(ROOT / "results/README.md", source / "results")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source],
        cwd=folder, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (wheel,) = folder.glob("dist/*.whl")
    (sdist,) = folder.glob("dist/*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A folder with the wheel, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """A folder of packages as that of this environment, without any that an extra brings."""
    folder = tmp_path_factory.mktemp("core")
    for path in Path(pytest.__file__).parents[1].iterdir():
        first = re.split(r"[.-]", path.name)[0]
        if first not in EXTRAS and not path.name.startswith(("finitewidth", "__editable__")):
            (folder / path.name).symlink_to(path)
    return folder


def run(installed: Path, packages: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    """Python in a folder without a checkout, with the wheel and the packages of a folder alone."""
    kept = ("HOME", "PATH", "LANG", "TMPDIR", "NUMBA_CACHE_DIR")
    environment = {k: os.environ[k] for k in kept if k in os.environ}
    environment |= {"PYTHONPATH": f"{installed}{os.pathsep}{packages}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-S", *words],
        cwd=cwd, env=environment, text=True, capture_output=True, timeout=600,
    )  # fmt: skip


def whole() -> Path:
    return Path(pytest.__file__).parents[1]


def test_the_wheel_holds_the_library_and_the_workflow_and_nothing_else(built, installed):
    names = {str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file()}
    for name in PACKAGES:
        for path in (PACKAGE.parent / name).rglob("*.py"):
            assert str(path.relative_to(PACKAGE.parent)) in names
    assert "finitewidth/py.typed" in names
    for path in (ROOT / "workflow/scripts").glob("*.py"):
        assert f"finitewidth/_checkout/workflow/scripts/{path.name}" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, f"finitewidth-{finitewidth.__version__}.dist-info"}
    with tarfile.open(built[1]) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"Makefile", "setup.py", "workflow/Snakefile", "docs/theory.md", "COMMIT.json"} <= inside
    assert not [name for name in inside if "__pycache__" in name]


def test_the_wheel_says_which_code_it_is(installed):
    kept = json.loads((installed / "finitewidth/_checkout/COMMIT.json").read_text())
    assert kept["sha256"] == tree()


def imported(path: Path) -> set[str]:
    """Packages that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    found = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    found |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    return {name.partition(".")[0] for name in found}


def test_every_package_that_is_imported_is_asked_for():
    extras = PROJECT["optional-dependencies"]
    core = named(PROJECT["dependencies"])
    by_extra = {name: named(asked) for name, asked in extras.items() if name != "all"}
    used: set[str] = set()
    for name in PACKAGES:
        used |= set().union(*(imported(path) for path in (PACKAGE.parent / name).rglob("*.py")))
    used -= {*sys.stdlib_module_names, *PACKAGES, *OPTIONAL}
    plugins = {name for name in used if name.startswith("snakemake")}
    assert used - plugins - {"packaging"} <= core.union(*by_extra.values())
    # What the sentence about a missing one says.
    for package, extra in EXTRAS.items():
        assert package in by_extra[extra]
        assert package not in core
    assert core <= used


MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for room in ("config", "comparison", "estimate", "members", "models", "planning", "provenance",
                 "quantities", "study", "theory")
    for path in (PACKAGE / room).rglob("*.py")
    if path.name != "__init__.py"
)  # fmt: skip


def test_the_core_is_there_without_any_extra(installed, core, tmp_path):
    code = f"import importlib\nfor name in {MODULES}: importlib.import_module(name)\n"
    code += "import finitewidth; print(finitewidth.__file__)"
    done = run(installed, core, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(str(installed))


@pytest.mark.parametrize("command", ["--version", "check", "estimate", "describe"])
def test_commands_of_the_core_answer_without_any_extra(command, installed, core, tmp_path):
    shutil.copy(ROOT / "config/tiny.yaml", tmp_path / "mine.yaml")
    words = [command, *["mine.yaml"] * (command != "--version")]
    done = run(installed, core, "-m", "finitewidth", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("torch", "import finitewidth.ntk.network"),
        ("torch", "import finitewidth.trained.train_member"),
        ("matplotlib", "import finitewidth.figures.preactivations.chaos"),
        ("snakemake", "import sys, finitewidth.__main__ as m; sys.exit(m.main(['run', '-n']))"),
        ("sklearn", "from finitewidth.data.kinds.digits import vectors; vectors('', {}, None)"),
    ],
)
def test_a_missing_extra_is_one_sentence_that_says_what_to_install(
    package, code, installed, core, tmp_path
):
    done = run(installed, core, "-c", code, cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(
        f"this part of finitewidth takes {package}, which is not installed:"
        f" pip install 'finitewidth[{EXTRAS[package]}]'"
    )


def test_others_find_a_missing_package_missing_as_before(installed, core, tmp_path):
    code = (
        "import finitewidth, importlib.util\n"
        "assert importlib.util.find_spec('torch') is None\n"
        "try: import torch\n"
        "except ImportError as error: print(error)\n"
    )
    done = run(installed, core, "-c", code, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("No module named 'torch'\n", "")


_NAMES = re.compile(r"^(?:from|    from) (finitewidth[\w.]*) import (\([^)]*\)|[^(\n]*)", re.M)


def test_every_name_that_scripts_and_rules_import_is_there():
    files = [*ROOT.glob("workflow/scripts/*.py"), *ROOT.glob("workflow/rules/*.smk")]
    found = [
        (path.name, module, name.split(" as ")[0])
        for path in files
        for module, names in _NAMES.findall(path.read_text(encoding="utf-8"))
        for name in re.findall(r"\w+(?: as \w+)?", names)
    ]
    assert len(found) > 60
    for file, module, name in found:
        there = importlib.import_module(module)
        if not hasattr(there, name):
            assert importlib.util.find_spec(f"{module}.{name}"), f"{file}: {module}.{name}"


def test_a_study_is_planned_and_results_are_traced_outside_of_a_checkout(
    installed, kinds, tmp_path
):
    shutil.copy(ROOT / "config/tiny.yaml", tmp_path / "mine.yaml")
    words = ["-m", "finitewidth", "run", "mine.yaml", "--cores", "1", "--dry-run", "--quiet", "all"]
    done = run(installed, whole(), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(kinds / "results", tmp_path / "results")
    done = run(installed, whole(), "-m", "finitewidth", "trace", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    # Code that is other than what made the results is told, of the library and of the scripts.
    for name in ("finitewidth/estimate/estimate_member.py", "_checkout/workflow/scripts/sample.py"):
        other = shutil.copytree(installed, tmp_path / "other", dirs_exist_ok=True)
        file = other / name if name.startswith("finitewidth") else other / "finitewidth" / name
        file.write_text(file.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
        done = run(other, whole(), "-m", "finitewidth", "trace", "results", cwd=tmp_path)
        assert done.returncode == 1
        assert Path(name).name in done.stdout
        shutil.rmtree(other)


def test_the_release_is_of_this_package():
    path = ROOT / ".github/workflows/release.yml"
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows",
         path],
        text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    release = yaml.safe_load(path.read_text(encoding="utf-8"))
    tried = release["jobs"]["try"]["strategy"]["matrix"]["python"]
    told = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"3\.\d+$", c)]
    assert tried == told
    assert set(release["jobs"]["publish"]["permissions"]) == {"id-token"}
    # A file of the catalogue of packages, in its first version of the format.
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["schema_version"] == 1
    assert recipe["context"]["version"] == finitewidth.__version__
    (entry,) = recipe["build"]["python"]["entry_points"]
    name, _, place = entry.partition(" = ")
    assert PROJECT["scripts"] == {name: place}
    run = {re.split(r"[ =<>]", r)[0]: r for r in recipe["requirements"]["run"]}
    assert run.pop("python") == f"python {PROJECT['requires-python']}"
    assert named(list(run.values())) == named(PROJECT["dependencies"])
    beside = [r.replace(" ", "") for r in recipe["requirements"]["run_constraints"]]
    assert set(beside) <= set(PROJECT["optional-dependencies"]["workflow"])
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert recipe["about"]["homepage"] == PROJECT["urls"]["Homepage"]
