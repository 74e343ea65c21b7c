"""How tokens, or inputs, become alike with depth."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured

_MOST = 12
#: What is left of 1 - correlation that is drawn: less is rounding.
_LEAST = 1e-9


def token_correlation(study: Study) -> Figure:
    """Correlation of the first two recorded tokens against layer, and what it lacks of 1."""
    every = [m for m in study.members if _has_two(m)]
    if not every:
        raise panels.cannot_draw(
            "token_correlation", study.members, "a correlation needs two tokens or inputs"
        )
    figure, columns = panels.panels(2, width=3.6, height=3.1)
    (left,), (right,) = columns
    drawn = every[:_MOST]
    layers: list[int] = []
    apart = False
    for look, m in zip(panels.looks(len(drawn)), drawn, strict=True):
        x = m.estimates["layer"].values
        layers += x.tolist()
        measured = Measured.of(m.estimates, "correlation", input=0, input_=1)
        style.points(left, x, *measured, **look, label=m.label)
        lacks = Measured(1 - measured.value, measured.error, measured.trusted, -measured.tail)
        seen = lacks.value > _LEAST
        style.points(right, x[seen], *lacks.at(seen), **look, label=m.label)
        apart |= bool(seen.any())
        for order in ("infinite_width", "1/n"):
            line = style.predicted(m.theory, "correlation", order)
            if line is not None:
                y = line.isel(input=0, input_=1).values
                panels.curve(left, x, y, order, color=look["color"])
                left_of = np.where(1 - y > _LEAST, 1 - y, np.nan)
                panels.curve(right, x, left_of, order, color=look["color"])
                apart |= bool(np.isfinite(left_of).any())
    for ax in (left, right):
        panels.whole_axis(ax, layers)
        ax.set_xlabel(r"layer $\ell$")
    # Of tokens that are all alike nothing stands there, and nothing has a logarithm.
    if apart:
        panels.log_axis(right, "y")
    left.set_ylabel("correlation of two tokens")
    right.set_ylabel("1 - correlation")
    panels.legend(figure, words=[panels.left_out(drawn, every, "members")])
    return figure


def _has_two(m: MemberResults) -> bool:
    return m.has("correlation") and m.estimates.sizes["input"] > 1
