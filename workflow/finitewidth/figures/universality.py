"""Var(Ghat)/K^2 against l/n: one slope for each universality class."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.activations import get
from finitewidth.figures import style
from finitewidth.results import MemberResults, Study
from finitewidth.theory.criticality import critical_point


def universality(study: Study) -> Figure:
    """A panel a member: widths as colours, the slope of its class as a straight line.

    Of a kernel of layer l, l - 1 hidden layers are the cause. Open points have heavy tails: their
    errors are too small to be drawn.
    """
    members = [m for m in study.members if m.has("kernel_moments")]
    columns = min(3, len(members))
    rows = -(-len(members) // columns)
    figure, axes = style.grid(rows, columns, width=2.9, height=2.6)
    for ax in axes.flat[len(members) :]:
        ax.set_visible(False)
    for ax, m in zip(axes.flat, members, strict=False):
        _panel(ax, m)
    for ax in axes[:, 0]:
        ax.set_ylabel(r"$\mathrm{Var}\,\hat G/K^2$")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    style.order_legend(axes[0, 0], "exact", "1/n^2", "1/n", loc="upper left", fontsize=6)
    return figure


def _panel(ax, m: MemberResults) -> None:
    layer = m.estimates["layer"].values
    seen = layer > 1  # the first layer's kernel does not fluctuate
    layer = layer[seen]
    first = {"pair": 0, "pair_": 0}
    K = style.predicted(m.theory, "kernel_mean", "infinite_width").isel(rung=0, pair=0).values
    widths = m.estimates["width"].values
    hidden = layer - 1
    for rung, (color, n) in enumerate(zip(style.shades(len(widths)), widths, strict=True)):
        for order in ("1/n", "1/n^2", "exact"):
            line = style.predicted(m.theory, "kernel_covariance", order)
            if line is not None:
                y = (line.isel(rung=rung, **first).values / K**2)[seen]
                style.curve(ax, hidden / n, y, order, color=color, linewidth=0.9)
        value, error, trusted = (
            m.estimates[f"kernel_covariance{part}"].isel(rung=rung, **first).values[seen]
            for part in ("", "_stderr", "_trusted")
        )
        scale = K[seen] ** 2
        style.points(
            ax, hidden / n, value / scale, error / scale, trusted, color=color, label=f"$n={n}$"
        )
    slope = critical_point(get(m.about["activation"])).vertex_slope
    x = np.array([hidden.min() / widths.max(), hidden.max() / widths.min()])
    ax.plot(x, slope * x, color="k", linewidth=0.9, linestyle=(0, (1, 1)), zorder=1)
    ax.set(xscale="log", yscale="log", xlabel=r"$(\ell-1)/n$")
    ax.set_title(f"{m.about['activation']}: slope {slope:.3g}")
