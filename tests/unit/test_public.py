"""Nothing private of Snakemake is used, and nothing of Snakemake's is replaced."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
#: What Snakemake puts into a Snakefile.
GIVEN = {"workflow", "rules", "checkpoints", "snakemake"}
PACKAGES = re.compile(r"(snakemake|snakemake_\w+|jinja2|yte)(\.|$)")


class Finder(ast.NodeVisitor):
    """Collects private names of Snakemake's objects, and what is set on them."""

    def __init__(self, given: set[str]) -> None:
        self.theirs, self.found = set(given), []

    def visit_Import(self, node):
        for name in node.names:
            if PACKAGES.match(name.name):
                self.theirs.add((name.asname or name.name).split(".")[0])
                self._private(name.name, node)

    def visit_ImportFrom(self, node):
        if PACKAGES.match(node.module or ""):
            for name in node.names:
                self.theirs.add(name.asname or name.name)
                self._private(f"{node.module}.{name.name}", node)

    def _private(self, dotted, node):
        parts = dotted.split(".")
        if any(part.startswith("_") for part in parts):
            self.found.append(f"{node.lineno}: {dotted}")

    def _is_theirs(self, node):
        """Whether an expression is reached from a name of theirs: an attribute, a call, an item."""
        while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        return isinstance(node, ast.Name) and node.id in self.theirs

    def visit_FunctionDef(self, node):
        # A parameter of that name, or a method of a class of theirs, is theirs, too.
        arguments = {
            a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        }
        before = set(self.theirs)
        self.theirs |= arguments & GIVEN
        self.generic_visit(node)
        self.theirs = before

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        before = set(self.theirs)
        if any(self._is_theirs(base) for base in node.bases):
            self.theirs.add("self")
        self.generic_visit(node)
        self.theirs = before

    def visit_Attribute(self, node):
        if node.attr.startswith("_") and self._is_theirs(node.value):
            self.found.append(f"{node.lineno}: {ast.unparse(node)}")
        # A subclass may keep something of its own.
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if isinstance(node.ctx, ast.Store | ast.Del) and self._is_theirs(node.value) and not own:
            self.found.append(f"{node.lineno}: {ast.unparse(node)} is set")
        self.generic_visit(node)

    def visit_Assign(self, node):
        # Another name for what is theirs is theirs.
        for target in node.targets:
            if isinstance(target, ast.Name) and self._is_theirs(node.value):
                self.theirs.add(target.id)
        self.generic_visit(node)

    def visit_Call(self, node):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in ("setattr", "delattr", "getattr", "hasattr", "vars") and node.args:
            word = node.args[1] if len(node.args) > 1 else None
            known = isinstance(word, ast.Constant) and not str(word.value).startswith("_")
            if self._is_theirs(node.args[0]) and not (known and name in ("getattr", "hasattr")):
                self.found.append(f"{node.lineno}: {ast.unparse(node)}")
        self.generic_visit(node)


def in_python(text: str, given: set[str] = frozenset()) -> list[str]:
    finder = Finder(set(given))
    finder.visit(ast.parse(text))
    return finder.found


def in_rules(text: str) -> list[str]:
    """Rule files are more than Python: their words, one after another."""
    kinds = (tokenize.NAME, tokenize.OP)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    words = [token.string for token in tokens if token.type in kinds]
    imports = re.findall(r"^ *from (snakemake[\w.]*) import (.*)", text, re.MULTILINE)
    names = {"workflow", "rules", "checkpoints"}
    names |= {name for _, listed in imports for name in re.findall(r"\w+", listed)}
    found = [name for name in names if name.startswith("_")]
    found += [module for module, _ in imports if "._" in module]
    for k, word in enumerate(words):
        if word in ("setattr", "getattr", "delattr"):
            found.append(word)
        if word not in names or words[max(k - 1, 0)] == ".":
            continue
        chain = [word]
        rest = words[k + 1 :]
        while rest[:1] == ["."]:
            chain.append(rest[1])
            rest = rest[2:]
        dotted = ".".join(chain)
        if any(part.startswith("_") for part in chain):
            found.append(dotted)
        if len(chain) > 1 and rest[:1] == ["="]:
            found.append(f"{dotted} is set")
    return found


def test_the_workflow_uses_what_is_public_and_replaces_nothing():
    python = sorted((ROOT / "workflow").rglob("*.py"))
    rules = [ROOT / "Snakefile", ROOT / "workflow/Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    assert len(python) > 150
    assert len(rules) > 8
    found = {path: in_python(path.read_text(encoding="utf-8"), GIVEN) for path in python}
    found |= {path: in_rules(path.read_text(encoding="utf-8")) for path in rules}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import snakemake.workflow as w\nw.Workflow._build_dag = None",
        "from snakemake.report import FileRecord\nFileRecord.render = lambda self: None",
        "from jinja2 import defaults\ndefaults.DEFAULT_FILTERS = {}",
        "from snakemake.script import PythonScript as P\nsetattr(P, 'execute_script', None)",
        "from snakemake.script import PythonScript as P\nQ = P\nQ.execute_script = None",
        "from snakemake import cli\nhasattr(cli, '_parser')",
        "from snakemake.persistence import _Locks",
        "import snakemake._private",
        "def f(workflow):\n    workflow._build_dag()",
        "def f(workflow):\n    workflow.scheduler.queue(1)[0]._open_jobs.release()",
        "from snakemake.x import X\nclass Y(X):\n    def f(self):\n        self._user_kill",
        "del workflow.scheduler",
    ],
)
def test_what_is_private_or_replaced_is_seen(text):
    assert in_python(text, {"workflow"})


@pytest.mark.parametrize(
    "text",
    ["workflow._build_dag()\n", "x = workflow.a._b\n", "workflow.create_report = f\n",
     "onstart:\n    workflow.persistence._read_locks()\n", "setattr(workflow, 'x', 1)\n",
     "from snakemake.io import _IOFile\n", "rule a:\n    params:\n        x=rules._b.output\n"],
)  # fmt: skip
def test_rule_files_are_read_too(text):
    assert in_rules(text)


def test_what_is_public_is_let_be():
    text = "from snakemake.logging import logger\nlogger.info(workflow.basedir)\nself._x = 1\n"
    assert in_python(text, {"workflow"}) == []
    assert (
        in_rules("rule a:\n    input:\n        rules.b.output,\nif workflow.basedir == '': pass\n")
        == []
    )
