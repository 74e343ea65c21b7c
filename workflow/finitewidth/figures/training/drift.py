"""How tangent kernels move: along training, with width, and with depth and targets."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.axes import say
from finitewidth.figures.common.member_series import Measured, over_width
from finitewidth.figures.common.panels import (
    cannot_draw,
    curve,
    left_out,
    legend,
    looks,
    panels,
    titled,
    whole_axis,
    zero_line,
)
from finitewidth.figures.training.along import Number, targets, together
from finitewidth.figures.training.predictions import is_flow

_LABEL = r"$n\,\mathrm{E}[\Theta(t) - \Theta(0)]$"
#: Orders of theory that may know the drift.
_ORDERS = ("1/sqrt(n)", "1/n")


def kernel_drift(study: Study) -> Figure:
    """n times the drift of a training input: a panel a law against time, then against depth,
    and beside the first order against L^2 y^2/n."""
    groups = list(over_width(study.members).items())
    groups = [(name, ms) for name, ms in groups if any(_is_known(m) for m in ms)]
    if not groups:
        raise cannot_draw("kernel_drift", study.members, "no tangent kernel moved")
    figure, columns = panels(len(groups) + 2, width=2.6, height=2.1)
    shown = groups[: len(columns) - 2]
    for (ax,), (name, members) in zip(columns, shown, strict=False):
        for m, color in zip(members, style.shades(len(members)), strict=True):
            if _is_known(m):
                _along(ax, m, color)
        zero_line(ax)
        titled(ax, name)
        ax.set_xlabel("time" if is_flow(members[0]) else "step")
        ax.set_ylabel(_LABEL)
    _against_depth(columns[-2][0], groups)
    _against_first_order(columns[-1][0], groups)
    words = [left_out(shown, groups, "laws")]
    legend(figure, words=words)
    return figure


def _is_known(m: MemberResults) -> bool:
    return Number("kernel_drift").is_known(m)


def _along(ax: Axes, m: MemberResults, color: str) -> None:
    """One member against the moments of its training."""
    number, n = Number("kernel_drift"), m.about.width
    place = {k: v for k, v in number.place(m.estimates).items() if k != "moment"}
    moments = m.estimates["moment"].values
    found = Measured.of(m.estimates, "kernel_drift", **place).times(n)
    # At the start there is nothing, and no error.
    style.points(ax, moments[1:], *found.at(slice(1, None)), color=color, label=f"$n$ = {n}")
    for order in _ORDERS:
        line = style.predicted(m.theory, "kernel_drift", order)
        if line is not None:
            there = {k: v for k, v in number.place(line).items() if k != "moment"}
            curve(ax, m.theory["moment"].values, n * line.isel(there).values, order, color=color)


def _against_depth(ax: Axes, groups: list[tuple[str, list[MemberResults]]]) -> None:
    """The widest members at their last moment against their depth, ensemble by ensemble."""
    number = Number("kernel_drift")
    wide = [max(filter(number.is_known, members), key=lambda m: m.about.width)
            for _, members in groups]  # fmt: skip
    names = list(dict.fromkeys(m.about.ensemble for m in wide))
    for name, look in zip(names, looks(len(names)), strict=True):
        members = sorted((m for m in wide if m.about.ensemble == name), key=lambda m: m.about.depth)
        depth, n = (np.array([getattr(m.about, x) for m in members]) for x in ("depth", "width"))
        found = together([number.measured(m) for m in members]).times(n)
        style.points(ax, depth, *found, label=name.replace("_", " "), **look)
        for order in _ORDERS:
            said = n * np.array([number.predicted(m, order) for m in members])
            curve(ax, depth, said, order, color=look["color"])
    zero_line(ax)
    titled(ax, "widest, last moment")
    ax.set_xlabel("depth $L$")
    ax.set_ylabel(_LABEL)
    whole_axis(ax, [m.about.depth for m in wide])


def _against_first_order(ax: Axes, groups: list[tuple[str, list[MemberResults]]]) -> None:
    """Measured over the first order that is known, at the last moment, against L^2 y^2/n."""
    number = Number("kernel_drift")
    names = list(dict.fromkeys(m.about.ensemble for _, members in groups for m in members))
    for name, look in zip(names, looks(len(names)), strict=True):
        x, found = [], []
        for m in (m for _, members in groups for m in members if m.about.ensemble == name):
            if not number.is_known(m):
                continue
            each = [number.predicted(m, order) for order in _ORDERS]
            said = next((value for value in each if np.isfinite(value)), np.nan)
            ratio = number.measured(m).over(said)
            # Noise over little says nothing.
            if float(ratio.error) < _MOST_ERROR:
                x.append(m.about.depth**2 * targets(m) / m.about.width)
                found.append(ratio)
        if found:
            style.points(ax, x, *together(found), **look)
    if not ax.containers:
        say(ax, "no first order stands out of the noise")
        return
    style.unity(ax)
    ax.set_xscale("log")
    titled(ax, "last moment")
    ax.set_xlabel("$L^2 y^2/n$")
    ax.set_ylabel("measured/first order")


#: Ratios with larger errors are not drawn.
_MOST_ERROR = 0.3
