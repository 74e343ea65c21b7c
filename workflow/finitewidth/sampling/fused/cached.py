"""Compiled code that is kept on disk, so that a job loads what another one has compiled.

Numba keeps it beside the source, in ``__pycache__``, or where that cannot be written in the user's
folder of caches (``NUMBA_CACHE_DIR`` names another); apart for each kind of processor, each version
of numba, and each type of the arguments.

Jobs that start together would all compile the same. So who compiles holds a lock on a file in that
folder, which goes with the process, and leaves a note behind when it is done; the others wait, and
load. Neither is needed for a right result: where a file system knows no locks, where nothing can be
written, or where the wait is too long, each compiles for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import config, njit, typeof

#: Seconds that a job waits for another one that compiles, which takes a tenth of that.
PATIENCE = 120.0


def _version() -> str:
    """What tells this package's code from any other: a digest of its files."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def cached(make: Callable[[str], Callable]) -> Callable:
    """The compiled function that ``make`` defines, given the version of the code.

    The function must mention the version. Numba compiles anew when the file of the function has
    changed, but not when the file of a function that it calls has; a string that the function
    closes over is a part of what numba looks for. Where nothing can be written, each process
    compiles for itself.
    """
    version = _version()
    function = make(version)
    try:
        compiled = njit(error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba's word for no folder that it may write to
        return njit(error_model="numpy")(function)
    ready = set()

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        kinds = tuple(map(typeof, arguments))
        if kinds not in ready:
            what = f"{function.__module__} {function.__name__} {kinds}"
            with _one_at_a_time(compiled.stats.cache_path, version, what):
                compiled.compile(kinds)
            ready.add(kinds)
        return compiled(*arguments)

    call.dispatcher = compiled  # type: ignore[attr-defined]
    return call


@contextlib.contextmanager
def _one_at_a_time(folder: str | None, version: str, what: str) -> Iterator[None]:
    """Alone with what is not compiled yet, as far as locks reach; together with what is."""
    given = [getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES")]
    processor = [llvm.get_host_cpu_name(), *llvm.get_host_cpu_features().items(), *given]
    name = hashlib.sha256(f"{numba.__version__} {processor} {what}".encode()).hexdigest()[:24]
    note = Path(folder or "") / f"{version[:8]}-{name}.compiled"
    if not folder or note.exists():
        yield
        return
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            file = held.enter_context(open(note.with_suffix(".lock"), "a", encoding="utf-8"))
            _wait_for(file.fileno(), note)
        yield
        # Whatever another process does with these, the next one only waits, or compiles.
        with contextlib.suppress(OSError):
            note.touch()
            note.with_suffix(".lock").unlink()
            for old in note.parent.glob("*-*.compiled"):
                if not old.name.startswith(version[:8]):
                    old.unlink()


def _wait_for(file: int, note: Path) -> None:
    """Hold the lock on a file, or see the note of another process that held it, or give up."""
    until = time.monotonic() + PATIENCE
    while not note.exists() and time.monotonic() < until:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return
