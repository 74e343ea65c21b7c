"""Published numbers in a table, as one more order beside those of theory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from finitewidth.core.errors import describe

ORDER = "published"


def with_published(
    rows: pd.DataFrame, published: Sequence[Mapping], quantities: Collection[str] | None = None
) -> pd.DataFrame:
    """A table with a row more for each published number, behind the rows of the measured one.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row a number and order, with a column ``number`` that tells which.
    published : sequence of mappings
        As ``published`` of a study has them (``config/README.md``).
    quantities : collection of str, optional
        Those of the table, where it does not have all of the study; what is published of others is
        left out.

    Returns
    -------
    pandas.DataFrame
        With a column ``theory_error``, the standard error of what was published; it is NaN in the
        rows of theory. The column ``equation`` of a published number is its source.

    Raises
    ------
    ValueError
        In one sentence, where a published number belongs to no measured one, or to several.
    """
    rows = rows.assign(theory_error=np.nan)
    added = [
        _row(rows, number, each["source"])
        for each in published
        for number in each["numbers"]
        if quantities is None or number["quantity"] in quantities
    ]
    if not added:
        return rows
    both = pd.concat([rows, pd.DataFrame(added)], ignore_index=True)
    return both.sort_values("number", kind="stable", ignore_index=True)


def _row(rows: pd.DataFrame, published: Mapping, source: str) -> dict:
    said = f"published {published['quantity']} at {dict(published['at'])}"
    here = rows[rows["quantity"] == published["quantity"]]
    for column, value in published["at"].items():
        if column not in rows or column == "number":
            allowed = ", ".join(c for c in rows if c != "number")
            raise ValueError(f"{said}: there is no column {describe(column)}, there are {allowed}")
        kept = here[_is(here[column], value)]
        if kept.empty:
            there = ", ".join(dict.fromkeys(f"{each}" for each in here[column]))
            raise ValueError(f"{said}: nothing has {column} {describe(value)}, there is {there}")
        here = kept
    if here["number"].nunique() != 1:
        apart = [
            c for c in here if c != "number" and here.groupby("number")[c].first().nunique() > 1
        ]
        raise ValueError(
            f"{said}: {here['number'].nunique()} measured numbers are such, which differ in"
            f" {', '.join(apart)}"
        )
    return here.iloc[0].to_dict() | {
        "order": ORDER,
        "theory": published["value"],
        "theory_error": published["error"],
        "neglected": 0.0,
        "equation": source,
    }


def _is(column: pd.Series, value: float | str) -> pd.Series:
    if isinstance(value, str):
        return column.astype(str) == value
    return pd.to_numeric(column, errors="coerce") == value
