"""What finite width adds to trained networks, times the width: against theory to order 1/n."""

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
    panels,
    plain_numbers,
    titled,
    zero_line,
)
from finitewidth.figures.training.along import Number, last, sweep_of, together

#: Quantities and their words, one a panel.
_QUANTITIES = {
    "frozen_mean": "mean, frozen",
    "motion_mean": "mean, moving",
    "prediction_variance": "variance",
    "training_loss": "loss",
    "kernel_drift": "drift of the kernel",
}


def training_corrections(study: Study) -> Figure:
    """n times what is beyond infinite width, at the last moment; a panel a quantity and law."""
    groups = [
        (name, members, quantity)
        for name, members in over_width(study.members).items()
        for quantity in _QUANTITIES
        if any(number.is_known(m) for number in _numbers(members[0], quantity) for m in members)
    ]
    if not groups:
        raise cannot_draw("training_corrections", study.members, "nothing of it has a value")
    figure, columns = panels(len(groups), width=2.5, height=2.1)
    one = len({name for name, _, _ in groups}) == 1
    for (ax,), (name, members, quantity) in zip(columns, groups, strict=False):
        for number, color, label in _looks(members[0], quantity):
            _panel(ax, members, number, sweep_of(members, study.sweeps), color, label)
        zero_line(ax)
        plain_numbers(ax)
        titled(ax, _QUANTITIES[quantity], last(members[0]) if one else name)
        ax.set_xlabel("$1/n$")
    for (ax,) in columns[:: columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel(r"$n \times$ what finite width adds")
    words = [left_out(columns, groups, "panels"), "Squares are extrapolated to infinite width."]
    legend(figure, measured=False, words=words)
    return figure


def _numbers(m: MemberResults, quantity: str) -> list[Number]:
    """At the first training input and the first test input, where there is one."""
    if quantity == "training_loss":
        return [Number(quantity)]
    test = int(np.sum(m.theory["is_training"].values)) if "is_training" in m.theory else 0
    inputs = m.theory.sizes.get("input", 1)
    return [Number(quantity), *([Number(quantity, test)] if 0 < test < inputs else [])]


def _looks(m: MemberResults, quantity: str) -> list[tuple[Number, str, str]]:
    """Each number with its colour and its name."""
    labels = ["training input", "test input"]
    if quantity == "training_loss":
        labels = ["all training inputs"]
    colors = (style.PALETTE[0], style.PALETTE[1])
    return list(zip(_numbers(m, quantity), colors, labels, strict=False))


def _panel(
    ax: Axes,
    members: list[MemberResults],
    number: Number,
    sweep: MemberResults | None,
    color: str,
    label: str,
) -> None:
    """Widths as points, the first order as a level line, what they are extrapolated to at 0."""
    known = [m for m in members if number.is_known(m)]
    if not known:
        return
    n = np.array([m.about.width for m in known], float)
    infinite, first, half = (
        np.array([number.predicted(m, order) for m in known])
        for order in ("infinite_width", "1/n", "1/sqrt(n)")
    )
    found = together([number.measured(m) for m in known]).plus(-infinite).times(n)
    style.points(ax, 1 / n, *found, color=color, label=label)
    rising = np.argsort(1 / n)
    x, y = np.append(0.0, 1 / n[rising]), (n * (first - infinite))[rising]
    # All widths say the same, and so does infinite width.
    curve(ax, x, np.append(y[:1], y), "1/n", color=color)
    curve(ax, 1 / n[rising], (n * (half - infinite))[rising], "1/sqrt(n)", color=color)
    limit = number.coefficient(sweep) if sweep is not None else None
    if limit is not None:
        style.points(ax, [0.0], *limit, color=color, fmt="s", markersize=4)
