"""The mean training loss against steps or time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import Measured, over_width
from finitewidth.figures.common.panels import (
    cannot_draw,
    left_out,
    legend,
    log_axis,
    panels,
    titled,
)
from finitewidth.figures.training.predictions import is_flow


def training_loss(study: Study) -> Figure:
    """E[L] at the recorded moments, a panel for members that differ in their width alone."""
    groups = list(over_width(study.members).items())
    if not any(_is_drawn(m) for _, members in groups for m in members):
        raise cannot_draw("training_loss", study.members, "no loss is above 0")
    figure, columns = panels(len(groups), width=3.4, height=2.6)
    for (ax,), (name, members) in zip(columns, groups, strict=False):
        _losses(ax, members)
        titled(ax, name)
        ax.set_xlabel("time" if is_flow(members[0]) else "step")
    for (ax,) in columns[:: columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel("mean training loss")
    legend(figure, words=[left_out(columns, groups, "ensembles")])
    return figure


def _is_drawn(m: MemberResults) -> bool:
    return bool((m.estimates["training_loss"] > 0).any())


def _losses(ax: Axes, members: list[MemberResults]) -> None:
    """Widths as points, dark to light, and what infinite width gives as a line."""
    for m, color in zip(members, style.shades(len(members)), strict=True):
        found = Measured.of(m.estimates, "training_loss")
        seen = found.value > 0
        label = f"$n$ = {m.about.width}"
        style.points(
            ax, m.estimates["moment"].values[seen], *found.at(seen), color=color, label=label
        )
        first = style.predicted(m.theory, "training_loss", "1/n")
        if first is not None:
            above = np.flatnonzero(first.values > 0)
            moments, words = m.theory["moment"].values[above], style.ORDERS["1/n"]["label"]
            style.curve(ax, moments, first.values[above], "1/n", color=color, label=words)
    m = members[-1]
    line = m.theory["training_loss"].sel(order="infinite_width").values
    look = style.ORDERS["infinite_width"]["label"]
    at = np.flatnonzero(line > 0)
    style.curve(
        ax, m.theory["moment"].values[at], line[at], "infinite_width", color="0.3", label=look
    )
    log_axis(ax, "y")
