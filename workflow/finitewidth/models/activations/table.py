"""The table of activations, read off the files beside this one.

A file ``<name>.py`` holds ``ACTIVATION``, an entry of the table, or a function ``with_argument``,
which makes one from a number; extensions declare more. Everything else (Gaussian moments, kernels,
critical points) is computed from what an entry holds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from finitewidth.extensions.loaded import check, declared, entry_of
from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.own import wrong, wrong_on_tensors

_FOLDER = Path(__file__).parent
TABLE: dict[str, Activation] = {}
#: Those that are made from a number.
FAMILIES: dict[str, Callable[[float], Activation]] = {}
for _file in sorted(_FOLDER.glob("[a-z]*.py")):
    if _file.stem not in ("activation", "own", "table"):
        _module = import_module(f"{__package__}.{_file.stem}")
        if hasattr(_module, "ACTIVATION"):
            TABLE[_file.stem] = _module.ACTIVATION
        else:
            FAMILIES[_file.stem] = _module.with_argument

for _name, _own in declared("ACTIVATIONS", Activation, {*TABLE, *FAMILIES}).items():
    check("ACTIVATIONS", _name, functools.partial(wrong, _own))
    TABLE[_name] = _own

_WITH_ARGUMENT = re.compile(r"(\w+)\((-?[0-9.]+(?:[eE][-+]?[0-9]+)?)\)")


def _argument(text: str) -> float | None:
    """The number that ``text`` spells, or None if it is no number of a reasonable size."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= 1e3 else None


def names() -> list[str]:
    """Every name that :func:`get` takes, families with their argument spelled out."""
    return sorted([*TABLE, *(f"{family}(slope)" for family in FAMILIES)])


def get(name: str) -> Activation:
    """Return the activation called ``name``, for example ``"tanh"`` or ``"leaky_relu(0.1)"``.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    if name in TABLE:
        return TABLE[name]
    match = _WITH_ARGUMENT.fullmatch(name)
    if match and match[1] in FAMILIES:
        argument = _argument(match[2])
        if argument is not None:
            return FAMILIES[match[1]](argument)
    raise ValueError(f"unknown activation {name!r}; allowed are {', '.join(names())}")


def check_on_tensors(torch: ModuleType, name: str) -> None:
    """Raise ``ConfigError`` where an activation of an extension is another function to torch."""
    if entry_of("ACTIVATIONS", name):
        check("ACTIVATIONS", name, lambda: wrong_on_tensors(torch, TABLE[name]))


def file_of(name: str) -> str:
    """The file of the library that holds an activation, or what stamps call an extension's."""
    own = entry_of("ACTIVATIONS", name)
    return own or f"models/activations/{name.partition('(')[0]}.py"
