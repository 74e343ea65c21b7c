"""A comparison as text: CSV for machines; Markdown and TeX, side by side, for people.

What the columns of the CSV are stands beside it (:mod:`finitewidth.comparison.columns`).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finitewidth.comparison.columns import is_missing, kinds, schema
from finitewidth.members.words import NETWORK
from finitewidth.provenance.artifacts import read_columns

if TYPE_CHECKING:
    import pandas as pd

#: From the crudest to the best.
ORDERS = (
    "infinite_width", "many_tokens", "double_scaling", "1/sqrt(n)", "1/n", "1/n^2", "exact",
    "published",
)  # fmt: skip
#: How pandas calls each kind of value, and where some are missing.
_DTYPES = {
    "boolean": ("bool", "boolean"), "integer": ("int64", "Int64"), "double": ("float64", "float64"),
}  # fmt: skip
#: Dimensions of distributions: hundreds of rows that a person would rather see drawn.
_DISTRIBUTIONS = ("histogram", "quantile", "log_norm_histogram", "log_kernel_histogram")
#: Behind a measured value whose error is not trusted.
_MARK = "*"


def to_csv(rows: pd.DataFrame) -> str:
    """The tidy table as CSV; numbers as short as they can be without loss, infinity as ``INF``."""
    written = {c: rows[c].map(_no_formula) for c in rows.select_dtypes(exclude="number")}
    for column in rows.select_dtypes(include="floating"):
        infinite = np.isinf(rows[column])
        if infinite.any():
            words = rows[column].astype(object)
            written[column] = words.mask(infinite, words.map({np.inf: "INF", -np.inf: "-INF"}))
    buffer = io.StringIO()
    rows.assign(**written).to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with one datatype a column, those of :func:`columns.schema`.

    Whole numbers and truth values among which some are missing have pandas' types for that; a text
    is empty where there is none.
    """
    return rows.assign(**{c: _typed(rows[c], kind) for c, kind in kinds(schema(rows)).items()})


def _typed(column: pd.Series, kind: str) -> pd.Series:
    missing = column.map(is_missing)
    if kind == "string":
        return column.map(str).mask(missing, "").astype(object)
    dense, sparse = _DTYPES[kind]
    return column.astype(object).mask(missing, None).astype(sparse if missing.any() else dense)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a ``comparison.csv`` by the columns that are described beside it.

    Texts are as they were given, and empty where there is none, as in the table that was written;
    whole numbers among which some are missing are floats.

    Raises
    ------
    ArtifactError
        In one sentence, where the table or what stands beside it is missing or was altered.
    """
    import pandas as pd

    kind = kinds(read_columns(path))
    texts = [column for column, is_ in kind.items() if is_ == "string"]
    # A text may say "NA"; only what is no text can be missing.
    missing = {column: [""] for column in kind if column not in texts}
    rows = pd.read_csv(
        path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=missing
    )
    return rows.assign(**{c: rows[c].map(_as_given).astype(rows[c].dtype) for c in texts})


#: Where a spreadsheet sees a formula: at the start of a cell, whatever it takes for the end of the
#: one before. Wide signs are signs to some.
_FORMULA = r"(?=[=+\-@\uff1d\uff0b\uff0d\uff20])"
_START = r"(^|[,;|\t\r\n\"])(\s*)"


def _no_formula(value: object) -> object:
    """Text with an apostrophe before what would be a formula: a spreadsheet then shows it as text.

    A text that begins with an apostrophe gets another one, so that :func:`_as_given` can undo this.
    """
    if not isinstance(value, str):
        return value
    return re.sub(f"{_START}('*){_FORMULA}", r"\1\2'\3", value)


def _as_given(value: object) -> object:
    if not isinstance(value, str):
        return value
    return re.sub(f"{_START}'('*){_FORMULA}", r"\1\2\3", value)


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a number: measured with its error, then each order of theory and residual."""
    import pandas as pd

    rows = rows[~rows["quantity"].isin(_DISTRIBUTIONS)]
    if rows.empty:
        return pd.DataFrame()
    first = rows.columns.get_loc("order")
    keys = [c for c in rows.columns[1:first] if not _is_blank(rows[c])]
    # What all networks are is said once, above the table.
    keys = [c for c in keys if c not in NETWORK or c not in _shared(rows)]
    orders = [o for o in ORDERS if o in set(rows["order"])]
    lines: dict[tuple, dict[str, str]] = {}
    # Plain records: taking rows of a table one by one costs a hundred times as much.
    for row in rows.to_dict("records"):
        number = tuple(None if row[key] != row[key] else row[key] for key in keys)
        line = lines.get(number)
        if line is None:
            measured = with_error(row["estimate"], row["standard_error"])
            line = lines[number] = {
                **{key: short(row[key]) for key in keys},
                "measured": measured if row["trusted"] else f"{measured}{_MARK}",
                **dict.fromkeys(orders, ""),
                "not trusted, because": "" if row["trusted"] else str(row["reason"]),
            }
        if row["order"] in orders:
            line[row["order"]] = _with_residual(row)
    return pd.DataFrame(lines.values())


def _shared(rows: pd.DataFrame) -> dict[str, str]:
    """What the networks of all rows are alike in, in words; nothing where there are no rows."""
    same = {c: rows[c].iloc[0] for c in NETWORK if c in rows and rows[c].nunique(dropna=False) == 1}
    return {c: words for c, value in same.items() if (words := short(value))}


def _all_rows(rows: pd.DataFrame) -> str:
    """The same as a sentence."""
    said = ", ".join(f"{key} {value}" for key, value in _shared(rows).items())
    return f"In all rows: {said}." if said else ""


def _with_residual(row: Mapping) -> str:
    # Of theory there is no error; of what was published there may be one.
    theory = with_error(row["theory"], row.get("theory_error", math.nan))
    if not np.isfinite(row["z"]):
        return theory
    left, right = "[]" if row["holds"] else "()"
    return f"{theory} {left}{row['z']:+.1f}{right}"


def _is_blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def short(value: object) -> str:
    """What stands in a cell: nothing where there is nothing, and six digits of a number."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)


def with_error(value: float, error: float) -> str:
    """A number with its standard error in parentheses: two digits of it, as in 1.234(56)."""
    if not (np.isfinite(value) and np.isfinite(error)) or error <= 0:
        return f"{value:.6g}"
    size = math.floor(math.log10(max(abs(value), error)))
    digits = 1 - math.floor(math.log10(error))
    if -4 <= size < 6 and digits >= 0:
        return (
            f"{value:.{digits}f}({error:.{digits}f})"
            if digits == 0
            else _compact(value, error, digits)
        )
    scaled = with_error(value / 10.0**size, error / 10.0**size)
    return f"{scaled}e{size:+d}"


def _compact(value: float, error: float, digits: int) -> str:
    last = round(error * 10**digits)
    shown = f"{last}" if error < 1 else f"{error:.{digits}f}"
    return f"{value:.{digits}f}({shown})"


_EXPLAINED = (
    "Measured values with their standard errors in parentheses (last digits), beside every order"
    " of theory, with the residual: how many standard errors the measurement lies above it. The"
    " residual stands in brackets where the order is meant to hold, and in parentheses where what"
    " the order leaves out is not little beside the error, or not known. An asterisk marks"
    " an error that is not to be believed: the last column says why, and no residual is given."
    " Distributions stand in comparison.csv."
)


def to_markdown(rows: pd.DataFrame) -> str:
    """The table side by side, as Markdown."""
    shown = side_by_side(rows)
    same = _all_rows(rows)
    lines = [_EXPLAINED, "", *([literal(same), ""] if same else [])]
    if not shown.empty:
        lines.append("| " + " | ".join(literal(str(c)) for c in shown.columns) + " |")
        lines.append("|" + "---|" * len(shown.columns))
        lines.extend(
            "| " + " | ".join(map(literal, row)) + " |" for row in shown.itertuples(index=False)
        )
    return "\n".join(lines) + "\n"


def to_tex(rows: pd.DataFrame) -> str:
    """The table side by side, as a TeX longtable (packages longtable and booktabs)."""
    shown = side_by_side(rows)
    lines = [f"% {words}" for words in (_EXPLAINED, _all_rows(rows)) if words]
    if not shown.empty:
        columns = "l" * len(shown.columns)
        header = " & ".join(_escape(str(c)) for c in shown.columns) + r" \\"
        lines += [rf"\begin{{longtable}}{{{columns}}}", r"\toprule", header, r"\midrule"]
        lines += [r"\endhead", r"\bottomrule", r"\endfoot"]
        lines.extend(
            " & ".join(_escape(cell) for cell in row) + r" \\"
            for row in shown.itertuples(index=False)
        )
        lines.append(r"\end{longtable}")
    return "\n".join(lines) + "\n"


def literal(text: str) -> str:
    """Text that shows in a cell of Markdown as it is, and stays in it."""
    return re.sub(
        r"[\\`*|<>&$~]|(?<=\])\(|_(?![^\W_])|(?<![^\W_])_", r"\\\g<0>", " ".join(text.split())
    )


_IN_TEX = {special: f"\\{special}" for special in "_%&#${}"} | {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}",
}  # fmt: skip


def _escape(text: str) -> str:
    """The same for TeX."""
    return "".join(_IN_TEX.get(c, c) for c in " ".join(text.split()))
