"""Axes of numbers that may have either sign, words in a panel, and legends of one panel."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from finitewidth.figures.common import style
from finitewidth.figures.common.panels import log_axis

#: Most decades that an axis of both signs shows, and the share of the numbers, those nearest to 0,
#: that may lie in its linear part: noise around 0 has no order of magnitude.
_DECADES, _NOISE = 9, 0.2
#: Numbers of both signs that differ by less than this factor need no logarithm.
_PLAIN = 100
#: Inches from the axes to a legend below them: tick labels and the axis' name stand between.
_BELOW = 0.42


def signed_axis(ax: Axes) -> None:
    """An axis of y for what was drawn: logarithmic where all is above 0, else with both signs.

    Its limits follow the values, and not error bars: one that reaches down to 0 would take all of
    the axis.
    """
    values = _drawn(ax)
    if not len(values):
        return
    size = np.abs(values[values != 0])
    if len(size) == len(values) and (values > 0).all():
        log_axis(ax, "y")
        room = max(1.15, (size.max() / size.min()) ** 0.06)
        ax.set_ylim(size.min() / room, size.max() * room)
    elif len(size) and size.max() / (low := np.quantile(size, _NOISE)) > _PLAIN:
        _both_signs(ax, values, size.max(), low)


def _both_signs(ax: Axes, values: np.ndarray, most: float, low: float) -> None:
    top = int(np.ceil(np.log10(most)))
    least = max(int(np.floor(np.log10(low))), top - _DECADES)
    ax.set_yscale("symlog", linthresh=10.0**least)
    step = max(1, -(-(top - least) // 3))
    powers = np.arange(top, least - 1, -step)
    signs = [s for s, there in ((1, (values > 0).any()), (-1, (values < 0).any())) if there]
    ticks = [(s, p) for s in signs for p in powers]
    labels = [f"${'-' if s < 0 else ''}10^{{{p}}}$" for s, p in ticks]
    ax.set_yticks([0.0, *(s * 10.0**p for s, p in ticks)], labels=["0", *labels])
    ax.minorticks_off()
    down, up = (2 * 10.0**top if s in signs else 10.0**least for s in (-1, 1))
    ax.set_ylim(-down, up)
    ax.axhline(0, color="0.7", linewidth=0.7, zorder=0)


def _drawn(ax: Axes) -> np.ndarray:
    """Every finite y of symbols and lines, without the ends of error bars."""
    ends = {id(cap) for bars in ax.containers for cap in getattr(bars, "lines", ((), ()))[1]}
    ours = [
        np.asarray(line.get_ydata(), float)
        for line in ax.lines
        if id(line) not in ends and line.get_transform() == ax.transData
        and line.get_gid() not in (style.DOUBT, style.BEYOND)
    ]  # fmt: skip
    values = np.concatenate([*ours, []])
    return values[np.isfinite(values)]


def say(ax: Axes, words: str) -> None:
    """Words in the middle of a panel, for what cannot be drawn there."""
    text = textwrap.fill(words, 26)
    where: dict[str, Any] = {
        "transform": ax.transAxes, "ha": "center", "va": "center", "zorder": 5,
    }  # fmt: skip
    ax.text(
        0.5, 0.5, text, fontsize=style.points_of(7), color="0.35", parse_math="$" in words, **where
    )


def is_empty(ax: Axes) -> bool:
    """Whether nothing was drawn, words and lines across the whole axes left aside."""
    return not len(_drawn(ax)) and not ax.collections and not ax.images and not ax.texts


def legends_below(figure: Figure, rows: list[list[Axes]]) -> None:
    """A legend below each of several panels, for what each draws; the figure grows by their height.

    ``rows`` are the panels that stand side by side.
    """
    for row in rows:
        highest = 0.0
        for ax in row:
            if not ax.get_legend_handles_labels()[0]:
                continue
            down = ScaledTranslation(0, -_BELOW, figure.dpi_scale_trans)
            many = len(ax.get_legend_handles_labels()[0])
            for columns in (2, 1) if many > 3 else (1,):
                legend = ax.legend(
                    loc="upper center",
                    bbox_to_anchor=(0.5, 0.0),
                    bbox_transform=ax.transAxes + down,
                    fontsize=style.points_of(6.5),
                    borderaxespad=0,
                    ncols=columns,
                )
                size = legend.get_window_extent()
                if size.width <= ax.bbox.width:
                    break
            highest = max(highest, size.height / figure.dpi)
        wide, high = figure.get_size_inches()
        figure.set_size_inches(wide, high + highest)


def in_rows(axes: list[Axes]) -> list[list[Axes]]:
    """Panels by the row of the grid that they stand in."""
    rows: dict[int, list[Axes]] = {}
    for ax in axes:
        place = ax.get_subplotspec()
        # They are panels of a grid.
        assert place is not None
        rows.setdefault(place.rowspan.start, []).append(ax)
    return list(rows.values())
