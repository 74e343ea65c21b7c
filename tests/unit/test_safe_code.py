"""What the workflow's code never does with what it reads: run it, or hand it to a shell."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]

#: Modules that run what they read.
MODULES = {
    "pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "jsonpickle", "yte",
    "code", "codeop", "pty",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
#: Calls that do so, or that hand words to a shell, whatever their arguments.
CALLS = re.compile(
    r"os\.(system|popen|exec\w+|spawn\w+|posix_spawnp?)|subprocess\.get(status)?output"
    r"|asyncio\.create_subprocess_shell|shutil\.unpack_archive|runpy\.run_\w+"
    r"|yaml\.(full|unsafe)_load(_all)?|pandas\.(read_pickle|eval)|torch\.(jit|hub)\.load\w*"
    r"|xarray\.(open_(mfdataset|dataarray|zarr|datatree)|load_\w+)|numpy\.fromregex"
)
SUBPROCESS = re.compile(r"subprocess\.(run|Popen|call|check_call|check_output)")
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader", "yaml.BaseLoader"}

#: What stands in the code none the less, and why.
KNOWN = {
    ("workflow/finitewidth/runtime/run.py", "os.execv"):
        "becomes Snakemake, with words that were typed",
    ("workflow/rules/provenance.smk", "shell"): "copies a file, every path of it in quotes",
    ("workflow/finitewidth/__init__.py", "importlib.import_module"):
        "a module of a table of ours, when one of the library's bare names is asked for",
    ("workflow/finitewidth/extensions/loaded.py", "importlib.import_module"):
        "runs what the person at the keyboard names, and no study file can",
    ("workflow/finitewidth/extensions/loaded.py", "loader.exec_module"):
        "the same, of a file alone",
    ("workflow/finitewidth/models/activations/table.py", "importlib.import_module"):
        "names of files in the library's own folder",
    ("workflow/finitewidth/data/inputs.py", "importlib.import_module"):
        "names of files in the library's own folder",
    ("workflow/finitewidth/provenance/figure_files.py", "importlib.import_module"):
        "one of matplotlib's own backends, by a table of ours",
    ("workflow/finitewidth/quantities/description.py", "importlib.import_module"):
        "places come from the descriptions of families and figures, not from a config",
}  # fmt: skip


class Finder(ast.NodeVisitor):
    """Collects what a file does that it should not."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[str] = []
        self.names: dict[str, str] = {}
        self.loaders = set(SAFE_LOADERS)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._imported(name.name for name in node.names)
                whole = {n.asname or n.name.split(".")[0]: n for n in node.names}
                self.names |= {k: n.name if n.asname else k for k, n in whole.items()}
            elif isinstance(node, ast.ImportFrom):
                self._imported(f"{node.module}.{name.name}" for name in node.names)
                self.names |= {n.asname or n.name: f"{node.module}.{n.name}" for n in node.names}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ClassDef)
                and {self.dotted(b) for b in node.bases} & SAFE_LOADERS
            ):
                self.loaders.add(node.name)
        self.visit(tree)

    def _imported(self, names) -> None:
        self.found += [name for name in names if name.split(".")[0] in MODULES]

    def dotted(self, node: ast.AST) -> str:
        """The full name of what an expression names, ``?`` for what is none."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        return f"{self.dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        given = {word.arg: word.value for word in node.keywords}

        def says(key, value):
            return isinstance(given.get(key), ast.Constant) and given[key].value == value

        last = name.split(".")[-1]
        wrong = (
            name.removeprefix("builtins.") in BUILTINS
            or CALLS.fullmatch(name)
            or (SUBPROCESS.fullmatch(name) and "shell" in given and not says("shell", False))
            or (name == "torch.load" and not says("weights_only", True))
            or (name in ("yaml.load", "yaml.load_all") and not self._safe(node, given))
            or ("allow_pickle" in given and not says("allow_pickle", False))
            or (name == "xarray.open_dataset" and not says("engine", "netcdf4"))
            or (last == "extractall" and not says("filter", "data"))
            or (last == "extract" and "tarfile" in self.names and not says("filter", "data"))
            or (name == "importlib.import_module" and not isinstance(node.args[0], ast.Constant))
            or last in ("exec_module", "load_module", "read_pickle", "to_pickle", "from_pickle")
            # **words may hold anything.
            or (None in given and SUBPROCESS.fullmatch(name))
        )
        if wrong:
            self.found.append(name)
        self.generic_visit(node)

    def _safe(self, node: ast.Call, given: dict) -> bool:
        loader = node.args[1] if len(node.args) > 1 else given.get("Loader")
        return loader is not None and self.dotted(loader) in self.loaders


#: In rule files, whose language is more than Python: directives and calls, line by line.
_IN_RULES = re.compile(
    r"^\s*(shell|run|notebook|wrapper|cwl|template_engine|configfile|pepfile)\s*:"
    r"|(?<![\w.])(shell|eval|exec|compile|__import__|load_configfile)\("
    r"|\b(os\.(?:system|popen)|subprocess|pickle|marshal|shelve|dill|joblib|yte)\b"
)


def in_python(text: str) -> list[str]:
    return Finder(ast.parse(text)).found


def in_rules(text: str) -> list[str]:
    lines = (line.split("#")[0] for line in text.splitlines())
    return [next(filter(None, m.groups())) for m in map(_IN_RULES.search, lines) if m]


def code() -> dict[str, list[str]]:
    """What is found in each file of the workflow's code."""
    python = sorted((ROOT / "workflow").rglob("*.py"))
    rules = [ROOT / "Snakefile", ROOT / "workflow/Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    assert len(python) > 150
    assert len(rules) > 8
    found = {path: in_python(path.read_text(encoding="utf-8")) for path in python}
    found |= {path: in_rules(path.read_text(encoding="utf-8")) for path in rules}
    return {str(path.relative_to(ROOT)): names for path, names in found.items()}


def test_nothing_that_is_read_is_run():
    found = {(path, name) for path, names in code().items() for name in names}
    assert found - set(KNOWN) == set()
    assert set(KNOWN) - found == set(), "an exception that is none any more"


@pytest.mark.parametrize(
    "snippet",
    [
        "import pickle",
        "import a, marshal as m",
        "from shelve import open",
        "def f():\n    import joblib.numpy_pickle",
        "from dill import loads",
        "import yte",
        "import torch\ntorch.load(f)",
        "import torch as t\nt.load(f, weights_only=False)",
        "from torch import load\nload(f, weights_only=flag)",
        "import yaml\nyaml.load(f)",
        "import yaml\nyaml.load(f, yaml.FullLoader)",
        "import yaml\nyaml.load(f, Loader=yaml.UnsafeLoader)",
        "import yaml\nclass L(yaml.Loader): pass\nyaml.load(f, Loader=L)",
        "import yaml\nyaml.load_all(f, yaml.Loader)",
        "import yaml\nyaml.unsafe_load(f)",
        "eval('1')",
        "exec(text)",
        "compile(text, '', 'exec')",
        "__import__('os')",
        "import builtins\nbuiltins.eval(text)",
        "import os\nos.system('ls')",
        "from os import popen as p\np('ls')",
        "import os\nos.execvp('ls', [])",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "from subprocess import Popen\nPopen('ls', shell=x)",
        "import subprocess\nsubprocess.run('ls', **how)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "import tarfile\ntarfile.open(f).extractall(p)",
        "import tarfile\nt.extractall(p, filter='fully_trusted')",
        "import tarfile\nt.extract(m)",
        "import shutil\nshutil.unpack_archive(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "from numpy.lib.format import read_array\nread_array(f, allow_pickle=flag)",
        "import xarray as xr\nxr.open_dataset(f)",
        "import xarray as xr\nxr.open_dataset(f, engine='zarr')",
        "import xarray\nxarray.open_mfdataset(f)",
        "import pandas as pd\npd.read_pickle(f)",
        "import runpy\nrunpy.run_path(f)",
        "import importlib\nimportlib.import_module(name)",
        "import importlib.util\nspec.loader.exec_module(module)",
    ],
)
def test_what_is_unsafe_is_found(snippet):
    assert in_python(snippet)


@pytest.mark.parametrize(
    "snippet",
    [
        "import torch\ntorch.load(f, map_location='cpu', weights_only=True)",
        "import yaml\nclass L(yaml.SafeLoader): pass\nyaml.load(f, Loader=L)\nyaml.safe_load(f)",
        "import yaml\nyaml.load(f, yaml.SafeLoader)",
        "import re\nre.compile('x')\nmodel.eval()",
        "import subprocess\nsubprocess.run(['ls'], shell=False)\nsubprocess.run(['ls'])",
        "import tarfile\nt.extractall(p, filter='data')\nt.extract(m, filter='data')",
        "import numpy as np\nnp.load(f)\nnp.load(f, allow_pickle=False)\nda.load()",
        "import xarray as xr\nxr.open_dataset(f, engine='netcdf4')",
        "import importlib\nimportlib.import_module('numpy')\ntext.extract(m)",
    ],
)
def test_what_is_safe_is_not(snippet):
    assert not in_python(snippet)


@pytest.mark.parametrize(
    "line",
    [
        "    shell:\n", "    run:\n", "    wrapper: 'x'", "configfile: 'c.yaml'", "shell('ls')",
        "x = eval(text)", "import pickle", "os.system('ls')", "from subprocess import run",
        "load_configfile('x')",
    ],
)  # fmt: skip
def test_what_is_unsafe_in_rules_is_found(line):
    assert in_rules(f"rule a:\n{line}")


def test_what_is_safe_in_rules_is_not():
    assert not in_rules(
        "# a shell: none\nrule a:\n    script:\n        'x.py'\n\nre.compile('x')\n"
    )
