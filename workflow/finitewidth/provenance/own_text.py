"""A file of an extension as a text: which of its statements each entry of a table needs."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from finitewidth.provenance.parsed import imported, parse, without_docstrings

#: Names by which a file reaches what no reader of its text sees.
_UNSEEN = {"globals", "locals", "vars", "eval", "exec", "setattr", "delattr", "__import__",
           "import_module", "importlib"}  # fmt: skip
#: Words of a declaration whose code counts apart.
PARTS = ("estimator", "theory")


class Code(NamedTuple):
    """The digest of an entry's code, and the names that it imports."""

    digest: str
    imports: frozenset[str]


@functools.lru_cache(maxsize=64)
def text_of(content: bytes) -> Text:
    return Text(content)


class Text:
    """A file's statements, by what they define."""

    def __init__(self, content: bytes) -> None:
        self.whole = Code(*parse(content))
        tree = without_docstrings(ast.parse(content))
        self.body = [s for s in tree.body if not _is_apart(s)]
        self.defined: dict[str, list[int]] = {}
        self.loose: list[int] = []
        for place, statement in enumerate(self.body):
            names = _defines(statement)
            for name in names:
                self.defined.setdefault(name, []).append(place)
            if not names:
                self.loose.append(place)
        self.is_plain = not _UNSEEN & {*_names(tree)}

    def entry(self, table: str, name: str, part: str | None) -> Code:
        """The code of an entry of a table, or of one part of its declaration."""
        expression = self._element(table, name) if self.is_plain else None
        if expression is None:
            return self.whole
        if isinstance(expression, ast.Call):
            words = {k.arg: k.value for k in expression.keywords}
            if part in words:
                expression = words[part]
            elif part or not set(PARTS) & set(words):
                pass
            else:
                kept = [k for k in expression.keywords if k.arg not in PARTS]
                expression = ast.Call(expression.func, expression.args, kept)
        reached = self._reached([expression])
        text = [expression, *(self.body[k] for k in reached)]
        total = hashlib.sha256("\n".join(map(ast.unparse, text)).encode()).hexdigest()
        return Code(total, frozenset(n for node in text for n in imported(node)))

    def _element(self, table: str, name: str) -> ast.expr | None:
        """The expression of one entry; None where the text does not tell which it is."""
        value = self._value(table)
        if isinstance(value, ast.Dict):
            pairs = list(zip(value.keys, value.values, strict=True))
            found = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == name]
        elif isinstance(value, ast.List | ast.Tuple):
            found = [
                e for e in map(self._resolved, value.elts) if e is not None and _called(e) == name
            ]
        else:
            return None
        return found[0] if len(found) == 1 else None

    def _value(self, name: str) -> ast.expr | None:
        """What is assigned to a name that stands for one thing from beginning to end."""
        places = self.defined.get(name, [])
        if len(places) != 1 or any(name in _names(self.body[k]) for k in self.loose):
            return None
        statement = self.body[places[0]]
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            return statement.value if isinstance(statement.targets[0], ast.Name) else None
        return statement.value if isinstance(statement, ast.AnnAssign) else None

    def _resolved(self, element: ast.expr) -> ast.expr | None:
        for _ in range(10):
            if not isinstance(element, ast.Name):
                return element
            value = self._value(element.id)
            if value is None:
                return None
            element = value
        return None

    def _reached(self, nodes: list[ast.expr]) -> list[int]:
        """Places of the statements that the nodes need, and of those that every entry needs."""
        waiting: list[ast.AST] = [*nodes, *(self.body[k] for k in self.loose)]
        found = set(self.loose)
        while waiting:
            for name in _names(waiting.pop()):
                for place in self.defined.get(name, ()):
                    if place not in found:
                        found.add(place)
                        waiting.append(self.body[place])
        return sorted(found)


def _called(expression: ast.expr) -> str | None:
    """The name that a declaration gives itself: its first argument, or the one called name."""
    if not isinstance(expression, ast.Call):
        return None
    named = [k.value for k in expression.keywords if k.arg == "name"]
    first = next(iter([*expression.args[:1], *named]), None)
    value = first.value if isinstance(first, ast.Constant) else None
    return value if isinstance(value, str) else None


def _names(node: ast.AST) -> Iterator[str]:
    """Every name in a node; of texts those that are one, such as types in quotes."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.alias):
            yield inner.name.partition(".")[0]
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from re.findall(r"\w+", inner.value) if len(inner.value) < 200 else ()


def _defines(statement: ast.stmt) -> list[str]:
    """The names that a statement defines and does no more; none where it may do more."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = [a.asname or a.name.partition(".")[0] for a in statement.names]
        return [] if "*" in names else names
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    each = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple | ast.List) else [t])]
    found = [e.id for e in each if isinstance(e, ast.Name) and e.id != "_"]
    return found if len(found) == len(each) else []


def _is_apart(statement: ast.stmt) -> bool:
    """Whether a statement is no part of what an import runs: for checkers of types, or a script."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    test = ast.unparse(statement.test)
    return test in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")
