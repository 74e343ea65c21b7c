"""Named sets of input vectors, each of a kind that stands in a file of ``kinds/``.

A file ``<kind>.py`` holds ``Inputs``, the model of its keys with ``kind`` among them, and
``vectors(path, spec, stream)``, which makes an array of shape (inputs, n_0) of the keys as plain
data; ``path`` names the entry in sentences. The docstring of ``Inputs`` is its line in
config/README.md.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np

from finitewidth.core.errors import ConfigError
from finitewidth.core.random import numpy_stream
from finitewidth.data.kinds.kind import InputKind, Kind
from finitewidth.extensions.loaded import check, declared, entry_of

#: Kinds by their names.
KINDS: dict[str, ModuleType | InputKind] = {
    file.stem: import_module(f"finitewidth.data.kinds.{file.stem}")
    for file in sorted((Path(__file__).parent / "kinds").glob("[a-z]*.py"))
    if file.stem != "kind"
}


def _wrong(name: str, own: ModuleType | InputKind) -> tuple[str, str] | None:
    """Why a kind, the library's own too, is none: what is given, and what is allowed."""
    model = own.Inputs
    if not (isinstance(model, type) and issubclass(model, Kind)):
        return f"{name}.Inputs that is no model of keys", "a class below Kind"
    if get_args(getattr(model.model_fields.get("kind"), "annotation", None)) != (name,):
        return f"{name}.Inputs without its kind", f'the key kind: Literal["{name}"]'
    if "count" not in model.model_fields and not hasattr(model, "count"):
        return f"{name}.Inputs without count", "a key or a property count"
    if not callable(own.vectors):
        return f"{name}.vectors that is no function", "a function"
    return None


for _name, _kind in KINDS.items():
    if _told := _wrong(_name, _kind):
        raise ConfigError(f"data/kinds/{_name}.py: given {_told[0]}, allowed is {_told[1]}")
_OWN = declared("KINDS", InputKind, set(KINDS))
for _name, _kind in _OWN.items():
    check("KINDS", _name, functools.partial(_wrong, _name, _kind))
KINDS |= _OWN


def file_of(kind: str) -> str:
    """The file of the library that holds a kind, or what stamps call an extension's."""
    return entry_of("KINDS", kind) or f"data/kinds/{kind}.py"


def vectors(name: str, spec: Mapping, seed: int) -> np.ndarray:
    """The input vectors that ``spec`` (one entry of the config's ``inputs``) describes.

    Returns
    -------
    array, shape (inputs, n_0), float64

    Raises
    ------
    ConfigError
        Where a file or the data in it is not what the config says.
    """
    stream = numpy_stream(seed, "inputs", name)
    x = KINDS[spec["kind"]].vectors(f"inputs.{name}", spec, stream)
    return _checked(f"inputs.{name}", spec, x) if spec["kind"] in _OWN else x


def _checked(path: str, spec: Mapping, x: object) -> np.ndarray:
    """What a kind of an extension has made, once it is what input vectors are."""
    if not (isinstance(x, np.ndarray) and x.ndim == 2 and min(x.shape) and x.dtype.kind in "iuf"):
        given = f"{type(x).__name__} of shape {getattr(x, 'shape', ())}"
    elif not np.isfinite(x).all():
        given = "an array with NaN or infinity"
    elif (count := _OWN[spec["kind"]].Inputs.model_validate(spec).count) not in (None, len(x)):
        given = f"{len(x)} vectors where count is {count}"
    else:
        return np.asarray(x, dtype=np.float64)
    allowed = "an array of shape (inputs, n_0) of finite real numbers, from the extension's vectors"
    raise ConfigError.at(path, given, allowed)
