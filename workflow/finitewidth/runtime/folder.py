"""The folder that a run works in: whether it can, and that no other run does.

A run holds a lock of the operating system on a file, which goes with the process, however it ends:
so a run that was killed leaves nothing to unlock by hand, and a second one beside it is refused.
The file also names the machine and the process, since a file system need not pass locks on from one
machine to another; a run that ends takes its name out again.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import tempfile
from pathlib import Path
from typing import TextIO

from finitewidth.core.errors import ConfigError
from finitewidth.core.files import BACKSLASH

#: Beside what Snakemake keeps of a folder, and nothing of its own.
OURS = Path(".snakemake") / "finitewidth"
LOCK = OURS / "run.lock"
_held: dict[str, TextIO] = {}


class FolderError(ConfigError):
    """A folder that no run can work in now; one sentence for the person at the terminal."""


def write_whole(path: Path, text: str) -> None:
    """Write a file of ours, whole, whoever else writes the same at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(text.encode())
    os.replace(file.name, path)


def check_name(folder: str) -> None:
    """Raise ``FolderError`` in one sentence where no netCDF file could stand in a folder."""
    if "\\" in folder:
        raise FolderError(f"{folder}: {BACKSLASH}: choose another folder by --directory")


def check_writable(folder: str) -> None:
    """Raise ``FolderError`` in one sentence where nothing could be written into a folder."""
    place = Path(folder)
    while not place.exists():
        place = place.absolute().parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise FolderError(
            f"{place} cannot be written to, where a run puts what it makes: give the right to, or"
            " choose another folder by --directory"
        )


def occupy(lock: Path = LOCK, run: str = "") -> bool:
    """Hold the folder until this process ends, for a run of that name; whether the one before was
    killed.

    Raises ``FolderError`` where another run holds it, or may: of one on another machine that left
    its name, nothing is known.
    """
    if str(lock.absolute()) in _held:
        return False
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115
    taken = _lock(file, fcntl.LOCK_EX)
    machine, process, other = _named(file)
    here = machine == platform.node()
    whose = _whose(machine, process, other)
    if taken is False or (taken is None and here and _lives(process)):
        file.close()
        raise FolderError(
            f"another run is at work in this folder ({whose}): wait until it has ended, or"
            " choose another folder by --directory"
        )
    if machine and not here:
        file.close()
        raise FolderError(
            f"a run of this folder on another machine did not say that it ended"
            f" ({whose}): see that it is gone, delete {lock}, and start again"
        )
    file.truncate(0)
    file.write(f"{platform.node()} {os.getpid()} {run}\n")
    file.flush()
    _held[str(lock.absolute())] = file
    atexit.register(_leave, file, os.getpid())
    return bool(machine)


def occupied(lock: Path = LOCK) -> bool:
    """Whether a run of another process holds the folder, or may; nothing is changed."""
    if str(lock.absolute()) in _held:
        return False
    try:
        file = open(lock, encoding="utf-8")  # noqa: SIM115
    except FileNotFoundError:
        return False
    with file:
        taken = _lock(file, fcntl.LOCK_SH)
        machine, process, _ = _named(file)
    here = machine == platform.node()
    return taken is False or bool(machine and not here) or (taken is None and _lives(process))


def _lock(file: TextIO, kind: int) -> bool | None:
    """Whether the lock was got; None where the file system has none."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _named(file: TextIO) -> tuple[str, str, str]:
    """The machine, the process and the run that a lock names; empty where it names none."""
    file.seek(0)
    machine, process, run, *_ = [*file.read(1000).split(), "", "", ""]
    return machine, process, run


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    return True


def _whose(machine: str, process: str, run: str) -> str:
    if not (machine and process):
        return "it has not said which"
    return f"{f'run {run}, ' if run else ''}process {process} on {machine}"


def _leave(file: TextIO, process: int) -> None:
    # Not in a child that was forked from the one that holds it.
    if os.getpid() == process:
        file.truncate(0)
        file.close()
