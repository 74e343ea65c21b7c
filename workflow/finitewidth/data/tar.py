"""The plain files of a tar.gz archive that may come from anywhere, read without unpacking it.

The standard library reads it. Here stand the bounds, and what it would follow and a stranger could
misuse: extensions, which can make it hold as much in memory as a few bytes declare.
"""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tarfile import TarFile, TarInfo

#: Bytes to which an archive may expand, and headers that it may have: CIFAR-10 has 184 million and
#: nine.
MOST_BYTES = 2**28
MOST_MEMBERS = 1000

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
#: Behind these nothing stands, whatever size they declare.
_EMPTY = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE,
          tarfile.FIFOTYPE)  # fmt: skip
#: A type that no format knows: the library skips such a member by its size.
_UNKNOWN = b"?"


class ArchiveError(OSError):
    """An archive that cannot be read; its message says in a few words what it is instead."""


@contextlib.contextmanager
def opened(file: str | Path) -> Iterator[tuple[TarFile, dict[str, TarInfo]]]:
    """The archive, read to its end once, and the last plain file of each name without folders.

    Raises
    ------
    ArchiveError
        Where it is no tar.gz, damaged, cut short, or larger than ``MOST_BYTES`` or
        ``MOST_MEMBERS``; also for what the block comes upon while it reads.
    """
    try:
        with (
            gzip.open(file) as content,
            tarfile.open(fileobj=content, mode="r:", tarinfo=_Header) as archive,
        ):
            files = _files(archive)
            # To the end, behind which gzip's checksum is looked at.
            while content.read(1 << 20):
                if content.tell() > MOST_BYTES:
                    raise ArchiveError(f"too large: it expands to more than {MOST_BYTES} bytes")
            yield archive, files
    except ArchiveError:
        raise
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ArchiveError(f"damaged or cut short: {error}") from error


def _files(archive: TarFile) -> dict[str, TarInfo]:
    found = {}
    for count, member in enumerate(archive):
        if count == MOST_MEMBERS:
            raise ArchiveError(f"too large: it has more than {MOST_MEMBERS} members")
        # Looked at before the library goes on to what stands behind.
        if member.offset_data + member.size > MOST_BYTES:
            raise ArchiveError(f"too large: it declares more than {MOST_BYTES} bytes")
        if member.isreg():
            found[PurePosixPath(member.name).name] = member
    return found


class _Header(TarInfo):
    """A header that names no extension; one that cannot be read ends in an error, not the list."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # A block of zeros is the end of every tar.
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise ArchiveError(f"damaged or cut short: {error}") from error
        if header.size < 0:
            raise ArchiveError("damaged or cut short: a size below 0")
        if header.type in _EMPTY:
            header.size = 0
        elif header.type not in _FILES:
            header.type = _UNKNOWN
        return header
