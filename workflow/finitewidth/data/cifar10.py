"""CIFAR-10 from the archive of its binary version: fetched, checked and read without unpacking."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from finitewidth import __version__
from finitewidth.core import files
from finitewidth.core.errors import ConfigError
from finitewidth.core.files import make_way
from finitewidth.data import tar

#: The official archive. Its page, https://www.cs.toronto.edu/~kriz/cifar.html, states the MD5; size
#: and SHA-256 stand in tensorflow/datasets (tensorflow_datasets/url_checksums/cifar10.txt), the
#: SHA-256 also in JuliaML/MLDatasets.jl (src/datasets/vision/cifar10.jl).
ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ARCHIVE_BYTES = 170_052_171

CLASSES = 10
SIDE = 32
#: Bytes of one image: its label, then a plane each of red, green and blue, row by row.
RECORD = 1 + 3 * SIDE**2
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
VALIDATION = ("test_batch.bin",)

#: Means and standard deviations of ImageNet's channels, as torchvision's models expect them.
CHANNEL_MEANS = (0.485, 0.456, 0.406)
CHANNEL_DEVIATIONS = (0.229, 0.224, 0.225)
#: Luma of ITU-R BT.601, rounded as torchvision does.
LUMA = (0.2989, 0.587, 0.114)

#: Seconds without a byte after which a download gives up, and the bytes that it fetches at most.
TIMEOUT = 60.0
MOST_BYTES = tar.MOST_BYTES

#: Images that are converted, and bytes that are fetched, at a time.
_IMAGES = 1000
_BYTES = 1 << 20


class DownloadError(OSError):
    """A file that could not be fetched; its message is one sentence."""


class _TooLargeError(Exception):
    """More bytes than any archive of this format has."""


def arrays(path: str, spec: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The images of the five data batches, and those of the test batch for validation.

    Pixels are divided by 255, then normalised channel by channel and turned to gray where ``spec``
    says so.

    Parameters
    ----------
    path : str
        The dotted key of ``spec``, for errors.
    spec : mapping
        ``archive`` (its path), ``url`` (where it can be had), ``sha256`` (hexadecimal, or None: not
        checked), ``grayscale``, ``normalise``, ``train`` and ``validation`` (the first so many
        images, or None: all).

    Returns
    -------
    train_x, train_y, validation_x, validation_y : arrays
        Shapes (sample, channel, 32, 32), float32, and (sample,), int64; one channel if gray, else
        red, green and blue.

    Raises
    ------
    ConfigError
        Where the archive is missing, damaged or not of that format, or has too few images.
    """
    key, file = f"{path}.archive", spec["archive"]
    if file is None or not Path(file).is_file():
        raise ConfigError.at(key, file, f"a file that exists, fetched from {spec['url']}")
    if spec["sha256"] is not None:
        verify(key, file, spec["sha256"])
    tables = _tables(spec["normalise"])
    parts, readings = [], []
    with _opened(key, file) as content:
        members = _members(key, file, content)
        for part, names in (("train", TRAIN), ("validation", VALIDATION)):
            there = sum(members[name].size // RECORD for name in names)
            count = there if spec[part] is None else spec[part]
            if count > there:
                raise ConfigError.at(f"{path}.{part}", count, f"at most {there}: no more are there")
            x = np.empty((count, 1 if spec["grayscale"] else 3, SIDE, SIDE), dtype=np.float32)
            y = np.empty(count, dtype=np.int64)
            parts += [x, y]
            start = 0
            for name in names:
                stop = min(start + members[name].size // RECORD, count)
                readings.append((members[name], x[start:stop], y[start:stop]))
                start = stop
        # In the order of the archive, which need not be that of the batches: each step back would
        # decompress all of it once more.
        for member, x, y in sorted(readings, key=lambda reading: reading[0].start):
            _read(key, file, content, member, x, y, tables)
    train_x, train_y, validation_x, validation_y = parts
    return train_x, train_y, validation_x, validation_y


def verify(key: str, path: str | Path, sha256: str) -> None:
    """Refuse a file whose SHA-256 is not ``sha256``.

    Raises
    ------
    ConfigError
        At the dotted ``key``.
    """
    found = files.sha256(path)
    if found != sha256.lower():
        raise ConfigError.at(key, str(path), f"a file with SHA-256 {sha256} (this one has {found})")


@contextlib.contextmanager
def _opened(key: str, file: str | Path) -> Iterator[io.BufferedIOBase]:
    """The archive; what goes wrong in it while the block reads ends in one sentence."""
    try:
        with tar.opened(file) as content:
            yield content
    except tar.ArchiveError as error:
        raise ConfigError.at(
            key, str(file), f"a whole tar.gz archive (this one is {error})"
        ) from error


def _members(key: str, file: str | Path, content: io.BufferedIOBase) -> dict[str, tar.Stored]:
    """The six batches by name, after the archive was read to its end once."""
    found = tar.stored(content)
    for name in (*TRAIN, *VALIDATION):
        if name not in found:
            allowed = f"CIFAR-10's binary version, with {', '.join((*TRAIN, *VALIDATION))}"
            raise ConfigError.at(key, str(file), f"{allowed} (this one has no {name})")
        size = found[name].size
        if size == 0 or size % RECORD:
            raise ConfigError.at(
                key, str(file),
                f"an archive whose batches are whole records of {RECORD} bytes "
                f"({name} has {size} bytes)",
            )  # fmt: skip
    return found


def _tables(normalise: bool) -> np.ndarray:
    """What becomes of each byte in each channel: shape (3, 256), float64."""
    values = np.arange(256) / 255
    if not normalise:
        return np.stack([values] * 3)
    return (values - np.c_[list(CHANNEL_MEANS)]) / np.c_[list(CHANNEL_DEVIATIONS)]


def _read(
    key: str,
    file: str | Path,
    content: io.BufferedIOBase,
    member: tar.Stored,
    x: np.ndarray,
    y: np.ndarray,
    tables: np.ndarray,
) -> None:
    """Fill ``x`` (sample, channel, 32, 32) and ``y`` (sample,) with a member's first images."""
    content.seek(member.start)
    for start in range(0, len(x), _IMAGES):
        block = slice(start, min(start + _IMAGES, len(x)))
        raw = content.read((block.stop - start) * RECORD)
        records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, RECORD)
        wrong = np.flatnonzero(records[:, 0] >= CLASSES)
        if len(wrong):
            raise ConfigError.at(
                key, str(file),
                f"an archive with labels 0 to {CLASSES - 1} (record {start + wrong[0]}, counted "
                f"from 0, of {member.name} has {records[wrong[0], 0]})",
            )  # fmt: skip
        y[block] = records[:, 0]
        planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
        channels = (table[planes[:, c]] for c, table in enumerate(tables))
        if x.shape[1] == 1:
            x[block, 0] = sum(w * channel for w, channel in zip(LUMA, channels, strict=True))
        else:
            for c, channel in enumerate(channels):
                x[block, c] = channel


def download(
    url: str,
    path: str | Path,
    sha256: str | None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> None:
    """Fetch ``url`` to ``path``, going on where an earlier call was cut off.

    What has arrived stands beside ``path`` in a hidden file until it is whole and checked.

    Parameters
    ----------
    sha256 : str or None
        Hexadecimal; None checks nothing but the length.
    on_bytes : callable (done, total), optional
        Told the bytes that this call has fetched, and all that it has to; not called where the
        server does not say how many these are.

    Raises
    ------
    DownloadError
        Without a connection, on an error of the server, on a timeout and where the connection ends
        early, keeping what has arrived; where the digest is wrong or there are more than
        ``MOST_BYTES``, after removing it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        _fetch(url, part, on_bytes)
    except _TooLargeError:
        part.unlink(missing_ok=True)
        raise DownloadError(
            f"what stands at {url} is larger than {MOST_BYTES} bytes, which no archive of CIFAR-10"
            " is: nothing of it was kept"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{url} cannot be downloaded ({_reason(error)}): "
            f"run again to go on where this ended, or put the archive at {path}"
        ) from error
    if sha256 is not None and (found := files.sha256(part)) != sha256.lower():
        part.unlink()
        raise DownloadError(
            f"what was downloaded from {url} has SHA-256 {found} instead of {sha256} and was "
            f"removed: run again, or put the archive at {path}"
        )
    os.replace(part, path)


def _fetch(url: str, part: Path, on_bytes: Callable[[int, int], None] | None) -> None:
    """Bring ``part`` to the whole length of what stands at ``url``."""
    # Whoever gave this folder away may have put a link there, to a file that is not theirs.
    make_way(part)
    there = part.stat().st_size if part.exists() else 0
    with _answer(url, there) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            there = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length)
        if there + (total or 0) > MOST_BYTES:
            raise _TooLargeError
        done = 0
        with open(part, "r+b" if there else "wb") as file:
            file.seek(there)
            while block := response.read1(_BYTES):
                done += len(block)
                if there + done > MOST_BYTES:
                    raise _TooLargeError
                file.write(block)
                if on_bytes is not None and total:
                    on_bytes(done, total)
            file.flush()
            os.fsync(file.fileno())
    # A read in blocks takes a connection that ends early for the end of the file.
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _answer(url: str, start: int) -> http.client.HTTPResponse:
    """The open response to a request for all bytes from ``start`` on, or simply for all."""
    request = urllib.request.Request(url, headers={"User-Agent": f"finitewidth/{__version__}"})
    if not start:
        return _opener().open(request, timeout=TIMEOUT)
    request.add_header("Range", f"bytes={start}-")
    try:
        response = _opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        return _answer(url, 0)
    given = response.headers.get("Content-Range", "")
    if response.status == http.client.PARTIAL_CONTENT and not given.startswith(f"bytes {start}-"):
        response.close()
        return _answer(url, 0)
    return response


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https alone, also where a server sends it on; never a file of this machine."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _reason(error: Exception) -> str:
    """What went wrong, in a few words on one line."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code} {error.reason}"
    cause = getattr(error, "reason", error)
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(words).split())
