"""Sentences for captions of the report: what the members are, and how tables turned out.

A user's text is escaped, character by character, so that reStructuredText takes it as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from finitewidth.comparison.tables import ORDERS, read_csv
from finitewidth.members.stages import Tabulated, TabulatedLadder
from finitewidth.members.trained import TabulatedReplicas
from finitewidth.provenance.artifacts import ArtifactError, read_stamp

#: Names of the orders of theory, in words.
ORDER_WORDS = {
    "infinite_width": "infinite width",
    "many_tokens": "many tokens (their number to infinity, at infinite width)",
    "double_scaling": "double scaling (depth over width held fixed)",
    "1/n": "first order in 1/n",
    "1/n^2": "second order in 1/n",
    "exact": "exact at finite width",
    "marchenko_pastur": "law of Marchenko and Pastur",
    "tracy_widom": "law of Tracy and Widom",
    "chance": "what chance gives",
    "spectrum": "what chance gives with the measured spectra",
    "simulation": "simulation of what chance gives",
}


def plain(text: object) -> str:
    """``text`` on one line, and nothing in it markup to reStructuredText."""
    line = " ".join(str(text).split())
    return "".join(c if c.isalnum() or c == " " else f"\\{c}" for c in line)


Listed = Tabulated | TabulatedReplicas


def ensembles(members: Iterable[Listed]) -> list[str]:
    """A line for each ensemble: what its networks are, and how many were drawn."""
    groups: dict[str, list[Listed]] = {}
    for member in members:
        groups.setdefault(member.ensemble, []).append(member)
    return [_ensemble(name, members) for name, members in groups.items()]


def _ensemble(name: str, members: Sequence[Listed]) -> str:
    swept = {key: [m.swept[key] for m in members] for key in members[0].swept}
    words = [f"{key} {_list(values)}" for key, values in swept.items()]
    first = members[0]
    if isinstance(first, TabulatedReplicas):
        count = f"{first.replicas} trained replicas"
    else:
        said = {"activation": first.activation, "depth": first.depth}
        words = [f"{key} {_list([v])}" for key, v in said.items() if key not in swept] + words
        count = f"{first.networks} networks"
        if isinstance(first, TabulatedLadder):
            words.append(f"widths {_list(first.ladder)} on common random numbers")
        elif "width" not in swept:
            words.append(f"width {_list(first.hidden or [first.width])}")
    each = " each" if len(members) > 1 else ""
    return f"{name}: {count}{each}" + "".join(f"; {word}" for word in words)


def _list(values: Sequence) -> str:
    texts = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in dict.fromkeys(values)]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def notes(path: str | Path) -> list[str]:
    """What the drawing of a figure had to add to its caption, sentence by sentence.

    ``path`` is the figure's file; of a file that is no figure of ours there is nothing to say.
    """
    try:
        said = read_stamp(path).get("notes", [])
    except ArtifactError:
        return []
    return [str(line) for line in said] if isinstance(said, list) else []


def outcome(path: str | Path) -> dict:
    """How a study's table turned out; ``path`` is one of the study's results.

    Returns
    -------
    dict
        ``rows``: of the table; ``distrusted``: rows whose error is not to be believed; ``orders``:
        for each order of theory its words, beside how many trusted numbers it stands
        (``beside``), at how many of them it is meant to hold (``numbers``), and which per cent of
        these lie within two standard errors of it (``near``, None without any).
    """
    folder = Path(path).parent
    folder = folder.parent if folder.name == "figures" else folder
    rows = read_csv(folder / "comparison.csv")
    usable = rows[rows["trusted"].astype(bool) & np.isfinite(rows["z"].astype(float))]
    holds = usable["holds"].astype(bool)
    orders = []
    said = [order for order in dict.fromkeys(rows["order"]) if order != "none"]
    for order in sorted(said, key=lambda order: (*ORDERS, order).index(order)):
        here = usable["order"] == order
        z = usable.loc[here & holds, "z"]
        near = round(100 * (z.abs() <= 2).mean()) if len(z) else None
        words = ORDER_WORDS.get(order, order.replace("_", " "))
        orders.append({"words": words, "beside": int(here.sum()), "numbers": len(z),
                       "near": near})  # fmt: skip
    return {"rows": len(rows), "distrusted": int((~rows["trusted"].astype(bool)).sum()),
            "orders": orders}  # fmt: skip
