"""Families and figures of extensions, each checked before anything is computed with it."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from finitewidth.core.errors import one_of
from finitewidth.extensions.loaded import (
    OwnFunction,
    check,
    check_new,
    declared,
    entry_of,
    extension_of,
)
from finitewidth.quantities.description import (
    AT_COUPLES,
    AT_INPUTS,
    AT_PAIRS,
    Family,
    FigureEntry,
    Quantity,
)

#: What a family is estimated from: the variables of the samples that it may read, and the
#: dimensions that its quantities begin with.
_FROM: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "layer": (
        ("kernel", "quartic", "sextic", "preactivation", "gradient", "jacobian", "entropy"),
        ("layer",),
    ),
    "ladder": (("conditional_kernel", "drive"), ("rung", "layer")),
    "last_layer": (("ntk", "output_preactivation", "conditional_kernel", "dntk"), ("layer",)),
}
_MORE = {*AT_INPUTS, *AT_PAIRS, *AT_COUPLES, "quad", "rank", "bin", "probability", "neuron",
         "neuron_"} - {"layer"}  # fmt: skip
#: Names of quantities; those that end otherwise belong to errors, and to coefficients of 1/n.
_NAME = re.compile(
    r"(?!.*_(stderr|trusted|reason|diagnostic|neglected|rungs|left|right|a|b|c|d|1|2)$)"
    r"[A-Za-z]\w{0,39}",
    re.ASCII,
)
_NAMED = (
    "a name of at most 40 letters, digits and _ that starts with a letter, is no dimension, and"
    " does not end as names of errors and coefficients do (_stderr, _1, ...)"
)
_TAKEN = {"width", "order", "overlap", "sample", "test", "way", "way_operations", "network",
          "not_finite_networks", "not_finite_first"}  # fmt: skip


@functools.cache
def _families() -> dict[str, Family]:
    found = declared("FAMILIES", Family, ())
    for name, family in found.items():
        check("FAMILIES", name, functools.partial(_wrong, family))
    return {name: _held(family) for name, family in found.items()}


def families(made_of: str) -> tuple[Family, ...]:
    """Families of extensions that are estimated from ``made_of``, as :class:`Family` has it."""
    return tuple(family for family in _families().values() if family.made_of == made_of)


def figures(known: Collection[str], families: Collection[str]) -> dict[str, FigureEntry]:
    """Figures of extensions; ``known`` are the library's own, ``families`` all there are."""
    found = declared("FIGURES", FigureEntry, known)
    for name, entry in found.items():
        check("FIGURES", name, functools.partial(_wrong_figure, name, entry, families))
    parts = {name: _part("FIGURES", name, entry.module) for name, entry in found.items()}
    return {
        name: FigureEntry(parts[name], tuple(entry.families), entry.caption)
        for name, entry in found.items()
    }


def _wrong_figure(
    name: str, entry: FigureEntry, families: Collection[str]
) -> tuple[str, str] | None:
    """What of a figure cannot be as it is, and what is allowed."""
    if not callable(entry.module):
        return f"{name} without a function", "FigureEntry(function, ...)"
    if not isinstance(entry.caption, str) or not entry.caption.strip():
        return f"{name} without a caption", "a sentence"
    if not isinstance(entry.families, tuple | list) or not entry.families:
        return f"{name} without families", "a tuple of names of families"
    unknown = [family for family in entry.families if family not in families]
    return (f"{name} of the family {unknown[0]!r}", one_of(families)) if unknown else None


def check_names(known: Collection[Family], trained: Mapping[str, Sequence[str]]) -> None:
    """Raise ``ConfigError`` for a family, or a quantity, of an extension whose name is taken.

    ``known`` are the library's families of random networks, ``trained`` those of trained ones.
    """
    names = {family.name for family in known} | set(trained)
    quantities = {q for family in known for q in family.names}
    quantities |= {q for each in trained.values() for q in each}
    for name, family in _families().items():
        one = extension_of("FAMILIES", name)
        check_new(one, "FAMILIES", name, names)
        for quantity in family.names:
            if quantity in quantities:
                raise one.refused(f"{name} with the quantity {quantity}", "a name that is new")
            quantities.add(quantity)


def quantities() -> dict[str, Quantity]:
    """Quantities of extensions by their names."""
    return {q.name: q for family in _families().values() for q in family.quantities}


def _wrong(family: Family) -> tuple[str, str] | None:
    """What of a family cannot be as it is, and what is allowed."""
    name = family.name
    if family.made_of not in _FROM:
        return f"{name}.made_of {family.made_of!r}", one_of(_FROM)
    records, begin = _FROM[family.made_of]
    if not callable(family.estimator):
        return f"{name}.estimator that is no function", "a function"
    if family.theory != "" and not callable(family.theory):
        return f"{name}.theory that is no function", "a function, or nothing"
    if not set(family.records) <= set(records) or not family.records:
        allowed = f"some of {', '.join(records)}, from which a {family.made_of} is read"
        return f"{name}.records {family.records!r}", f"a tuple of {allowed}"
    if not family.quantities or not all(isinstance(q, Quantity) for q in family.quantities):
        return f"{name}.quantities that are none", "a tuple of Quantity"
    if not (family.most_inputs is None or isinstance(family.most_inputs, int)):
        return f"{name}.most_inputs {family.most_inputs!r}", "a whole number, or None"
    if not (isinstance(family.price, int | float) and callable(family.reads)):
        return f"{name}.price or reads of another kind", "a number, and a function"
    for q in family.quantities:
        if not all(isinstance(text, str) for text in (q.name, q.meaning, q.equation, q.source)):
            return f"{name} with a quantity whose texts are none", "name, meaning, equation, source"
        if not _NAME.fullmatch(q.name) or q.name in _TAKEN | _MORE | {"layer", "rung"}:
            return f"the quantity {q.name!r}", _NAMED
        rest = q.dims[len(begin) :]
        if q.dims[: len(begin)] != begin or not set(rest) <= _MORE or len(set(rest)) < len(rest):
            allowed = f"{', '.join(begin)} and then some of {', '.join(sorted(_MORE))}"
            return f"{q.name} of dimensions {q.dims!r}", allowed
        if q.unit and not (isinstance(q.unit, tuple) and len(q.unit) == q.indices and all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in q.unit
        )):  # fmt: skip
            allowed = f"{q.indices} pairs of exponents, one for each index of its inputs, or ()"
            return f"{q.name} of the unit {q.unit!r}", allowed
        for given, needed in (
            (q.known_diagonal, {"input", "input_"}), (q.symmetries, {"couple", "couple_"}),
        ):  # fmt: skip
            if given and not needed <= set(rest):
                has = "symmetries" if given is q.symmetries else "known_diagonal"
                return (
                    f"{q.name} with {has}",
                    f"that with dimensions {' and '.join(sorted(needed))}",
                )
    return None


def _part(table: str, name: str, function: Any, part: str = "") -> OwnFunction:
    told = entry_of(table, name, part)
    assert told is not None
    return OwnFunction(function, told)


def _held(family: Family) -> Family:
    """The family with functions that are known by their entry (`held.py` holds what they give)."""
    estimator = _part("FAMILIES", family.name, family.estimator, "estimator")
    found = replace(family, estimator=estimator)
    if family.theory == "":
        return found
    return replace(found, theory=_part("FAMILIES", family.name, family.theory, "theory"))
