"""Which code a stage runs: digests of syntax trees, so that a comment changes nothing."""

from __future__ import annotations

import ast
import functools
import hashlib
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent


@functools.cache
def used(*scripts: str | Path) -> dict:
    """What a rule says of its code: a digest of it, and the packages that it imports."""
    return {"sha256": digest(*scripts), "packages": packages(*scripts)}


def digest(*scripts: str | Path) -> str:
    """SHA-256 over scripts and every module of the package that they import, however deep.

    Taken of the syntax tree without docstrings: an edit that cannot change a result does not
    change the digest.
    """
    total = hashlib.sha256()
    for path in (*map(Path, scripts), *modules(*scripts)):
        total.update(f"{path.name}\n{_read(path)[0]}\n".encode())
    return total.hexdigest()


def packages(*scripts: str | Path) -> list[str]:
    """Names of the packages of others that scripts and all their modules import, sorted.

    Told by the code alone, wherever in a file the import stands: what else happens to be loaded,
    or was not needed this time, makes no difference.
    """
    names = {name.partition(".")[0] for path in (*scripts, *modules(*scripts))
             for name in _read(Path(path))[1]}  # fmt: skip
    return sorted(names - sys.stdlib_module_names - {PACKAGE.name})


def modules(*scripts: str | Path) -> list[Path]:
    """The files of the package that scripts import, directly or through each other, sorted."""
    found: set[Path] = set()
    waiting = [Path(script) for script in scripts]
    while waiting:
        for path in _imports(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(found)


@functools.cache
def _read(path: Path) -> tuple[str, frozenset[str]]:
    """A file without comments and docstrings, and what it imports, anywhere in it: modules, and
    what it takes from them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[:1] = [ast.Pass()] if len(body) == 1 else []
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return ast.unparse(tree), frozenset(names)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@functools.cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(file for name in _read(path)[1] for file in _files(name))


def _files(name: str) -> list[Path]:
    """The files that importing ``name`` runs, if it is ours: the module and its packages."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    files = [PACKAGE.joinpath(*parts[1:i], "__init__.py") for i in range(1, len(parts) + 1)]
    files.append(PACKAGE.joinpath(*parts[1:]).with_suffix(".py"))
    return [file for file in files if file.is_file()]


@functools.cache
def commit() -> dict[str, str]:
    """The git commit of the code, and whether the code differs from it."""

    def git(*arguments: str) -> str | None:
        command = ["git", "--no-optional-locks", "-C", str(PACKAGE), *arguments]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", str(PACKAGE.parent))
    if head is None or changed is None:
        return {"commit": "unknown", "dirty": "unknown"}
    return {"commit": head, "dirty": "yes" if changed else "no"}
