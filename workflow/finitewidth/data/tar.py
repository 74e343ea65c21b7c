"""Where the files of a tar.gz archive stand in it, told without unpacking anything.

By hand, since an archive may come from anywhere: the standard library also follows extensions,
which can make it read without end or keep as much in memory as a few bytes declare. Here a member
is a header of 512 bytes and what stands behind it; its name is only compared, never a path.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: Bytes to which an archive may expand, and headers that it may have: CIFAR-10 has 184 million and
#: nine.
MOST_BYTES = 2**28
MOST_MEMBERS = 1000

_BLOCK = 512
#: Types of plain files, and of links, devices and folders, behind which nothing stands.
_PLAIN, _EMPTY = (b"0", b"\0"), (b"1", b"2", b"3", b"4", b"5", b"6")


class ArchiveError(OSError):
    """An archive that cannot be read; its message says in a few words what it is instead."""


@dataclass(frozen=True)
class Stored:
    """A plain file: its name without folders, where its bytes start, and how many there are."""

    name: str
    start: int
    size: int


@contextlib.contextmanager
def opened(file: str | Path) -> Iterator[io.BufferedIOBase]:
    """The bytes of the tar inside; whatever is wrong with them raises ``ArchiveError``."""
    try:
        with gzip.open(file) as tar:
            yield tar
    except ArchiveError:
        raise
    except (zlib.error, EOFError, OSError) as error:
        raise ArchiveError(f"damaged or cut short: {error}") from error


def stored(tar: io.BufferedIOBase) -> dict[str, Stored]:
    """The plain files by name, the last one of each, after all was read to its end once.

    Raises
    ------
    ArchiveError
        Where it is no tar, cut short, or larger than ``MOST_BYTES`` or ``MOST_MEMBERS``.
    """
    found: dict[str, Stored] = {}
    end = 0
    for _ in range(MOST_MEMBERS):
        tar.seek(end)
        header = tar.read(_BLOCK)
        if len(header) == _BLOCK and not any(header):
            _drain(tar)
            return found
        size = _size(header, end)
        kind, start = header[156:157], end + _BLOCK
        if kind in _PLAIN:
            name = PurePosixPath(header[:100].split(b"\0")[0].decode("utf-8", "replace")).name
            found[name] = Stored(name, start, size)
        end = start if kind in _EMPTY else start - (-size // _BLOCK) * _BLOCK
        if end > MOST_BYTES:
            raise ArchiveError(f"too large: it declares more than {MOST_BYTES} bytes")
    raise ArchiveError(f"too large: it has more than {MOST_MEMBERS} members")


def _size(header: bytes, at: int) -> int:
    """The size that a header declares, after its checksum was looked at."""
    if len(header) < _BLOCK:
        raise ArchiveError(f"damaged or cut short: it ends at byte {at + len(header)}")
    places = ((124, 136), (148, 156))
    size, checksum = (re.fullmatch(rb" *([0-7]+)[ \0]*", header[a:b]) for a, b in places)
    counted = sum(header[:148] + b" " * 8 + header[156:])
    # The checksum counts its own place as blanks.
    if size is None or checksum is None or int(checksum[1], 8) != counted:
        raise ArchiveError(f"damaged or cut short: what stands at byte {at} is no header")
    return int(size[1], 8)


def _drain(tar: io.BufferedIOBase) -> None:
    """Read to the end, behind which gzip's checksum is looked at."""
    while tar.read(1 << 20):
        if tar.tell() > MOST_BYTES:
            raise ArchiveError(f"too large: it expands to more than {MOST_BYTES} bytes")
