"""The code of one entry of an extension: read as a text, never run.

An entry stands in a table of the file, by its name: ``extensions/my.py:ACTIVATIONS.bump``. Its code
is its own expression, and every statement of the file that it reaches by a name; besides, whatever
the file does other than define names, and all modules of a package that the file imports. So an
edit of one activation leaves another as it was. Where that cannot be told from the text, the code
is the whole file.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from finitewidth.core.errors import ConfigError
from finitewidth.core.files import unreadable
from finitewidth.extensions.kept import copies
from finitewidth.extensions.named import MOST_TEXT, VARIABLE, Extension, at, named
from finitewidth.provenance.parsed import imported, parse, without_docstrings

_ENTRY = re.compile(r"extensions/((?:\w+/)*\w+\.py):(\w+)\.(\w+?)(?:\.(\w+))?")
#: Names by which a file reaches what no reader of its text sees.
_UNSEEN = {"globals", "locals", "vars", "eval", "exec", "setattr", "delattr", "__import__",
           "import_module", "importlib"}  # fmt: skip
#: Words of a declaration whose code counts apart.
PARTS = ("estimator", "theory")


class Code(NamedTuple):
    """The digest of an entry's code, and the names that it imports."""

    digest: str
    imports: frozenset[str]


def code_of(entry: str) -> Code | None:
    """The code of an entry of an extension that is named; None where there is no such entry."""
    found = _ENTRY.fullmatch(entry)
    one = found and _named().get(found[1])
    return code_in(one, entry) if one else None


def code_in(one: Extension, entry: str) -> Code | None:
    """The same, of an extension that stands anywhere; None where its text cannot be read."""
    found = _ENTRY.fullmatch(entry)
    try:
        if not found or unreadable(one.file) or one.file.stat().st_size > MOST_TEXT:
            return None
        text = _text(one.file.read_bytes())
        code = text.entry(*found.groups()[1:])
        more = sorted(_beside(one).items())
        total = hashlib.sha256(
            "\n".join([code.digest, *(f"{k} {c.digest}" for k, c in more)]).encode()
        )
        imports = code.imports.union(*(c.imports for _, c in more))
        mine = one.package.name if one.package else None
        return Code(
            total.hexdigest()[:16],
            frozenset(n for n in imports if n.partition(".")[0] != mine),
        )
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def problems(modules: Mapping[str, str], folder: Path) -> list[str]:
    """Sentences without a subject on extensions that a stamp names and that are not named now.

    ``modules`` are digests by their names in a stamp; runs in ``folder`` may have kept a copy.
    """
    known = _named()
    mine: dict[str, dict[str, str]] = {}
    for entry, digest in modules.items():
        if (found := _ENTRY.fullmatch(entry)) and found[1] not in known:
            mine.setdefault(found[1], {})[entry] = digest
    return [
        f"uses the extension {name}, which is not loaded: name it by {VARIABLE}"
        f"{kept_as(name, digests, folder)}"
        for name, digests in mine.items()
    ]


def kept(modules: Mapping[str, str], changed: Iterable[str], folder: Path) -> str:
    """As :func:`kept_as`, of each extension among the modules that changed."""
    names = sorted(used(changed))
    own = {n: {e: d for e, d in modules.items() if used([e]) == {n}} for n in names}
    return "".join(kept_as(name, digests, folder) for name, digests in own.items())


def kept_as(name: str, digests: dict[str, str], folder: Path) -> str:
    """Where a run in ``folder`` has kept an extension with this code, as the end of a sentence."""
    for file in copies(name, folder):
        code = {entry: code_in(at(file), entry) for entry in digests}
        if all(c is not None and c.digest == digests[entry] for entry, c in code.items()):
            return f" (a copy with this code: {file.relative_to(folder)})"
    return ""


def is_named(entry: str) -> bool:
    """Whether the extension of an entry is named now."""
    found = _ENTRY.fullmatch(entry)
    return found is not None and found[1] in _named()


def used(modules: Iterable[str]) -> set[str]:
    """Names of the extensions whose entries are among the modules of stamps."""
    return {found[1] for entry in modules if (found := _ENTRY.fullmatch(entry))}


def _named() -> dict[str, Extension]:
    try:
        return {one.name: one for one in named()}
    except ConfigError:
        return {}


def _beside(one: Extension) -> dict[str, Code]:
    """Modules of the extension's package that it imports, directly or through each other."""
    if one.package is None:
        return {}
    root, found = one.package.parent, dict[str, Code]()
    waiting, seen = [(one.file, one.module)], {one.file}
    while waiting:
        file, module = waiting.pop()
        content = file.read_bytes()
        names = imported(ast.parse(content), module, file.name == "__init__.py")
        if file != one.file:
            found[file.relative_to(root).as_posix()] = Code(parse(content)[0], names)
        for name in (module, *names):
            for inner, path in _files(root, name, one.package.name):
                if path not in seen:
                    seen.add(path)
                    waiting.append((path, inner))
    return found


def _files(root: Path, name: str, package: str) -> Iterator[tuple[str, Path]]:
    """Modules that importing a name runs, if it is of the package: (dotted name, file)."""
    parts = name.split(".")
    if parts[0] != package:
        return
    for k in range(1, len(parts) + 1):
        place, dotted = root.joinpath(*parts[:k]), ".".join(parts[:k])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield dotted, file


@functools.lru_cache(maxsize=64)
def _text(content: bytes) -> _Text:
    return _Text(content)


class _Text:
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
