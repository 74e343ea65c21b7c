"""Starting again after a run that was killed, and not starting where nothing could be written.

Snakemake leaves its locks behind when it is killed or the power goes, and refuses to run until they
are taken away by hand, since it cannot tell whether their owner lives. Here each controller holds a
lock of the operating system on a file, which goes with the process, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
from pathlib import Path

from snakemake.logging import logger

from finitewidth.files import BACKSLASH
from refusal import RefusedError

#: In Snakemake's folder: held by every controller that lives, with the names of their machines.
HELD = "controllers"
_open: list = []


def take_up(workflow) -> None:
    """Let this controller, before it looks at files, take away locks that nobody holds any more."""
    if not workflow.is_main_process or not hasattr(workflow, "_build_dag"):
        return
    check_name(os.getcwd())
    # Snakemake writes there even for a dry run.
    check_writable(".snakemake")
    build = workflow._build_dag

    def build_dag() -> None:
        plugin, persistence = workflow.executor_plugin, workflow.persistence
        if plugin is not None and not workflow.dryrun and plugin.name != "touch":
            check_writable("results")
            locked = any(True for _ in persistence._read_locks())
            if hold(Path(persistence.path) / HELD, locked) and locked:
                persistence.cleanup_locks()
                # It takes the folder, too, which the next lock is written to.
                os.makedirs(Path(persistence.path) / "locks", exist_ok=True)
                logger.warning(
                    "The last run of this folder was killed: going on from where it was."
                )
        build()

    workflow._build_dag = build_dag


def hold(path: Path, locked: bool) -> bool:
    """Count as alive until this process ends; whether all that did so before are known to be dead.

    Those of another machine are not while Snakemake's folder is ``locked``: a file system need not
    pass locks on from one machine to another.
    """
    try:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        file.seek(0)
        others = locked and set(file.read().split()) - {platform.node()}
        alone = _locked(file, fcntl.LOCK_EX)
        if alone and not others:
            file.truncate(0)
        file.write(f"{platform.node()}\n")
        file.flush()
        # Shared, since Snakemake allows two at a time that make different files.
        _locked(file, fcntl.LOCK_SH)
    except OSError:
        return False
    _open.append(file)
    return alone and not others


def _locked(file, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_name(folder: str) -> None:
    """Raise ``RefusedError`` in one sentence where no netCDF file could stand in a folder."""
    if "\\" in folder:
        raise RefusedError(f"{folder}: {BACKSLASH}: choose another folder by --directory")


def check_writable(folder: str) -> None:
    """Raise ``RefusedError`` in one sentence where nothing could be written into a folder."""
    place = Path(folder)
    while not place.exists():
        place = place.absolute().parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise RefusedError(
            f"{place} cannot be written to, where a run puts what it makes: give the right to, or"
            " choose another folder by --directory"
        )
