"""What parsing a file of code tells, remembered from run to run by the digest of its bytes.

Parsing the whole library takes a second, which every start of the workflow and every job on a
cluster would pay again.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

#: More files than the library has in many editions: beyond it, memory starts anew.
_MOST = 5000


class Memory:
    """Digests and imports of files of code, kept in a file of its own if that can be written."""

    def __init__(self, folder: Path):
        # Another Python may write the same syntax tree in another way.
        self._file = folder / f"parsed.{sys.implementation.cache_tag}.json"
        self._known: dict[str, tuple[str, frozenset[str]]] = {}
        self._new = False
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = {of: (str(d), frozenset(map(str, names))) for of, (d, names) in kept}

    def read(self, path: Path) -> tuple[str, frozenset[str]]:
        """The digest of a file's syntax tree without docstrings, and the names that it imports.

        The names are those of modules and of what is taken from them, wherever in the file the
        import stands.
        """
        content = path.read_bytes()
        of = hashlib.sha256(content).hexdigest()
        if of not in self._known:
            self._known[of] = parse(content)
            self._new = True
        return self._known[of]

    def entries(self, path: Path) -> dict[str, str]:
        """The digest of each entry of a registry, as ``TABLE.name``.

        A table is a variable of the module. Its entries are calls whose first argument is their
        name, in a tuple or list, or the values of a dictionary under their names.
        """
        content = path.read_bytes()
        of = f"entries {hashlib.sha256(content).hexdigest()}"
        if of not in self._known:
            found = entries(content)
            self._known[of] = "", frozenset(f"{name} {d}" for name, d in found.items())
            self._new = True
        return dict(line.split(" ") for line in self._known[of][1])

    def keep(self) -> None:
        """Write down what is new, as a whole or not at all."""
        if not self._new:
            return
        self._new = False
        known = list(self._known.items())[-_MOST:]
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(exist_ok=True)
            entries = [[of, [digest, sorted(names)]] for of, (digest, names) in known]
            part.write_text(json.dumps(entries), encoding="utf-8")
            os.replace(part, self._file)


def parse(content: bytes) -> tuple[str, frozenset[str]]:
    """As :meth:`Memory.read`, of a file's bytes."""
    tree = without_docstrings(ast.parse(content))
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16], imported(tree)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree, changed."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[:1] = [ast.Pass()] if len(body) == 1 else []
    return tree


def imported(tree: ast.AST, module: str = "", is_package: bool = False) -> frozenset[str]:
    """Names of modules that a tree imports, and of what is taken from them.

    Those of relative imports count where the name of the ``module`` that the tree is of is given;
    ``is_package`` tells that it is the ``__init__`` of a package.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = [node.module] if node.module else []
            if node.level and module:
                above = module.split(".")
                parts = above[: len(above) - node.level + is_package] + parts
            if start := ".".join(parts):
                names.add(start)
                names.update(f"{start}.{alias.name}" for alias in node.names)
    return frozenset(names)


def entries(content: bytes) -> dict[str, str]:
    """As :meth:`Memory.entries`, of a file's bytes."""
    found: dict[str, str] = {}
    for node in ast.parse(content).body:
        value, target = getattr(node, "value", None), getattr(node, "target", None)
        (target,) = getattr(node, "targets", [target])
        if isinstance(value, ast.Tuple | ast.List):
            each: list[tuple[ast.expr | None, ast.expr]] = [
                (e.args[0], e) for e in value.elts if isinstance(e, ast.Call) and e.args
            ]
        elif isinstance(value, ast.Dict):
            each = list(zip(value.keys, value.values, strict=True))
        else:
            continue
        for name, entry in each:
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                digest = hashlib.sha256(ast.unparse(entry).encode()).hexdigest()[:16]
                # Of several entries of a name, all.
                key = f"{target.id}.{name.value}"
                found[key] = found.get(key, "") + digest
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
