"""Typed members as plain data, which parameters of rules and stamps hold, and back again."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

One = TypeVar("One")
Other = TypeVar("Other")
Third = TypeVar("Third")
Fourth = TypeVar("Fourth")


def plain(of: object, *kinds: type) -> dict[str, Any]:
    """A dataclass as mappings, lists, texts and numbers.

    Parameters
    ----------
    of : dataclass
    kinds : type
        Classes that ``of`` may be an instance of. The first one that fits says which fields are
        taken, so that what a stage does not use is left out. All of its own where none is given.

    Raises
    ------
    TypeError
        If it is an instance of none of them.
    """
    kind = next((kind for kind in kinds or (type(of),) if isinstance(of, kind)), None)
    if kind is None:
        raise TypeError(f"{type(of).__name__} is none of {_named(kinds)}")
    return {name: _plain(getattr(of, name)) for name in _types(kind)}


@overload
def of_plain(data: Mapping, kind: type[One], /) -> One: ...


@overload
def of_plain(data: Mapping, kind: type[One], other: type[Other], /) -> One | Other: ...


@overload
def of_plain(
    data: Mapping, kind: type[One], other: type[Other], third: type[Third], /
) -> One | Other | Third: ...


@overload
def of_plain(
    data: Mapping,
    kind: type[One],
    other: type[Other],
    third: type[Third],
    fourth: type[Fourth],
    /,
) -> One | Other | Third | Fourth: ...


def of_plain(data: Mapping, *kinds: type) -> object:
    """The dataclass that :func:`plain` made ``data`` of: an instance of the first kind that fits.

    Raises
    ------
    ValueError
        In one sentence: a field that is missing, unknown, or of another type.
    """
    problems = []
    for kind in kinds:
        try:
            return _typed(kind, data, kind.__name__)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError("; ".join(problems))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _types(type(value))}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _typed(kind: Any, value: Any, where: str) -> Any:
    """``value`` as a type of a field: tuples for lists, dataclasses for mappings."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for each in arguments:
            try:
                return _typed(each, value, where)
            except ValueError as error:
                problem = error
        raise problem
    if is_dataclass(kind):
        return _of_mapping(kind, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_typed(arguments[0], v, where) for v in value)
    if origin is Literal:
        fits = value in arguments
    elif origin is tuple:
        fits = False
    else:
        fits = _fits(origin or kind, value)
    if not fits:
        raise ValueError(f"{where} is {value!r}, where {_words(kind)} belongs")
    return value


def _of_mapping(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {value!r}, where a mapping belongs")
    wanted = _types(kind)
    if missing := sorted(set(wanted) - set(value)):
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(set(value) - set(wanted)):
        raise ValueError(f"{where} has no {', '.join(unknown)}")
    return kind(**{k: _typed(hint, value[k], f"{where}.{k}") for k, hint in wanted.items()})


def _fits(kind: type, value: object) -> bool:
    if isinstance(value, bool):
        # Which Python counts among the whole numbers.
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _words(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)


def _named(kinds: tuple[type, ...]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
