"""Digests: of files, of samples, and of a file that carries its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from finitewidth.core.files import sha256

#: Where a stamp has its file's own digest.
OWN = "content_sha256"
#: What stands there while that digest is taken.
UNKNOWN = 64 * "0"
_OWN = re.compile(rb'"content_sha256":"([0-9a-f]{64})"')
#: How the description of a table begins, which has its digest before anything that a user named.
_HEAD = '{{\n "@context": "http://www.w3.org/ns/csvw",\n "dc:identifier": "sha256:{}",\n'
_OWN_IN_HEAD = re.compile(
    re.escape(_HEAD.format("DIGEST")).replace("DIGEST", "([0-9a-f]{64})").encode()
)


def canonical(data: object) -> str:
    """``data`` as JSON with one spelling: keys sorted, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=list)


def digest_of_data(data: object) -> str:
    """SHA-256 of plain data, in its one spelling."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def samples_digest(shards: Sequence) -> str:
    """SHA-256 of what the files of one member's samples hold, the same for any division of it.

    Each shard is an ``xarray.Dataset`` with the coordinate ``network``; attributes do not count.
    What has the dimension ``network`` or ``island`` is divided among them.

    Raises
    ------
    ValueError
        Where the shards do not hold the same variables.
    """
    shards = sorted(shards, key=lambda shard: int(shard["network"][0]))
    total = hashlib.sha256()
    if any(shard.variables.keys() != shards[0].variables.keys() for shard in shards):
        raise ValueError("its files do not hold the same variables")
    for name in sorted(shards[0].variables):
        first = shards[0][name]
        along = next((dim for dim in ("network", "island") if dim in first.dims), None)
        divided = along is not None
        total.update(f"{name} {first.dtype} {first.dims} {divided or first.shape}\n".encode())
        for shard in shards if divided else shards[:1]:
            values = shard[name].transpose(along, ...) if divided else shard[name]
            total.update(values.values.tobytes())
    return total.hexdigest()


def seal(path: str | Path) -> None:
    """Add a last line to a netCDF file, which says the digest of the bytes before.

    Its readers skip it: HDF5 knows where its own bytes end.
    """
    line = _last_line(sha256(path))
    with open(path, "ab") as file:
        file.write(line)


def has_seal(path: str | Path) -> bool:
    """Whether a file ends in the line that :func:`seal` adds, and no byte before was changed."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        left = os.fstat(file.fileno()).st_size - len(_last_line(UNKNOWN))
        while left > 0 and (part := file.read(min(left, 2**20))):
            total.update(part)
            left -= len(part)
        return file.read() == _last_line(total.hexdigest())


def _last_line(digest: str) -> bytes:
    return f'\n{{"{OWN}":"{digest}"}}\n'.encode()


def sealed(content: bytes) -> bytes:
    """The bytes of a file whose stamp says ``UNKNOWN`` of itself, with their digest in its place.

    So a file tells by itself, wherever it was copied, whether a byte of it was changed.
    """
    return _with_digest(content, hashlib.sha256(content).hexdigest())


def is_sealed(content: bytes) -> bool:
    """Whether the digest in a file is that of its other bytes."""
    found = _place(content)
    if not found:
        return False
    return hashlib.sha256(_with_digest(content, UNKNOWN)).hexdigest() == found[1].decode()


def table_head() -> str:
    """The beginning of the description of a table (a JSON object), before it is :func:`sealed`."""
    return _HEAD.format(UNKNOWN)


def _place(content: bytes) -> re.Match[bytes] | None:
    """Where a file says its own digest, as group 1."""
    if content.startswith(b"PAR1"):
        # Parquet has what it says of itself at its end, behind texts of the table.
        return next(reversed(list(_OWN.finditer(content))), None)
    return _OWN_IN_HEAD.match(content) or _OWN.search(content)


def _with_digest(content: bytes, digest: str) -> bytes:
    place = _place(content)
    if not place:
        raise ValueError(f"no stamp with {OWN}")
    content = content[: place.start(1)] + digest.encode() + content[place.end(1) :]
    if not content.startswith(b"\x89PNG"):
        return content
    # The chunk that holds the stamp has a checksum of its own, at its end.
    start, end = next((a, b) for a, b in png_chunks(content) if b > place.start())
    checksum = struct.pack(">I", zlib.crc32(content[start:end]))
    return content[:end] + checksum + content[end + 4 :]


def png_chunks(content: bytes) -> Iterator[tuple[int, int]]:
    """Where the chunks of a PNG file begin (with four letters, their kind) and end."""
    start = 12
    while start + 4 <= len(content):
        end = start + 4 + struct.unpack(">I", content[start - 4 : start])[0]
        yield start, end
        start = end + 8
