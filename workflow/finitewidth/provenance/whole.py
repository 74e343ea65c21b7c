"""Whether a file of results is there, and has the bytes that it was written with."""

from __future__ import annotations

import json
from pathlib import Path

from finitewidth.core.files import MISSING, sha256, unreadable
from finitewidth.provenance.digests import has_seal, is_sealed

#: What is added to the name of a table for the file beside it that says what it is.
BESIDE = "-metadata.json"
#: What comes of a file that is of another shape.
UNREADABLE = (
    OSError, LookupError, AttributeError, TypeError, ValueError, StopIteration, RecursionError,
    MemoryError,
)  # fmt: skip


class ArtifactError(Exception):
    """A file of results that cannot be read, or is not the kind of file that it should be."""


class DamagedError(ArtifactError):
    """A file of results whose bytes are not those that were written."""

    def __init__(self, path: str | Path, problem: object) -> None:
        super().__init__(f"{path} is damaged ({problem})")
        self.path = Path(path)


def beside(path: str | Path) -> Path:
    """Where the file stands that says what a table is."""
    return Path(f"{path}{BESIDE}")


def files_of(path: Path) -> list[Path]:
    """The files that an artifact is made of: of a table, also what says what it is."""
    return [path, beside(path)] if path.suffix == ".csv" else [path]


def check(path: str | Path) -> None:
    """Hold the bytes of an artifact of any kind against the digest in it, of a table beside it.

    They are, before a library for its format sees them: HDF5 can wait for ever on a file in which
    one bit was flipped.

    Raises ``DamagedError`` where it was altered, ``ArtifactError`` where it is missing.
    """
    path = Path(path)
    check_file(path)
    if path.suffix == ".csv":
        # Whose digest is worth what that of the file beside it is.
        check(beside(path))
    try:
        if path.suffix == ".csv":
            whole = described(path)["schema:sha256"] == sha256(path)
        elif path.suffix == ".nc":
            whole = has_seal(path)
        else:
            whole = is_sealed(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing") from None
    except UNREADABLE as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from error
    if not whole:
        raise DamagedError(path, "its bytes do not have the digest that they were written with")


def described(path: Path) -> dict:
    """What stands beside a table."""
    return json.loads(beside(path).read_bytes())


def check_file(path: str | Path) -> None:
    """A pipe would be waited for, and a device never ends."""
    problem = unreadable(path)
    if problem:
        said = "is missing" if problem == MISSING else f"cannot be read: {problem}"
        raise ArtifactError(f"{str(path) or repr('')} {said}")
