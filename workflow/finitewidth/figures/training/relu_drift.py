"""Where gates close for good: motion of order n^{-1/2} in place of 1/n."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import over_width
from finitewidth.figures.common.panels import (
    cannot_draw,
    curve,
    left_out,
    legend,
    log_axis,
    looks,
    panels,
    sweep_axis,
    titled,
)
from finitewidth.figures.training.along import Number, last, together

_QUANTITIES = {
    "kernel_drift": r"$|\mathrm{E}[\Theta(t) - \Theta(0)]|$",
    "motion_mean": "|mean motion of the prediction|",
}


def relu_drift(study: Study) -> Figure:
    """Sizes at the first training input and the last moment, against the width."""
    groups = [
        (name, members)
        for name, members in over_width(study.members).items()
        if any(_is_drawn(Number(q), m) for q in _QUANTITIES for m in members)
    ]
    if not groups:
        raise cannot_draw("relu_drift", study.members, "no tangent kernel moved")
    figure, columns = panels(len(_QUANTITIES), width=3.4, height=2.7)
    for (ax,), (quantity, label) in zip(columns, _QUANTITIES.items(), strict=True):
        for (name, members), look in zip(groups, looks(len(groups)), strict=True):
            _law(ax, [m for m in members if _is_drawn(Number(quantity), m)], quantity, name, look)
        titled(ax, last(groups[0][1][0]))
        ax.set_xlabel("width $n$")
        ax.set_ylabel(label)
        sweep_axis(ax, [m.about.width for _, members in groups for m in members])
        log_axis(ax, "y")
    legend(figure, words=[left_out(groups, groups, "laws")])
    return figure


def _is_drawn(number: Number, m: MemberResults) -> bool:
    return number.is_known(m) and float(number.measured(m).value) != 0


def _law(ax: Axes, members: list[MemberResults], quantity: str, name: str, look: dict) -> None:
    """Points of one law, and the orders that say something of it."""
    if not members:
        return
    number = Number(quantity)
    n = np.array([m.about.width for m in members], float)
    found = together([number.measured(m) for m in members])
    style.points(ax, n, *found.times(np.sign(found.value)), label=name, **look)
    for order in ("1/sqrt(n)", "1/n"):
        said = np.abs([number.predicted(m, order) for m in members])
        curve(ax, n, np.where(said > 0, said, np.nan), order, color=look["color"])
