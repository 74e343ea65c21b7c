"""Packages that only parts of the library take, and what to install where one is missing."""

from __future__ import annotations

import importlib.abc
import inspect
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Names of packages as they are imported, and the extra of pyproject.toml that installs them.
EXTRAS = {
    "PIL": "figures",
    "fastparquet": "workflow",
    "matplotlib": "figures",
    "pingouin": "workflow",
    "rocrate": "workflow",
    "seaborn": "figures",
    "sklearn": "workflow",
    "snakemake": "workflow",
    "torch": "torch",
}
_LIBRARY = __name__.partition(".")[0]


class MissingExtraError(ModuleNotFoundError):
    """A package of an extra is not installed; the message is one sentence that says what to do."""

    def __init__(self, package: str) -> None:
        extra = EXTRAS[package]
        super().__init__(
            f"this part of {_LIBRARY} takes {package}, which is not installed:"
            f" pip install '{_LIBRARY}[{extra}]'",
            name=package,
        )


class _Told(importlib.abc.MetaPathFinder):
    """Asked last, for what no other finder found: it finds nothing, and says so in a sentence.

    Only imports that stand in this library are answered so. What others try for themselves, with
    their own way out, goes on as it was.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in EXTRAS and _asked_by_library():
            raise MissingExtraError(fullname)
        return None


def _asked_by_library() -> bool:
    """Whether the import that is under way stands in a module of this library."""
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not name.startswith("importlib") and name != __name__:
            return name.partition(".")[0] == _LIBRARY
        frame = frame.f_back
    return False


def tell() -> None:
    """From now on, a missing extra is told in one sentence."""
    if not any(isinstance(finder, _Told) for finder in sys.meta_path):
        sys.meta_path.append(_Told())
