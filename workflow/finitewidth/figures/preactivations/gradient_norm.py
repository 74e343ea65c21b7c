"""How derivatives of an output grow or vanish on the way back through layers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured

_MOST = 12


def gradient_norm(study: Study) -> Figure:
    """E|df/dz|^2 of each member against layer, and measured over infinite width."""
    every = [m for m in study.members if _is_above_0(m)]
    if not every:
        raise panels.cannot_draw("gradient_norm", study.members, "no derivative is above 0")
    figure, columns = panels.panels(2, width=3.6, height=3.1)
    (left,), (right,) = columns
    drawn = every[:_MOST]
    layers: list[int] = []
    for look, m in zip(panels.looks(len(drawn)), drawn, strict=True):
        x = m.estimates["layer"].values
        layers += x.tolist()
        measured = Measured.of(m.estimates, "gradient_norm", input=0)
        seen = measured.value > 0
        style.points(left, x[seen], *measured.at(seen), **look, label=m.label)
        line = style.predicted(m.theory, "gradient_norm", "infinite_width")
        if line is None:
            continue
        y = np.where(line.isel(input=0).values > 0, line.isel(input=0).values, np.nan)
        panels.curve(left, x, y, "infinite_width", color=look["color"])
        style.points(right, x, *measured.over(np.nan_to_num(y)), **look, label=m.label)
    for ax in (left, right):
        panels.whole_axis(ax, layers)
        ax.set_xlabel(r"layer $\ell$")
    panels.log_axis(left, "y")
    left.set_ylabel(r"$\mathrm{E}\,|\partial f/\partial z^{(\ell)}|^2$")
    right.set_ylabel("measured / infinite width")
    style.unity(right)
    panels.legend(figure, words=[panels.left_out(drawn, every, "members")])
    return figure


def _is_above_0(m: MemberResults) -> bool:
    return m.has("gradient_norm") and bool(
        (m.estimates["gradient_norm"].isel(input=0).values > 0).any()
    )
