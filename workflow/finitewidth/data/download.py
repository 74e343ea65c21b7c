"""Archives fetched from a server: gone on with where a download was cut off, bounded, checked."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from finitewidth import __version__
from finitewidth.core.files import make_way, replacing, unreadable
from finitewidth.core.files import sha256 as sha256_of
from finitewidth.data import tar

#: Seconds without a byte after which a download gives up, and the bytes that it fetches at most.
TIMEOUT = 60.0
MOST_BYTES = tar.MOST_BYTES

#: Bytes that are fetched at a time.
_BYTES = 1 << 20


class DownloadError(OSError):
    """A file that could not be fetched; its message is one sentence."""


class _TooLargeError(Exception):
    """More bytes than any archive of this format has."""


def copied(paths: Iterable[str | Path], path: str | Path, sha256: str | None) -> bool:
    """Copy the first of ``paths`` that has the digest to ``path``; whether there was one."""
    for other in paths:
        if sha256 and not unreadable(other) and sha256_of(other) == sha256.lower():
            with replacing(path) as temporary:
                shutil.copyfile(other, temporary)
            return True
    return False


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
    if sha256 is not None and (found := sha256_of(part)) != sha256.lower():
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
