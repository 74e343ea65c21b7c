"""Var(Ghat)/K^2 against l/n: one slope for each universality class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import say, signed_axis
from finitewidth.figures.common.member_series import Measured, names
from finitewidth.figures.common.notes import end
from finitewidth.models.activations.table import get
from finitewidth.theory.mlp.criticality import critical_point

_MOST_PANELS = 12
_SLOPE: dict[str, Any] = {"color": "k", "linewidth": 0.9, "linestyle": (0, (1, 1)), "zorder": 1}


def universality(study: Study) -> Figure:
    """A panel a member: widths as colours, the slope of its class as a straight line.

    Of a kernel of layer l, l - 1 hidden layers are the cause; the first layer's does not fluctuate.
    """
    every = [m for m in study.members if m.has("kernel_moments")]
    deep = [m for m in every if (m.estimates["layer"].values > 1).any()]
    if not deep:
        raise panels.cannot_draw(
            "universality",
            every,
            "only the first layer is recorded, whose kernel does not fluctuate",
        )
    figure, columns = panels.panels(min(len(deep), _MOST_PANELS), width=2.7, height=2.3)
    members = deep[: len(columns)]
    widths = np.unique(np.concatenate([m.estimates["width"].values for m in members]))
    colors = dict(zip(widths.tolist(), style.shades(len(widths)), strict=True))
    for (ax,), m, name in zip(columns, members, names(members), strict=True):
        _panel(ax, m, colors, name)
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel(r"$\mathrm{Var}\,\hat G/K^2$")
    # Widths in their order, whichever panel has them first.
    handles = [
        style.plt.Line2D([], [], color=color, marker="o", markersize=3.2, label=f"$n={n}$")
        for n, color in colors.items()
    ]
    words = panels.left_out(members, every, "members")
    end(figure, *handles, words=[words])
    return figure


def _panel(ax: Axes, m: MemberResults, colors: dict, name: str) -> None:
    layer = m.estimates["layer"].values
    seen = layer > 1
    hidden = layer[seen] - 1
    first = {"pair": 0, "pair_": 0}
    infinite = style.predicted(m.theory, "kernel_mean", "infinite_width")
    K = np.full(len(layer), np.nan) if infinite is None else infinite.isel(rung=0, pair=0).values
    K = K[seen]
    widths = m.estimates["width"].values
    for rung, n in enumerate(widths.tolist()):
        for order in ("1/n", "1/n^2", "exact"):
            line = style.predicted(m.theory, "kernel_covariance", order)
            if line is not None and (K > 0).any():
                here = {"rung": rung, **first}
                y = line.isel(here).values[seen] / np.where(K > 0, K, np.nan) ** 2
                # Of an order that leaves the range of a variance there is nothing to draw.
                y = np.where(y > 0, y, np.nan)
                panels.curve(ax, hidden / n, y, order, color=colors[n], linewidth=0.9)
        measured = Measured.of(m.estimates, "kernel_covariance", rung=rung, **first).at(seen)
        style.points(ax, hidden / n, *measured.over(K**2), color=colors[n])
    title = name if m.about.activation in name else f"{name}, {m.about.activation}"
    slope = _slope(m)
    if slope is not None and (K > 0).any():
        x = np.array([hidden.min() / widths.max(), hidden.max() / widths.min()])
        ax.plot(x, slope * x, **_SLOPE, label="slope of its class")
        title += f": slope {slope:.3g}"
    signed_axis(ax)
    panels.log_axis(ax, "x")
    ax.set(xlabel=r"$(\ell-1)/n$")
    ax.set_title(title, fontsize="small")
    if not (K > 0).any():
        say(ax, "the kernel of the first input is 0 or not finite")


def _slope(m: MemberResults) -> float | None:
    """Of the activation's class, where it has a critical point and the member stands there."""
    try:
        point = critical_point(get(m.about.activation))
    except ValueError:
        return None
    if m.about.C_b is None or m.about.C_W is None or m.about.network is not None:
        return None
    here, critical = (m.about.C_b, m.about.C_W), (point.C_b, point.C_W)
    return point.vertex_slope if np.allclose(here, critical, rtol=1e-6, atol=1e-9) else None
