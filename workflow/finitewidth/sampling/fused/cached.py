"""Compiled code that is kept on disk, so that a job loads what another one has compiled.

Numba keeps it beside the source, in ``__pycache__``, or where that cannot be written in the user's
folder of caches (``NUMBA_CACHE_DIR`` names another); apart for each kind of processor, each version
of numba, and each type of the arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from numba import njit


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
    function = make(_version())
    try:
        return njit(error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba's word for no folder that it may write to
        return njit(error_model="numpy")(function)
