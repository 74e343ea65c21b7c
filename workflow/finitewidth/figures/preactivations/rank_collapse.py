"""How all inputs, or tokens, of a network become alike with depth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured

_MOST = 12
#: What is drawn of a stable rank less 1: less is rounding.
_LEAST = 1e-9


def rank_collapse(study: Study) -> Figure:
    """The mean cosine, the stable rank less 1, and the entropy of attention, against layer."""
    every = [m for m in study.members if m.has("rank_collapse")]
    shown: list[tuple[str, str, Callable]] = []
    for quantity, words, shift in (
        ("mean_cosine", "mean cosine of two inputs", 0.0),
        ("stable_rank", "stable rank - 1", 1.0),
        ("attention_entropy", "entropy of attention", 0.0),
    ):
        if any(_is_there(m, quantity) for m in every):
            shown.append((quantity, words, lambda values, shift=shift: values - shift))
    if not shown:
        raise panels.cannot_draw("rank_collapse", study.members, "all inputs leave no trace")
    figure, columns = panels.panels(len(shown), width=3.4, height=3.1)
    drawn = every[:_MOST]
    layers = [layer for m in drawn for layer in m.estimates["layer"].values.tolist()]
    for (ax,), (quantity, words, shifted) in zip(columns, shown, strict=True):
        above = False
        for look, m in zip(panels.looks(len(drawn)), drawn, strict=True):
            above |= _draw(ax, m, quantity, shifted, look)
        panels.whole_axis(ax, layers)
        ax.set(xlabel=r"layer $\ell$", ylabel=words)
        if quantity == "stable_rank" and above:
            panels.log_axis(ax, "y")
    panels.legend(figure, words=[panels.left_out(drawn, every, "members")])
    return figure


def _draw(ax: Axes, m: MemberResults, quantity: str, shifted: Callable, look: dict) -> bool:
    """One member in one panel; whether anything of it is above 0."""
    if not _is_there(m, quantity):
        return False
    x, first = m.estimates["layer"].values, {"input": 0} if quantity == "attention_entropy" else {}
    measured = Measured.of(m.estimates, quantity, **first)
    measured = measured._replace(value=shifted(measured.value))
    seen = np.isfinite(measured.value)
    if quantity == "stable_rank":
        seen &= measured.value > _LEAST
    style.points(ax, x[seen], *measured.at(seen), **look, label=m.label)
    for order in ("infinite_width", "many_tokens"):
        line = style.predicted(m.theory, quantity, order)
        if line is not None:
            y = shifted(line.isel(first).values)
            y = np.where(y > _LEAST, y, np.nan) if quantity == "stable_rank" else y
            panels.curve(ax, x, y, order, color=look["color"])
    return bool(seen.any())


def _is_there(m: MemberResults, quantity: str) -> bool:
    return quantity in m.estimates and bool(np.isfinite(m.estimates[quantity].values).any())
