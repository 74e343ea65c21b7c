"""Singular values of the derivatives of layers by the input, against layer."""

from __future__ import annotations

from matplotlib.figure import Figure

from finitewidth.comparison.results import Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured

_MOST = 8


def jacobian(study: Study) -> Figure:
    """The mean logarithm of each member against layer, and quantiles in its last layer."""
    every = [m for m in study.members if m.has("jacobian")]
    if not every:
        raise panels.cannot_draw("jacobian", study.members, "no singular value was estimated")
    figure, columns = panels.panels(2, width=3.6, height=3.1)
    (left,), (right,) = columns
    drawn = every[:_MOST]
    layers: list[int] = []
    for look, m in zip(panels.looks(len(drawn)), drawn, strict=True):
        x = m.estimates["layer"].values
        layers += x.tolist()
        measured = Measured.of(m.estimates, "jacobian_log_mean", input=0)
        style.points(left, x, *measured, **look, label=m.label)
        for order in ("infinite_width", "exact"):
            line = style.predicted(m.theory, "jacobian_log_mean", order)
            if line is not None:
                panels.curve(left, x, line.isel(input=0).values, order, color=look["color"])
        last = m.estimates.isel(layer=-1)
        shares = last["probability"].values
        quantiles = Measured.of(last, "jacobian_spectrum", input=0).times(1 / x[-1])
        style.points(right, shares, *quantiles, **look, label=m.label)
        for order in ("infinite_width", "exact"):
            line = style.predicted(m.theory, "jacobian_spectrum", order)
            if line is not None:
                y = line.isel(layer=-1, input=0).values / x[-1]
                panels.curve(right, shares, y, order, color=look["color"])
    panels.whole_axis(left, layers)
    left.set_xlabel(r"layer $\ell$")
    left.set_ylabel(r"mean of $\log s$")
    right.set_xlabel("share of singular values below")
    right.set_ylabel(r"$\mathrm{E}\,\log s\, /\, \ell$, last layer")
    panels.legend(figure, words=[panels.left_out(drawn, every, "members")])
    return figure
