"""Extensions run, once a process, and what each declares: five tables by their names.

This is the one place that runs code of somebody's own, and it runs what `named.py` finds alone.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from finitewidth.core.errors import ConfigError, describe
from finitewidth.extensions.named import PREFIX, VARIABLE, Extension, named

#: What an extension may declare, and of what each table is made.
TABLES = {
    "ACTIVATIONS": "a list of Activation",
    "KINDS": "a list of InputKind",
    "FAMILIES": "a list of Family",
    "FIGURES": "a dictionary of FigureEntry",
    "NETWORKS": "a list of OwnNetwork",
}
_Item = TypeVar("_Item")
_origins: dict[tuple[str, str], Extension] = {}
_running: list[Extension] = []
_asked: list[bool] = []


@dataclass(frozen=True)
class OwnFunction:
    """A function of an extension, with the name of what a stamp counts as its code."""

    function: Callable
    entry: str

    def __call__(self, *given: Any) -> Any:
        return self.function(*given)


class _Fresh(importlib.machinery.SourceFileLoader):
    """Compiles a file each time: an edit within a second would otherwise not be seen."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError


def asked() -> bool:
    """Whether a registry of this process has asked for what extensions declare."""
    return bool(_asked)


def declared(table: str, kind: type[_Item], known: Collection[str]) -> dict[str, _Item]:
    """What all extensions declare in one of ``TABLES``, by its name.

    ``kind`` is the class of each, and ``known`` are names of the library's own.

    Raises
    ------
    ConfigError
        In one sentence that names the file: where it cannot be run, its table holds something else,
        or a name is none, or taken.
    """
    _asked[:] = [True]
    found: dict[str, _Item] = {}
    for one, module in modules():
        for name, item in _items(one, table, getattr(module, table, ())):
            if not isinstance(item, kind):
                given = f"{table} with {describe(item)}"
                raise one.refused(given, TABLES[table])
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w{0,39}", name, re.ASCII):
                allowed = "a name of at most 40 letters, digits and _ that starts with a letter"
                raise one.refused(f"{table} with the name {describe(name)}", allowed)
            check_new(one, table, name, known)
            if name in found:
                other = _origins[table, name]
                where = "once" if other is one else f"that {other.file} has not"
                raise one.refused(f"{table} with the name {name}", f"a name {where}")
            found[name] = item
            _origins[table, name] = one
    return found


def check_new(one: Extension, table: str, name: str, known: Collection[str]) -> None:
    """Raise ``ConfigError`` for a name that the library has itself."""
    if name in known:
        raise one.refused(f"{table} with the name {name}", "a name that the library has not")


def _items(one: Extension, table: str, value: Any) -> list[tuple[Any, Any]]:
    if table == "FIGURES" and isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple) and not (table == "FIGURES" and value):
        return [(getattr(item, "name", None), item) for item in value]
    raise one.refused(f"{table} that is {describe(value)}", TABLES[table])


def check(table: str, name: str, wrong: Callable[[], tuple[str, str] | None]) -> None:
    """Raise ``ConfigError`` where ``wrong`` says what is given and what is allowed, or fails."""
    try:
        problem = wrong()
    except Exception as error:
        told = f"{name}, which cannot be tried out ({type(error).__name__}: {error})"
        problem = told, "what docs/extensions.md says of each field"
    if problem:
        raise _origins[table, name].refused(*problem)


def extension_of(table: str, name: str) -> Extension:
    """The extension that declares something; ``KeyError`` where none does."""
    return _origins[table, name]


def entry_of(table: str, name: str, part: str = "") -> str | None:
    """What stamps call it: ``extensions/my.py:TABLE.name``; None where no extension declares it.

    ``part`` is a word of its declaration, whose code counts apart.
    """
    one = _origins.get((table, name))
    if one is None:
        return None
    return f"{PREFIX}{one.name}:{table}.{name}" + (f".{part}" if part else "")


@functools.cache
def modules() -> tuple[tuple[Extension, ModuleType], ...]:
    """Every extension that is named, with its module, which has run."""
    if _running:
        raise ConfigError(_AT_TOP)
    found = []
    for one in named():
        _running.append(one)
        try:
            module = _module(one)
        finally:
            _running.pop()
        if not any(hasattr(module, table) for table in TABLES):
            raise one.refused("none of its tables", f"one or more of {', '.join(TABLES)}")
        found.append((one, module))
    return tuple(found)


_AT_TOP = (
    "it imports what itself asks for extensions: import that inside the function which needs it"
)


def _module(one: Extension) -> ModuleType:
    try:
        if one.package is None:
            return _run(one.module, one.file)
        _begin(one, one.package)
        return import_module(one.module)
    except SyntaxError as error:
        line = f" in line {error.lineno}" if error.lineno else ""
        raise _failed(one, f"which is no Python{line} ({error.msg})") from error
    except (Exception, SystemExit) as error:
        line = f"whose line {_line(one, error)}"
        if str(error) == _AT_TOP or _waits(error):
            raise _failed(one, f"{line} cannot be run, since {_AT_TOP}") from error
        if isinstance(error, ConfigError):
            raise
        raise _failed(one, f"{line} raises {type(error).__name__}: {error}") from error


def _waits(error: BaseException) -> bool:
    """Whether an import failed on a module of ours that is being imported, and waits itself."""
    name = error.name if isinstance(error, ImportError) else None
    return name is not None and name.startswith("finitewidth.") and name in sys.modules


def _failed(one: Extension, why: str) -> ConfigError:
    return ConfigError(
        f"{VARIABLE}: given {one.file}, {why}, allowed is a file that can be run"
        " (docs/extensions.md)"
    )


def _line(one: Extension, error: BaseException) -> int:
    """The last line of the extension that an error went through."""
    home = str(one.file if one.package is None else one.package)
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 1 for f in reversed(frames) if f.filename.startswith(home)), 1)


def _begin(one: Extension, package: Path) -> None:
    """Let the package of an extension be imported, wherever it stands, and nothing else there."""
    init = package / "__init__.py"
    there = sys.modules.get(package.name)
    if there is None:
        _run(package.name, init, str(package))
    elif not there.__file__ or not init.samefile(there.__file__):
        allowed = f"another name than {package.name}, which {there.__file__} has"
        raise one.refused(f"the package {package.name}", allowed)


def _run(name: str, file: Path, *inside: str) -> ModuleType:
    loader = _Fresh(name, str(file))
    spec = importlib.util.spec_from_file_location(
        name, file, loader=loader, submodule_search_locations=list(inside) or None
    )
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Models of keys look their types up by the module's name.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
