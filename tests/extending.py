"""Extensions in tests: registries are made once a process, so each is tried in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from running import ROOT

OWN = ROOT / "docs" / "examples" / "own.py"
STUDY = ROOT / "docs" / "examples" / "own.yaml"
VARIABLE = "FINITEWIDTH_EXTENSIONS"

#: Forks a child for each piece of code, once all is imported that makes no registry.
_FORKS = """
import importlib, json, os, sys, tempfile, traceback
import numpy, pydantic, yaml
for name in sys.argv[1:]:
    importlib.import_module(name)
import finitewidth.core.fields, finitewidth.data.arrays, finitewidth.data.kinds.kind
import finitewidth.models.activations.own, finitewidth.quantities.description
answers = []
for environment, code in json.load(sys.stdin):
    with tempfile.TemporaryFile() as said:
        if (child := os.fork()) == 0:
            os.dup2(said.fileno(), 1)
            os.environ.update(environment)
            sys.path[:0] = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
            try:
                exec(compile(code, "code", "exec"), {"__name__": "code"})
            except BaseException as error:
                print(f"{type(error).__name__}: {error}")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        said.seek(0)
        answers.append(said.read().decode())
json.dump(answers, sys.stdout)
"""


def environment(extensions: object = "", **more: str) -> dict[str, str]:
    """That of somebody who has named extensions, at the top of the project."""
    before = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return before | {"PWD": str(ROOT), VARIABLE: str(extensions), "OMP_NUM_THREADS": "1"} | more


#: What pieces of code import that draw networks.
TO_DRAW = ("netCDF4", "numba", "pandas", "scipy.stats", "torch", "xarray")


def said(
    cases: Sequence[tuple[object, str]], packages: Sequence[str] = (), **more: str
) -> list[str]:
    """What each piece of code prints, or throws, where these extensions are named.

    They share the import of ``packages`` of others.
    """
    asked = [({VARIABLE: str(extensions), **more}, code) for extensions, code in cases]
    path = os.pathsep.join(map(str, (ROOT / "workflow", ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, *packages], input=json.dumps(asked), text=True,
        capture_output=True, cwd=ROOT, env=environment(PYTHONPATH=path), timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def small(folder: Path) -> Path:
    """The study of the document, with one small member."""
    # Its results stand in `results/` itself.
    content = yaml.safe_load(STUDY.read_text()) | {"run": "default"}
    content["ensembles"]["bumps"] |= {"activation": "bump", "networks": 400, "width": 8, "depth": 2}
    content["formats"] = ["png"]
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return folder / "study.yaml"


def run(module: str, *arguments: object, extensions: object = "", **more: str):
    """A module of Python from the command line; stdout and stderr together."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, text=True, timeout=600,
        env=environment(extensions, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def distribution(folder: Path, files: Mapping[str, str], **points: str) -> Path:
    """An installed distribution with these files and entry points, for PYTHONPATH."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    about = folder / "mine-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[finitewidth.extensions]", *lines, ""]))
    return folder


#: An example in two modules of a package, of which one imports the other.
def as_package(text: str) -> dict[str, str]:
    """The same extension as a package: its functions in one module, its tables in another."""
    head, _, rest = text.partition("ACTIVATIONS = [")
    inner = f"{head}\n\nMORE = 1\n"
    outer = text.replace("# An activation", "from . import parts\n\n# An activation", 1)
    outer = outer.replace("        bump,\n        lambda", "        parts.bump,\n        lambda", 1)
    assert outer.count("parts") == 2, rest[:80]
    return {"ownpack/__init__.py": "", "ownpack/parts.py": inner, "ownpack/tables.py": outer}


def changed(old: str, new: str) -> str:
    """The text of the example with one passage replaced, which it must have."""
    text = OWN.read_text()
    assert old in text, old
    return text.replace(old, new, 1)
