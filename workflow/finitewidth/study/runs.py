"""What a run is called, so that studies stand side by side: none overwrites what another made.

================================= ==============================================================
``run:`` on the command line      that
the key ``run`` of a study file   that, and what the command line lays on top
a study file, or several          their names without endings, and what the command line lays on top
the default study                 ``default``, and what the command line lays on top
================================= ==============================================================

So ``--config seed=2`` makes ``default-seed-2`` beside ``default``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finitewidth.config import yaml_reader
from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError, describe
from finitewidth.core.files import unreadable
from finitewidth.core.places import DEFAULT, LONGEST, RESULTS, RUN_NAMES, root_of, run_name

_PLAIN = re.compile(r"[A-Za-z0-9_.]+")
#: Configs as runs have kept them.
_KEPT = re.compile(r"(.*/)?results/(runs/[^/]+/)?configs/[0-9a-f]{16}\.yaml")
_NAMED = ("ensembles", "trained", "studies")


def name_of(
    config: Config, files: Sequence[str | Path], over: Mapping[str, Any], default: str | Path
) -> str:
    """What a run is called.

    Parameters
    ----------
    config : Config
        What it was given, all in all.
    files : sequence of path
        The study files that it is made of; none where it stands in no file.
    over : mapping
        What the command line laid on top.
    default : path
        The file of the default study.

    Raises
    ------
    ConfigError
        Where nothing names it, or its files have a name that no run may have.
    """
    if config.run is not None and "run" in over:
        return config.run
    words = [config.run] if config.run is not None else [_stem(f, default) for f in files]
    if not words:
        raise ConfigError(
            "config key run: given nothing, and no study file to name this run, allowed is"
            f" {RUN_NAMES}"
        )
    laid = {k: v for k, v in over.items() if k not in ("run", "study")}
    return _short("-".join([*words, *_laid(laid)]), [*words, laid])


def _stem(file: str | Path, default: str | Path) -> str:
    """The name of a study file without its ending, with ``_`` for what no name of a run holds."""
    if is_default(file, default):
        return DEFAULT
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(file).stem).lstrip("_.-")
    try:
        if stem == DEFAULT:
            raise ValueError("the run of the default study has that name")
        return run_name(_short(stem or f"study-{_digest(Path(file).stem)}", [Path(file).stem]))
    except ValueError as error:
        raise ConfigError(
            f"config file {file}: given a name that its run cannot have ({error}), allowed is a"
            f" file with the key run, or called otherwise: {RUN_NAMES}"
        ) from None


def _laid(over: Mapping[str, Any]) -> list[str]:
    """What was laid on top in words: each key, and its value or the digest of it."""
    words = []
    for key, value in sorted(over.items()):
        text = str(value) if isinstance(value, str | int | float) else ""
        words += [key, text if _PLAIN.fullmatch(text) else _digest(value)]
    return words


def _short(name: str, about: object) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{_digest(about)}"


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_default(file: str | Path, default: str | Path) -> bool:
    """Whether a study file is that of the default study, however it is written."""
    try:
        return os.path.samefile(file, default)
    except OSError:
        return str(file) == str(default)


def sources(files: Iterable[str | Path], default: str | Path, folder: str | Path = ".") -> list:
    """The study files of a run as they are written down, for another run to tell them apart."""
    here = os.path.realpath(folder)
    found = []
    for file in files:
        path = os.path.realpath(file)
        inside = path.startswith(here + os.sep)
        found.append(os.path.relpath(path, here) if inside else path)
    return [DEFAULT if is_default(f, default) else n for f, n in zip(files, found, strict=True)]


def check_owner(run: str, given: Sequence[str], record: Path, folder: str | Path = ".") -> None:
    """Raise ``ConfigError`` where a run's folder holds what other study files have made.

    ``given`` is what :func:`sources` says, ``record`` the file in which :func:`own` wrote it down.
    Files that are gone, as those that were renamed, and configs that runs kept count for nothing;
    nor is anybody asked who names the run on the command line.
    """
    root = root_of(run)
    if not _holds_a_run(Path(folder, root)) or not given or _are_kept(given):
        return
    before = _recorded(record)
    there = (f == DEFAULT or os.path.exists(os.path.join(folder, f)) for f in before)
    if before and before != list(given) and all(there):
        raise ConfigError(
            f"run {run}: {root}/ holds what {_called(before)} made, and not {_called(given)}: give"
            f" one of them another name by its key run, or say --config run={run} if they are the"
            " same study"
        )


def own(given: Sequence[str], record: Path) -> str | None:
    """What to write into ``record`` at the start of a run; None where it says it already."""
    if not given or _are_kept(given) or _recorded(record) == list(given):
        return None
    return json.dumps({"files": list(given)}) + "\n"


def is_kept(file: str | Path) -> bool:
    """Whether a study file is what a run has kept of what it was given."""
    return bool(_KEPT.fullmatch(os.path.realpath(file)))


def _are_kept(given: Sequence[str]) -> bool:
    return all(map(is_kept, given))


def _recorded(record: Path) -> list[str]:
    if unreadable(record):
        return []
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        return [file for file in files if isinstance(file, str)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _called(files: Sequence[str]) -> str:
    return ", ".join("the default study" if f == DEFAULT else describe(f) for f in files)


def kept_configs(root: str | Path) -> list[Path]:
    """What runs have kept of what they were given, in the folder of a run, the last one first."""
    files = [f for f in Path(root, "configs").glob("*.yaml") if f.is_file()]
    return sorted(files, key=lambda file: -file.stat().st_mtime_ns)


def _holds_a_run(root: Path) -> bool:
    return next(Path(root, "configs").glob("*.yaml"), None) is not None


def check_layout(run: str, study: Callable[[], Config], folder: str | Path = ".") -> None:
    """Raise ``ConfigError`` where `results/` itself holds what another study made.

    So it was for every study before runs had names. ``study`` gives the one whose place `results/`
    is: the default study, or what runs there. Nothing is asked of a run that has a folder of its
    own by now.
    """
    if run != DEFAULT and _holds_a_run(Path(folder, root_of(run))):
        return
    results = Path(folder, RESULTS)
    kept = _first_kept(results)
    if "run" in kept:
        foreign = kept["run"] != DEFAULT
        whose = f"run {describe(kept['run'])} made"
    else:
        names = {(s, name) for s in _NAMED for name in _names(kept, results, s)}
        config = study() if names else None
        ours = {(s, name) for s in _NAMED if config for name in getattr(config, s)}
        # Who edits a study keeps most of its names.
        foreign = len(names & ours) * 2 < len(names)
        whose = "another study made, as all did before runs had names"
    if foreign:
        raise ConfigError(
            f"{results}/ itself holds what {whose}: move its folders and files into"
            f" {RESULTS}/runs/NAME/ (NAME is that of its study file, without .yaml), where they are"
            " taken up, or delete them"
        )


def _first_kept(results: Path) -> Mapping:
    for file in kept_configs(results):
        try:
            content = yaml_reader.read(file)
        except ConfigError:
            continue
        if isinstance(content, Mapping):
            return content
    return {}


def _names(kept: Mapping, results: Path, section: str) -> Iterable[str]:
    """The names that a kept config has in a section; where none was kept, folders tell."""
    if kept:
        named = kept.get(section)
        return named if isinstance(named, Mapping) else ()
    return [entry.name for entry in (results / section).glob("*") if entry.is_dir()]
