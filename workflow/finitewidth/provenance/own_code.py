"""The code of one entry of an extension: read as a text, never run.

An entry stands in a table of the file, by its name: ``extensions/my.py:ACTIVATIONS.bump``. Its code
is its own expression, and every statement of the file that it reaches by a name; besides, whatever
the file does other than define names, and all modules of a package that the file imports. So an
edit of one activation leaves another as it was. Where that cannot be told from the text, the code
is the whole file.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from finitewidth.core.errors import ConfigError
from finitewidth.core.files import bounded_sha256, unreadable
from finitewidth.extensions.kept import copies
from finitewidth.extensions.named import MOST_TEXT, VARIABLE, Extension, at, named
from finitewidth.provenance.own_text import Code, text_of
from finitewidth.provenance.parsed import imported, parse

_ENTRY = re.compile(r"extensions/((?:\w+/)*\w+\.py):(\w+)\.(\w+?)(?:\.(\w+))?")


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
        text = text_of(one.file.read_bytes())
        code = text.entry(*found.groups()[1:])
        more = sorted(_beside(one).items())
        each = "\n".join([code.digest, *(f"{k} {c.digest}" for k, c in more)])
        total = hashlib.sha256(each.encode())
        imports = code.imports.union(*(c.imports for _, c in more))
        mine = one.package.name if one.package else None
        return Code(
            total.hexdigest()[:16],
            frozenset(n for n in imports if n.partition(".")[0] != mine),
        )
    except RecursionError:
        # Python runs what is nested so deeply, and its own parser does not write it out.
        return Code(bounded_sha256(one.file)[:16], frozenset())
    except (OSError, SyntaxError, ValueError, MemoryError):
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
