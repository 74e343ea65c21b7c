"""Where the files of a run stand: `results/` for the default study, else `results/runs/NAME/`.

Stamps and parts of the config name every file as if its run stood in `results/` itself, so that
the same config gives the same bytes whatever its run is called, and wherever it stands.
"""

from __future__ import annotations

import re
from pathlib import Path

#: The run that stands in `results/` itself.
DEFAULT = "default"
RESULTS, RUNS = "results", "results/runs"
#: Folders and files of a run, by which a path is known for one of results.
STAGES = ("inputs", "data", "ensembles", "trained", "studies")
FOLDERS = (*STAGES, "downloads", "configs", "extensions", "logs", "code", "runs", RESULTS)
#: Characters of a run's name.
LONGEST = 60
RUN_NAMES = (
    f"a name of at most {LONGEST} letters, digits, -, _ and ., which begins with a letter or a"
    " digit and is not that of a folder of results, as data is"
)
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}")
_PLACE = re.compile(
    rf"(?P<before>(?:.*/)?)(?P<root>{RESULTS}(?:/runs/(?P<run>[^/]+))?)/"
    rf"(?P<rest>(?:{'|'.join(FOLDERS[:-2])})(?:/.*|$)"
    r"|(?:figures\.md|ro-crate-metadata\.json|report\.html)$)"
)


def run_name(name: str) -> str:
    """``name`` if a run can be called so, which becomes a folder; else ``ValueError``."""
    if name.lower() in FOLDERS:
        raise ValueError("a folder of results has that name")
    if not _NAME.fullmatch(name):
        raise ValueError("that is no name of a run")
    return name


def root_of(run: str) -> str:
    """The folder in which a run's files stand."""
    return RESULTS if run == DEFAULT else f"{RUNS}/{run}"


def run_in(root: str) -> str:
    """The name of the run that stands in a folder of :func:`root_of`."""
    found = re.search(rf"(?:^|/){RUNS}/([^/]+)$", root)
    # A module's prefix may end like a folder of runs.
    return found[1] if found and found[1] != RESULTS else DEFAULT


def downloads(root: str) -> list[Path]:
    """What all runs beside that of a folder, and itself, have downloaded."""
    results = Path(root.removesuffix(f"/runs/{run_in(root)}"))
    found = [*results.glob("downloads/*.tar.gz"), *results.glob("runs/*/downloads/*.tar.gz")]
    return sorted(found)


def at(root: str, path: str) -> str:
    """Where a file stands that is named as if its run stood in `results/`; others stay."""
    return f"{root}/{path.removeprefix(f'{RESULTS}/')}" if path.startswith(f"{RESULTS}/") else path


def alone(root: str, path: str) -> str:
    """The other way round: what a file in the folder ``root`` is called in stamps."""
    return f"{RESULTS}/{path.removeprefix(f'{root}/')}" if path.startswith(f"{root}/") else path


def place(path: str) -> tuple[str, str] | None:
    """What stands before `results/` in the path of a result, and the folder of its run from there.

    None where it is no path of a result.
    """
    found = _PLACE.match(path)
    return (found["before"], found["root"]) if found else None
