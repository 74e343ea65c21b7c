"""Files that somebody else may have put there: what is safe to read, to write and to pack."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

#: Where a system shows its own state as files, of which some never end.
_SYSTEM = ("/proc", "/sys", "/dev")
MISSING = "there is no such file"
#: Why netCDF files cannot stand below some folders.
BACKSLASH = "libnetCDF takes a backslash in a path for the end of a folder's name"


def unreadable(path: str | Path) -> str | None:
    """Why a path cannot be read as a file of data, in words; None where it can.

    A file that says how long it is ends there. Of devices, pipes and what a system shows of itself
    nobody knows.
    """
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    if stat.S_ISDIR(about.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(about.st_mode):
        return "it is a device, a pipe or a socket, and no file"
    if about.st_dev in _system_devices():
        return "it is what the system shows of itself, and no file"
    if not os.access(path, os.R_OK):
        return "you may not read it"
    return None


def _system_devices() -> set[int]:
    """Device numbers of the system's own file systems (of devices and processes, for example),
    without the one that ordinary files stand on."""
    found = {os.stat(place).st_dev for place in _SYSTEM if os.path.isdir(place)}
    return found - {os.stat("/").st_dev}


def bounded_sha256(path: str | Path) -> str:
    """SHA-256 of a file up to the length that it says it has, in hexadecimal."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (block := file.read(min(left, 2**20))):
            total.update(block)
            left -= len(block)
    return total.hexdigest()


def make_way(path: str | Path) -> None:
    """Take away what stands at ``path`` unless it is a file of that one name, or a true folder.

    What is then written there changes nothing elsewhere: a link would lead to what it names, a file
    of two names is another one, too, and a pipe waits for a reader.
    """
    try:
        about = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    plain = stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    if not (plain or stat.S_ISDIR(about.st_mode)):
        os.unlink(path)


def inside(folder: str | Path, name: str) -> Path | None:
    """The file of that relative name in a folder, with all links followed; None where it is none.

    Nothing is read, and nothing outside is named: not by ``..``, a whole path or a link on the way.
    """
    parts = name.split("/")
    if "\0" in name or {"", ".", ".."} & set(parts):
        return None
    root = os.path.realpath(folder)
    try:
        path = Path(os.path.realpath(os.path.join(root, *parts)))
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):
        # No name of a file: too long, or with halves of characters.
        return None


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place only if the block ends well.

    No two writers share one, on whatever machines they are; what a killed one left goes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = rf"\.{re.escape(path.stem)}\.[0-9a-f]{{16}}\.part{re.escape(path.suffix)}"
    for left in path.parent.glob(".*.part*"):
        if re.fullmatch(name, left.name):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
