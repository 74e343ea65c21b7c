"""Which extensions the person at the keyboard has named, and the files that they are.

The names come from the environment alone, never from a study file: a study file of somebody else
runs no code (docs/security.md).
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from finitewidth.core.errors import ConfigError, describe, meant
from finitewidth.core.files import unreadable

#: Names files and entry points, with commas or the system's separator of paths between them.
VARIABLE = "FINITEWIDTH_EXTENSIONS"
#: Where an installed distribution tells of its own.
GROUP = "finitewidth.extensions"
#: How stamps begin the name of what stands in an extension.
PREFIX = "extensions/"
_SEPARATORS = f",{os.pathsep}"
#: What a package of an extension may hold, so that each run can keep a copy.
_MOST_FILES, _MOST_BYTES = 1000, 2**24
#: What a file of Python may hold, which is read as text.
MOST_TEXT = 2**20
_FILE = "the path of a Python file with a name of letters, digits and _"


@dataclass(frozen=True)
class Extension:
    """One file of Python that was named, with the package that it is a module of, if it is one."""

    file: Path
    package: Path | None

    @property
    def name(self) -> str:
        """What stamps call it: ``my.py``, or ``package/module.py``."""
        root = self.file.parent if self.package is None else self.package.parent
        return self.file.relative_to(root).as_posix()

    @property
    def module(self) -> str:
        """Its dotted name; a file alone takes nobody else's name."""
        if self.package is None:
            return f"finitewidth_extension_{self.file.stem}"
        parts = self.name.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def files(self) -> dict[str, Path]:
        """All files that belong to it, by their names as in ``name``."""
        if self.package is None:
            return {self.name: self.file}
        found = (p for p in sorted(self.package.rglob("*")) if not _is_made(p) and p.is_file())
        return {p.relative_to(self.package.parent).as_posix(): p for p in found}

    @property
    def digest(self) -> str:
        """The beginning of SHA-256 over the names and bytes of all its files."""
        total = hashlib.sha256()
        for name, path in self.files.items():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name} {content}\n".encode())
        return total.hexdigest()[:16]

    def refused(self, given: str, allowed: str) -> ConfigError:
        """The sentence on something in it that cannot be taken."""
        return ConfigError(f"extension {self.file}: given {given}, allowed is {allowed}")


def named() -> tuple[Extension, ...]:
    """The extensions that the environment names, in its order, each once; nothing of them is run.

    Raises
    ------
    ConfigError
        In one sentence, where one is missing or cannot be one.
    """
    return _named(os.environ.get(VARIABLE, ""), os.getcwd())


@functools.lru_cache(maxsize=8)
def _named(value: str, folder: str) -> tuple[Extension, ...]:
    words = re.split(f"[{re.escape(_SEPARATORS)}]", value)
    found: dict[str, Extension] = {}
    for word in filter(None, map(str.strip, words)):
        one = _extension(word)
        other = found.setdefault(one.name, one)
        if other.file != one.file:
            raise one.refused(f"the name {one.name}", f"one that {other.file} has not")
    return tuple(found.values())


def use(*names: str | Path) -> None:
    """Name extensions from within Python, as in a notebook; none, and none are used.

    It has to come before whatever else of the library: registries are made when they are imported.

    Raises
    ------
    ConfigError
        Where one is missing, or extensions were already loaded.
    """
    from finitewidth.extensions import loaded

    if loaded.asked():
        raise ConfigError(
            f"{', '.join(map(str, names))}: named too late, allowed is to name extensions before"
            " anything else of finitewidth is imported (start anew)"
        )
    os.environ[VARIABLE] = ",".join(map(str, names))
    hand_on()


def hand_on() -> None:
    """Name the same extensions by whole paths, for processes that begin in other folders."""
    if os.environ.get(VARIABLE):
        name_again([one.file for one in named()])


def name_again(files: list[Path]) -> None:
    """Let this process and those that it starts find extensions at ``files``, whole paths."""
    for file in files:
        if any(c in str(file) for c in _SEPARATORS):
            allowed = f"a path without any of {' '.join(_SEPARATORS)}"
            raise ConfigError(f"{VARIABLE}: given {describe(str(file))}, allowed is {allowed}")
    os.environ[VARIABLE] = ",".join(map(str, files))


def at(file: Path) -> Extension:
    """The extension that a file is: alone, or a module of a package, which it begins above."""
    package = None
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        package = folder
    return Extension(file, package)


def _extension(word: str) -> Extension:
    path = Path(word)
    if path.suffix != ".py" and os.sep not in word and not (path / "__init__.py").is_file():
        return _bounded(at(_of_entry_point(word)))
    file = Path(os.path.abspath(path / "__init__.py" if path.is_dir() else path))
    problem = unreadable(file)
    if problem:
        raise ConfigError(
            f"{VARIABLE}: given {describe(str(file))} ({problem}), allowed is {_FILE}"
        )
    if file.suffix != ".py" or not re.fullmatch(r"[A-Za-z_]\w*", file.stem, re.ASCII):
        raise ConfigError(f"{VARIABLE}: given {describe(str(file))}, allowed is {_FILE}")
    return _bounded(at(file))


def _bounded(one: Extension) -> Extension:
    sizes = [path.stat().st_size for path in one.files.values()]
    if len(sizes) > _MOST_FILES or sum(sizes) > _MOST_BYTES:
        given = f"{len(sizes)} files of {sum(sizes) / 2**20:.0f} MiB together"
        allowed = f"a package of {_MOST_FILES} files and {_MOST_BYTES // 2**20} MiB at most"
        raise one.refused(given, allowed)
    if one.file.stat().st_size > MOST_TEXT:
        raise one.refused(f"{one.file.stat().st_size} bytes", f"a file of {MOST_TEXT} at most")
    return one


def _of_entry_point(word: str) -> Path:
    """The file of the module that an installed distribution names so."""
    known = metadata.entry_points(group=GROUP)
    values = {point.value for point in known if point.name == word}
    allowed = f"{_FILE}, or the name of an entry point of the group {GROUP} (installed here: "
    allowed += f"{', '.join(sorted({p.name for p in known})) or 'none'})"
    if len(values) != 1:
        many = f", which several distributions have ({', '.join(sorted(values))})" if values else ""
        guess = f" ({m})" if (m := meant(word, [p.name for p in known])) else ""
        given = f"{describe(word)}{guess}{many}"
        raise ConfigError(f"{VARIABLE}: given {given}, allowed is {allowed}")
    (module,) = values
    file = next(_places(module), None) if ":" not in module else None
    if file is None:
        given = f"{describe(word)}, an entry point that names {module}"
        raise ConfigError(
            f"{VARIABLE}: given {given}, allowed is one that names a module of Python"
        )
    return file


def _places(module: str) -> Iterator[Path]:
    """Files that a module's dotted name leads to, without running any."""
    top, *rest = module.split(".")
    spec = util.find_spec(top)
    if spec is None:
        return
    if not rest and spec.origin and spec.origin.endswith(".py"):
        yield Path(os.path.abspath(spec.origin))
    for location in spec.submodule_search_locations or ():
        place = Path(os.path.abspath(location), *rest)
        each = (place.with_suffix(".py"), place / "__init__.py") if rest else ()
        yield from (file for file in each if file.is_file())


def _is_made(path: Path) -> bool:
    return path.suffix == ".pyc" or any(p == "__pycache__" or p[0] == "." for p in path.parts[1:])
