"""Tangent kernels and preactivations (D, F), and how training changes tangent kernels (P, Q)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.ntk_series import Between, at, measured, of_input, same_law, series
from finitewidth.figures.common.panels import (
    cannot_draw,
    curve,
    left_out,
    legend,
    panels,
    plain_numbers,
    titled,
    whole_axis,
    zero_line,
)

#: Quantity -> its label in the figure.
_CROSS = {
    "ntk_D": r"$D = n\,\mathrm{Cov}(\hat G, \Theta_{ii})$",
    "ntk_F": r"$F = n\,\mathrm{E}[z_i z_j \Theta_{ij}]$",
    "dntk_P": r"$P = n\,\mathrm{E}[\mathrm{d}\Theta_{ijj} z_i]$",
    "dntk_Q": r"$Q = n\,\mathrm{E}[\mathrm{d}\Theta_{iij} z_j]$",
}
#: How far from their depth the points of widths stand, so that they do not hide one another.
_APART = 0.2


def ntk_cross(study: Study) -> Figure:
    """Correlations of tangent kernels with preactivations, and their derivatives, against depth.

    n times what each width gives, and of four widths or more what they are extrapolated to.
    """
    groups = series(study, "ntk_tensors", "width", "depth")
    rows = [q for q in _CROSS if any(q in m.estimates for ms in groups.values() for m in ms)]
    if not rows:
        raise cannot_draw("ntk_cross", study.members, "none of D, F, P and Q is estimated")
    widths = sorted({m.about.width for members in groups.values() for m in members})
    places = dict(zip(widths, np.linspace(-_APART, _APART, len(widths) + 1), strict=False))
    colors = dict(zip(widths, style.shades(len(widths)), strict=True))
    figure, columns = panels(len(groups), len(rows), width=2.6, height=1.9)
    for column, (label, members) in zip(columns, groups.items(), strict=False):
        a = _input(members)
        fitted = [m for m in study.sweeps if same_law(m, members[0], "width", "depth")]
        for ax, quantity in zip(column, rows, strict=True):
            mine = [m for m in members if quantity in m.estimates]
            _theory(ax, mine, quantity, a, colors)
            for n in widths:
                of_width = [m for m in mine if m.about.width == n]
                L = np.array([m.about.depth for m in of_width])
                if not of_width:
                    continue
                found = measured(of_width, quantity, a=a).times(n)
                look: dict[str, Any] = {"color": colors[n], "markersize": 2.4, "elinewidth": 0.7}
                at_depth = L + places[n] * (len(widths) > 1)
                style.points(ax, at_depth, *found, label=f"$n={n}$", **look)
            shown = [m for m in fitted if f"{quantity}_1" in m.estimates]
            L = np.array([m.about.depth for m in shown])
            look = {"color": style.PALETTE[3], "fmt": "s", "label": "extrapolated"}
            if len(L):
                style.points(ax, L + _APART, *measured(shown, f"{quantity}_1", a=a), **look)
            zero_line(ax)
            plain_numbers(ax)
        titled(column[0], label + of_input(a))
        whole_axis(column[-1], [m.about.depth for m in members])
        column[-1].set_xlabel("depth $L$")
    for column in columns[:: columns[0][0].get_gridspec().ncols]:
        for ax, quantity in zip(column, rows, strict=True):
            ax.set_ylabel(_CROSS[quantity], fontsize=style.points_of(8))
    legend(figure, words=[left_out(columns, groups, "laws")])
    return figure


def _input(members: list[MemberResults]) -> int:
    """The first input at which anything is not 0."""
    for a in range(members[0].estimates.sizes.get("input", 1)):
        if any(at(m.estimates[q], a) != 0 for m in members for q in _CROSS if q in m.estimates):
            return a
    return 0


def _theory(ax: Axes, members: list[MemberResults], quantity: str, a: int, colors: dict) -> None:
    """Lines over depth: the coefficient of 1/n, the same at every width, and what is exact."""
    family = "dntk" if quantity.startswith("dntk") else "ntk_tensors"
    drawn = None
    for n in sorted({m.about.width for m in members}, reverse=True):
        mine = [m for m in members if m.about.width == n]
        L = [m.about.depth for m in mine]
        between = Between(mine, "depth", np.arange(min(L), max(L) + 1), family, a)
        curve(ax, *_times(n, between(quantity, "exact")), "exact", color=colors[n], linewidth=0.8)
        x, line = _times(n, between(quantity, "1/n"))
        if drawn is None or not np.allclose(np.interp(x, *drawn), line, rtol=1e-6, equal_nan=True):
            # Learning rates that depend on the width make coefficients that do.
            curve(ax, x, line, "1/n", color="0.3" if drawn is None else colors[n])
            drawn = (x, line) if drawn is None else drawn


def _times(n: int, line: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return line[0], n * line[1]
