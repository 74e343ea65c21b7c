"""Which code a stage runs: digests of syntax trees, so that a comment changes nothing."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from finitewidth.extensions.named import PREFIX
from finitewidth.provenance import own_code
from finitewidth.provenance.parsed import Memory

PACKAGE = Path(__file__).resolve().parents[1]
#: The checkout that the package stands in; of an installed one, what it brings of one (setup.py).
_BROUGHT = PACKAGE / "_checkout"
CHECKOUT = PACKAGE.parents[1] if (PACKAGE.parent / "Snakefile").is_file() else _BROUGHT
WORKFLOW = CHECKOUT / "workflow"
#: What Snakemake is started on.
SNAKEFILE = CHECKOUT / "Snakefile"
#: The packages that are installed together.
PACKAGES = (
    "finitewidth",
    "finitewidth_slurm",
    "snakemake_executor_plugin_finitewidth_slurm",
    "snakemake_logger_plugin_finitewidth",
)
#: Names the file that says which commits a rebuild's stamps should name.
REBUILD = "FINITEWIDTH_REBUILD"
#: Which commit the code is, where it was unpacked from an archive and git cannot tell.
COMMIT_FILE = CHECKOUT / "COMMIT.json"
#: How a stamp spells a module, or an entry of a registry.
_MODULE = re.compile(r"(\w+/)*\w+\.py(:\w+\.\w+)?")
#: Modules of descriptions, of which each stage uses a few. Only the entries that a rule names
#: count, so that adding or changing another one reruns nothing.
REGISTRIES = frozenset(
    f"quantities/{name}.py"
    for name in ("preactivations", "coupled", "tangent_kernels", "trained_networks")
)


@functools.cache
def used(*scripts: str | Path, entries: tuple[str, ...] = ()) -> dict:
    """What a rule says of its code: a digest of it all, of each module, and the packages imported.

    The modules are the scripts and every module of the package that they import, however deep, but
    for ``REGISTRIES``: of these the entries count that are named, as ``module.py:TABLE.name``,
    and so do entries of extensions, with the modules and packages that these import. The
    digests are SHA-256 of the syntax trees without docstrings: an edit that cannot change a result
    does not change them.
    """
    own = {e: own_code.code_of(e) for e in sorted(entries) if e.startswith(PREFIX)}
    more = sorted({name for code in own.values() if code for name in code.imports})
    given = [*map(Path, scripts), *(file for name in more for file in _files(name))]
    paths = frozenset(given).union(*map(_reached, given))
    paths -= {PACKAGE / name for name in REGISTRIES}
    files = {_name(path): path for path in paths}
    each: dict[str, str | None] = {name: _digest(path) for name, path in sorted(files.items())}
    each |= {f"{PACKAGE.name}/{e}": _entry(e) for e in sorted(entries) if e not in own}
    each |= {entry: code and code.digest for entry, code in own.items()}
    total = hashlib.sha256("".join(f"{k} {v}\n" for k, v in each.items()).encode())
    told = {"sha256": total.hexdigest(), "modules": each, "packages": packages(*given)}
    if theirs := _packages(more):
        told["packages"] = sorted({*told["packages"], *theirs})
        told["own_packages"] = theirs
    _memory(PACKAGE).keep()
    return told


def changed(modules: Mapping[str, str]) -> list[str]:
    """Names of those modules, of what ``used`` said of them, that are gone or are others now.

    Not so of extensions that are not named now, which :func:`own_code.problems` tells.
    """
    found = []
    for name, digest in modules.items():
        if name.startswith(PREFIX):
            code = own_code.code_of(name)
            if own_code.is_named(name) and (code is None or code.digest != digest):
                found.append(name)
            continue
        file, _, entry = name.partition(":")
        folder = PACKAGE.parent if file.startswith(f"{PACKAGE.name}/") else WORKFLOW
        path = folder / file
        # A stamp may name anything; what is no module is none of ours.
        ours = _MODULE.fullmatch(name) and os.path.isfile(path)
        now = ours and (_entry(name.partition("/")[2]) if entry else _digest(path))
        if now != digest:
            found.append(name)
    return found


def _entry(name: str) -> str | None:
    """The digest of one entry of a registry, ``module.py:TABLE.name``; None where there is none."""
    file, _, entry = name.partition(":")
    return _entries(PACKAGE / file).get(entry)


@functools.cache
def _entries(path: Path) -> Mapping[str, str]:
    return _memory(PACKAGE).entries(path)


@functools.cache
def _name(path: Path) -> str:
    """How a stamp calls a module: its path in the workflow, also where a script was fetched."""
    for folder in (WORKFLOW, PACKAGE.parent):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return f"{path.parent.name}/{path.name}"


def _digest(path: Path) -> str:
    return _read(path)[0]


def packages(*scripts: str | Path) -> list[str]:
    """Names of the packages of others that scripts and all their modules import, sorted.

    Told by the code alone, wherever in a file the import stands: what else happens to be loaded,
    or was not needed this time, makes no difference.
    """
    return _packages(name for script in map(Path, scripts) for name in _names(script))


def _packages(names: Iterable[str]) -> list[str]:
    """Of the names of modules, the packages of others, sorted."""
    found = {name.partition(".")[0] for name in names}
    return sorted(found - sys.stdlib_module_names - {PACKAGE.name})


def modules(*scripts: str | Path) -> list[Path]:
    """The files of the package that scripts import, directly or through each other, sorted."""
    return sorted({path for script in map(Path, scripts) for path in _reached(script)})


@functools.cache
def _reached(script: Path) -> frozenset[Path]:
    """The files of the package that one script imports; most rules share theirs with others."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        new = _imports(waiting.pop()) - found
        found |= new
        waiting += new
    return frozenset(found)


@functools.cache
def _names(script: Path) -> frozenset[str]:
    """What a script and the files that it imports say that they import."""
    return frozenset().union(*(_read(path)[1] for path in {script, *_reached(script)}))


@functools.cache
def _read(path: Path) -> tuple[str, frozenset[str]]:
    return _memory(PACKAGE).read(path)


@functools.cache
def _memory(package: Path) -> Memory:
    # Where Python keeps what it compiles.
    return Memory(package / "__pycache__")


@functools.cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(file for name in _read(path)[1] for file in _files(name))


def _files(name: str) -> tuple[Path, ...]:
    """The files that importing ``name`` runs, if it is ours: the module and its packages."""
    return _found(PACKAGE, name)


@functools.cache
def _found(package: Path, name: str) -> tuple[Path, ...]:
    parts = name.split(".")
    if parts[0] != package.name:
        return ()
    files = [package.joinpath(*parts[1:i], "__init__.py") for i in range(1, len(parts) + 1)]
    files.append(package.joinpath(*parts[1:]).with_suffix(".py"))
    return tuple(file for file in files if file in _sources(package))


@functools.cache
def _sources(package: Path) -> frozenset[Path]:
    return frozenset(package.rglob("*.py"))


def commit_of(rule: str, wildcards: Mapping[str, str]) -> dict[str, str]:
    """The git commit for the stamp of one artifact, and whether the code differs from it.

    Where a file is made again to be compared (``rebuild.py``), what its stamp said: the digests say
    that the code is the same, and bytes can only be if the commit is not another's.
    """
    as_before = os.environ.get(REBUILD)
    if as_before:
        commits = json.loads(Path(as_before).read_text(encoding="utf-8"))
        if (key := json.dumps([rule, dict(wildcards)], sort_keys=True)) in commits:
            return commits[key]
    return commit()


@functools.cache
def commit() -> dict[str, str]:
    """The git commit of the code, and whether the code differs from it."""
    if COMMIT_FILE.is_file():
        # Before git, which would tell of the repository around the folder, if there is one.
        recorded = json.loads(COMMIT_FILE.read_text(encoding="utf-8"))
        dirty = recorded["dirty"] if recorded["sha256"] == tree() else "yes"
        return {"commit": recorded["commit"], "dirty": dirty}

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


def recorded_commit() -> dict[str, str]:
    """What an archive says of its code in ``COMMIT.json``."""
    return {**commit(), "sha256": tree()}


def tree() -> str:
    """SHA-256 over the names and bytes of every file of the workflow."""
    total = hashlib.sha256()
    for name, path in sorted(_tree()):
        made = any(part[0] == "." or part == "__pycache__" for part in name.parts)
        if path.is_file() and not made and ".egg-info" not in str(name):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name.as_posix()} {content}\n".encode())
    return total.hexdigest()


def _tree() -> list[tuple[Path, Path]]:
    """Every file of the workflow, by its name there and where it stands."""
    files = [(path.relative_to(WORKFLOW), path) for path in WORKFLOW.rglob("*")]
    if CHECKOUT == _BROUGHT:
        # The packages stand among those of others.
        every = (path for name in PACKAGES for path in (PACKAGE.parent / name).rglob("*"))
        own = (path for path in every if not path.is_relative_to(_BROUGHT))
        files += [(path.relative_to(PACKAGE.parent), path) for path in own]
    return files
