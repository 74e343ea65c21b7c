"""A comparison with one row a number: what was measured, and all orders of theory beside it."""

from __future__ import annotations

import math

import pandas as pd

from finitewidth.comparison.tables import ORDERS

#: Columns of the tidy table that differ from order to order.
_OF_ORDER = ("order", "theory", "theory_error", "z", "relative_difference", "neglected", "holds")
#: Where an order's formula stands: of a number, all of them.
_SOURCE = "equation"
_MEASURED = ("estimate", "standard_error")
#: Beyond so many standard errors a number differs from an order that is meant to hold; as a word.
FAR, FAR_IN_WORDS = 3.0, "three"
AGREES, DIFFERS, NONE_HOLDS = "agrees", "differs", "no order holds"
NO_THEORY, NOT_TRUSTED = "no theory", "not trusted"


def by_number(rows: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with the orders of theory side by side.

    Parameters
    ----------
    rows : pandas.DataFrame
        As :func:`finitewidth.comparison.compare.table` has them.

    Returns
    -------
    pandas.DataFrame
        One row a number, in the order of ``rows``. The columns of ``rows`` that are the same for
        all orders; where ``order`` stood, the measured number, ``verdict``, and for each order a
        column of that name with its theory, and columns ``z of <order>`` and ``<order> holds``.
        The verdict is

        - ``agrees``: |z| is at most ``FAR`` for every order that is meant to hold,
        - ``differs``: for one it is not,
        - ``no order holds``: what each order leaves out is seen beside the error, or not known,
        - ``no theory``: there is none, or none that has a number here,
        - ``not trusted``: the standard error is not to be believed.
    """
    known = list(dict.fromkeys(rows["order"]))
    orders = [*[o for o in ORDERS if o in known], *[o for o in known if o not in (*ORDERS, "none")]]
    same = [c for c in rows.columns if c not in _OF_ORDER]
    place = rows.columns.get_loc("order")
    ahead = [c for c in rows.columns[:place] if c not in _MEASURED]
    behind = [c for c in same if c not in ahead]
    lines: dict[tuple, dict] = {}
    for row in rows.to_dict("records"):
        number = tuple(None if row[c] != row[c] else row[c] for c in same if c != _SOURCE)
        line = lines.setdefault(number, {c: row[c] for c in same} | {"of": []})
        line["of"].append(row)
        if _SOURCE in same and row[_SOURCE] not in line[_SOURCE]:
            line[_SOURCE] = f"{line[_SOURCE]}; {row[_SOURCE]}"
        if row["order"] != "none":
            of = row["theory"], row["z"], row["holds"]
            line |= dict(zip(columns_of(row["order"]), of, strict=True))
    return pd.DataFrame(
        [line | {"verdict": _verdict(line.pop("of"))} for line in lines.values()],
        columns=[*ahead, *(c for c in same if c in _MEASURED), "verdict",
                 *(c for order in orders for c in columns_of(order)),
                 *(c for c in behind if c not in _MEASURED)],
    )  # fmt: skip


def in_short(rows: pd.DataFrame) -> pd.DataFrame:
    """:func:`by_number` with few columns: what says which number it is, what was measured, the
    verdict, the theory of each order, and why an error is not trusted where that is said.

    What is the same in all rows (networks of one law, say) is left out.
    """
    wide = by_number(rows)
    ahead = list(wide.columns[: wide.columns.get_loc("estimate")])
    always = ("quantity", "layer", "inputs")
    which = [c for c in ahead if c in always or wide[c].nunique(dropna=False) > 1]
    orders = [c for c in wide.columns if f"z of {c}" in wide.columns]
    why = ["reason"] if (wide["reason"].fillna("") != "").any() else []
    return wide[[*which, *_MEASURED, "verdict", *orders, *why]]


def columns_of(order: str) -> tuple[str, str, str]:
    """The columns of an order: its theory, the z, and whether it is meant to hold."""
    return order, f"z of {order}", f"{order} holds"


def _verdict(orders: list[dict]) -> str:
    if not orders[0]["trusted"]:
        return NOT_TRUSTED
    if not any(math.isfinite(row["theory"]) for row in orders if row["order"] != "none"):
        return NO_THEORY
    held = [abs(row["z"]) <= FAR for row in orders if row["holds"]]
    if not held:
        return NONE_HOLDS
    return AGREES if all(held) else DIFFERS
