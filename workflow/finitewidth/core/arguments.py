"""Arguments of a function held against its annotations: what does not fit is told in a sentence.

Types tell a checker what is wrong before anything runs. Who types into a notebook has none, and
would read an error from deep inside.
"""

from __future__ import annotations

import functools
import os
import types
import typing
from collections.abc import Callable, Collection, Mapping
from numbers import Integral, Real

import numpy as np

from finitewidth.core.errors import describe, one_line

#: How a person would call what an annotation names; of others it is the name of the class.
_WORDS = {
    "Any": "anything",
    "Architecture": "a network of fw.network",
    "Dataset": "an xarray dataset",
    "DataKernels": "kernels of fw.infinite_width",
    "Member": "a member of a study file",
    "Module": "a torch module",
    "Path": "a path",
    "Perceptron": "a network of fw.perceptron",
    "ReadStudy": "a study of fw.read_study",
    "Results": "results of a member",
    "Study": "a study that was run",
    "Tensor": "a torch tensor",
    "bool": "True or False",
    "float": "a number",
    "int": "a whole number",
    "ndarray": "an array of numbers",
    "str": "a text",
}
_SEVERAL = {"int": "whole numbers", "str": "texts", "Mapping": "mappings", "Dataset": "datasets"}


def check_kinds(function: Callable, given: Mapping[str, object]) -> None:
    """Raise ``ValueError`` in one sentence where an argument is of no kind that its annotation has.

    ``given`` are arguments by their names. What an annotation says of values (lengths, signs) is
    not looked at, and annotations that cannot be read here are passed over.
    """
    kinds = _kinds(function)
    for name, value in given.items():
        if name in kinds and not _is(value, kinds[name]):
            allowed = " or ".join(dict.fromkeys(_words(kinds[name])))
            raise ValueError(one_line(f"{name}: given {describe(value)}, allowed is {allowed}"))


@functools.cache
def _kinds(function: Callable) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, annotation in function.__annotations__.items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= typing.get_type_hints(alone, vars(typing) | function.__globals__)
        except NameError:
            # Of a package that is imported for types alone.
            continue
    return found


def _is(value: object, kind: object) -> bool:
    """Whether a value is of a kind, as far as this module knows the kind."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, one) for one in inner)
    if kind is typing.Any:
        return True
    found: type | None = kind if isinstance(kind, type) else origin
    if not isinstance(found, type):
        return True
    if found in _CHECKS:
        return _CHECKS[found](value)
    if found is os.PathLike or issubclass(found, os.PathLike):
        return isinstance(value, str | os.PathLike)
    if found is Mapping:
        keys = inner[0] if inner else object
        return isinstance(value, Mapping) and all(_is(key, keys) for key in value)
    if found in _SEQUENCES:
        return _is_collection(value) and all(_is(one, inner[0]) for one in typing.cast(list, value))
    if getattr(found, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(found) if not name.startswith("_"))
    return isinstance(value, found)


def _is_array(value: object) -> bool:
    try:
        values = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return values.ndim > 0 and values.dtype.kind in "biuf"


def _is_collection(value: object) -> bool:
    named = isinstance(value, str | bytes | Mapping)
    return isinstance(value, Collection) and not named and getattr(value, "ndim", 1) > 0


def _is_number(value: object, of: type) -> bool:
    # An array of no dimension, or such a tensor, is a number to whoever computes with it.
    alone = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    return isinstance(alone, of) and not isinstance(alone, bool)


_SEQUENCES = (Collection, typing.get_origin(typing.Sequence[int]), list, tuple)
_CHECKS: dict[type, Callable[[object], bool]] = {
    bool: lambda value: isinstance(value, bool | np.bool_),
    float: lambda value: _is_number(value, Real),
    int: lambda value: _is_number(value, Integral),
    np.ndarray: _is_array,
    object: lambda value: True,
}


def _words(kind: object) -> list[str]:
    """What is allowed of a kind, in a person's words."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        # What may be left out need not be told.
        return [word for one in inner if one is not type(None) for word in _words(one)]
    found = origin or kind
    name = getattr(found, "__name__", str(found))
    if found in _SEQUENCES and inner:
        of = getattr(typing.get_origin(inner[0]) or inner[0], "__name__", "")
        return [_SEVERAL.get(of, f"several of {' or '.join(_words(inner[0]))}")]
    if name == "Mapping":
        return ["a mapping"]
    if getattr(found, "_is_protocol", False):
        parts = [part for part in vars(found) if not part.startswith("_")]
        return [f"what has {' and '.join(parts)}"]
    return [_WORDS.get(name, f"a {name}")]
