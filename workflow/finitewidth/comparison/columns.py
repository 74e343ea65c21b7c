"""The columns of a comparison: what each means, and what kind of values stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: What the columns mean. Swept keys that are not among them stand in ``config/README.md``.
MEANINGS = {
    "study": "the study that the row belongs to, by its name in the study file",
    "ensemble": "the entry of the study file that says what the networks are",
    "network": "what the networks are made of",
    "activation": "the function between two layers",
    "depth": "layers of weights, L; layers of results of networks made of blocks",
    "width": "neurons of a hidden layer, n, of the widest one where they differ; empty for what is"
    " fitted over several widths",
    "C_b": "variance of a bias at the start; empty where layers differ in it, as by torch's default"
    " law, and of modules of one's own",
    "C_W": "variance of a weight at the start, times its layer's fan-in; empty of modules of one's"
    " own",
    "quantity": "what is compared; docs/files.md says what each is",
    "layer": "1 is the first layer of preactivations",
    "inputs": "indices of the inputs that the number belongs to",
    "component": "which component of the quantity it is, where there are several",
    "order": "order of the theory that stands in this row",
    "theory": "what that order of theory says, or what was published",
    "theory_error": "standard error of what was published; empty for theory",
    "estimate": "what was measured",
    "standard_error": "standard error of the estimate",
    "z": "(estimate - theory)/standard_error; for few replicas the normal number that is as rare",
    "relative_difference": "(estimate - theory)/theory",
    "neglected": "about how much the order leaves out; empty where that is not known",
    "holds": "yes: that is little beside the standard error, so that z should be standard normal",
    "trusted": "no: the standard error is not to be believed, so neither is z",
    "reason": "why it is not to be believed",
    "estimator": "how the variance was reduced",
    "equation": "where the formula stands: section of docs/theory.md",
}
_SWEPT = "a swept key of the study file; config/README.md says what it is"
#: Kinds of values, as the standard for tables on the web calls them, and how pandas does.
_KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "double"}


def schema(rows: pd.DataFrame) -> list[dict]:
    """What a table's columns are, as CSVW has it (https://www.w3.org/TR/tabular-metadata/)."""
    return [
        {
            "name": quote(f"column{name}" if name.startswith("_") else name, safe=""),
            "titles": name,
            "dc:description": MEANINGS.get(name, _SWEPT),
            "datatype": _written(_kind(rows[name])),
        }
        for name in rows.columns
    ]


def kinds(columns: Sequence[dict]) -> dict[str, str]:
    """The kind of each column of a :func:`schema`, by its title."""
    named = ((c["titles"], c["datatype"]) for c in columns)
    return {title: kind if isinstance(kind, str) else kind["base"] for title, kind in named}


def _kind(column: pd.Series) -> str:
    if column.dtype.kind in _KINDS:
        return _KINDS[column.dtype.kind]
    # Lists of values of several kinds; what is missing says nothing of the others.
    values = [value for value in column if not is_missing(value)]
    for kind, of in (("boolean", bool), ("integer", int), ("double", float)):
        if values and all(_is(value, of) for value in values):
            return kind
    return "string"


def _is(value: object, kind: type) -> bool:
    if isinstance(value, bool | np.bool_):
        return kind is bool
    number = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    return kind is not bool and isinstance(value, number)


def is_missing(value: object) -> bool:
    """Whether a cell of a table says nothing."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _written(kind: str) -> str | dict:
    return {"base": kind, "format": "True|False"} if kind == "boolean" else kind
