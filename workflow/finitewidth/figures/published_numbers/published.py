"""Published numbers against width, depth or layer, on measured ones and theory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import SymmetricalLogLocator

from finitewidth.comparison.compare import table
from finitewidth.comparison.published import ORDER
from finitewidth.comparison.results import Study
from finitewidth.figures.common import panels, style

#: Panels that are drawn at most.
_MOST = 8
#: What the axis of x can be, the first of them that published numbers are told apart by.
_AXES = {"width": "width, $n$", "depth": "depth, $L$", "layer": "layer, $l$"}
#: What tells numbers of one panel from those of another: all that names a number, but the axis.
_NAMES = (
    "ensemble",
    "activation",
    "width",
    "depth",
    "C_b",
    "C_W",
    "quantity",
    "layer",
    "inputs",
    "component",
)
#: The last layer is that of the depth.
_GOES_WITH = {"depth": ("layer",)}
#: From this ratio of largest to smallest number on, the axis of y is logarithmic.
_FAR = 1e4


def published(study: Study) -> Figure:
    """A panel for each published number along the axis: measured, published, orders of theory."""
    rows = table(study)
    theirs = rows[rows["order"] == ORDER]
    if theirs.empty:
        raise panels.cannot_draw("published", study.every, "nothing is published in this study")
    along = _axis(theirs)
    names = [n for n in _NAMES if n in rows and n not in (along, *_GOES_WITH.get(along, ()))]
    # What is not there is the same everywhere.
    keys = rows[names].astype(str).agg(" ".join, axis=1)
    of = keys[rows["order"] == ORDER].drop_duplicates()
    drawn = of.iloc[:_MOST]
    several = _telling(rows.loc[drawn.index, names])
    figure, columns = panels.panels(len(drawn), width=3.2, height=2.9)
    for ax, (first, key) in zip(np.ravel(columns), drawn.items(), strict=False):
        _panel(ax, rows[keys == key].sort_values(along, kind="stable"), along)
        panels.titled(ax, ", ".join(f"{name} {rows.loc[first, name]}" for name in several))
        ax.set_xlabel(_AXES[along])
        ax.set_ylabel(str(rows.loc[first, "quantity"]))
    panels.legend(figure, words=[panels.left_out(drawn, of, "numbers")])
    return figure


def _axis(theirs: pd.DataFrame) -> str:
    """What published numbers differ in; the width where they differ in none of the three."""
    varied = [name for name in _AXES if name in theirs and theirs[name].nunique() > 1]
    return varied[0] if varied else "width"


def _telling(numbers: pd.DataFrame) -> list[str]:
    """The first columns that tell these numbers apart, without those that add nothing."""
    kept: list[str] = []
    for name in numbers:
        before = len(numbers[kept].drop_duplicates()) if kept else 1
        if len(numbers[[*kept, name]].drop_duplicates()) > before:
            kept.append(name)
    return kept


def _panel(ax: Axes, rows: pd.DataFrame, along: str) -> None:
    measured = rows.drop_duplicates(along)
    if along == "width":
        panels.log_axis(ax, "x")
    else:
        panels.whole_axis(ax, measured[along].to_numpy())
    style.points(
        ax, measured[along], measured["estimate"], measured["standard_error"],
        measured["trusted"], color=style.shades(1)[0],
    )  # fmt: skip
    for order, each in rows[~rows["order"].isin((ORDER, "none"))].groupby("order", sort=False):
        panels.curve(ax, each[along], each["theory"], str(order))
    theirs = rows[rows["order"] == ORDER]
    # Beside ours, which would hide them.
    x = (
        theirs[along] * 1.06
        if along == "width"
        else theirs[along] + 0.012 * np.ptp(measured[along])
    )
    style.points(
        ax, x, theirs["theory"], theirs["theory_error"].fillna(0.0),
        np.ones(len(theirs), bool), color="#b5179e", fmt="s", label="published",
    )  # fmt: skip
    sizes = rows["theory"].dropna().to_numpy()
    sizes = sizes[sizes != 0]
    if sizes.size and np.abs(sizes).max() > _FAR * np.abs(sizes).min():
        if sizes.min() > 0:
            panels.log_axis(ax, "y")
        else:
            ax.set_yscale("symlog", linthresh=np.abs(sizes).min())
            ticks = SymmetricalLogLocator(ax.yaxis.get_transform())
            ticks.set_params(numticks=6)
            ax.yaxis.set_major_locator(ticks)
