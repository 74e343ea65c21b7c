"""Estimates with errors from samples: a dataset a member.

It may import `core`, `quantities`. Start at `families.py`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _AlsoCalled(ModuleType):
    """This room; called, it is `fw.estimate` of the library's face, which has the room's name.

    Python makes a package an attribute of the one above as soon as it is imported, whatever stood
    there by its name.
    """

    def __call__(self, *given: Any, **more: Any) -> Any:
        return self._function(*given, **more)

    @property
    def _function(self) -> Any:
        return import_module("finitewidth.face.one_ensemble").estimate

    @property
    def __signature__(self) -> Any:
        return import_module("inspect").signature(self._function)


sys.modules[__name__].__class__ = _AlsoCalled
