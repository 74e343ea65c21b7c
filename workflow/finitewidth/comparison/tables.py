"""A comparison as text: CSV for machines; Markdown and TeX, side by side, for people."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: From the crudest to the best.
ORDERS = ("infinite_width", "double_scaling", "1/n", "1/n^2", "exact")
#: Dimensions of distributions: hundreds of rows that a person would rather see drawn.
_DISTRIBUTIONS = ("histogram", "quantile", "log_norm_histogram", "log_kernel_histogram")
#: Behind a measured value whose error is not trusted.
_MARK = "*"


def to_csv(rows: pd.DataFrame) -> str:
    """The tidy table as CSV; numbers as short as they can be without loss."""
    texts = rows.select_dtypes(exclude="number")
    buffer = io.StringIO()
    rows.assign(**{c: texts[c].map(_no_formula) for c in texts}).to_csv(
        buffer, index=False, lineterminator="\n"
    )
    return buffer.getvalue()


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a ``comparison.csv``, skipping its stamp."""
    import pandas as pd

    rows = pd.read_csv(path, comment="#", keep_default_na=True, dtype={"component": str})
    texts = rows.select_dtypes(exclude="number")
    return rows.assign(**{c: texts[c].map(_as_given) for c in texts})


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
    orders = [o for o in ORDERS if o in set(rows["order"])]
    lines: dict[tuple, dict[str, str]] = {}
    # Plain records: taking rows of a table one by one costs a hundred times as much.
    for row in rows.to_dict("records"):
        number = tuple(None if row[key] != row[key] else row[key] for key in keys)
        line = lines.get(number)
        if line is None:
            measured = with_error(row["estimate"], row["standard_error"])
            line = lines[number] = {
                **{key: _text(row[key]) for key in keys},
                "measured": measured if row["trusted"] else f"{measured}{_MARK}",
                **dict.fromkeys(orders, ""),
                "not trusted, because": "" if row["trusted"] else str(row["reason"]),
            }
        if row["order"] in orders:
            line[row["order"]] = _with_residual(row)
    return pd.DataFrame(lines.values())


def _with_residual(row: Mapping) -> str:
    if not np.isfinite(row["z"]):
        return f"{row['theory']:.6g}"
    left, right = "[]" if row["holds"] else "()"
    return f"{row['theory']:.6g} {left}{row['z']:+.1f}{right}"


def _is_blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def _text(value: object) -> str:
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
    " of theory, with the residual: how many standard errors the measurement lies above it. It"
    " stands in brackets where the order is meant to hold, and in parentheses where what the order"
    " leaves out is seen beside the error, or not known. An asterisk marks an error that is not to"
    " be believed: the last column says why, and no residual is given. Distributions stand in"
    " comparison.csv."
)


def to_markdown(rows: pd.DataFrame) -> str:
    """The table side by side, as Markdown."""
    shown = side_by_side(rows)
    lines = [_EXPLAINED, ""]
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
    lines = [f"% {_EXPLAINED}"]
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
