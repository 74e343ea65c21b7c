"""What is wrong with a figure by its geometry: what no reader should have to see."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

#: Inches of a page, and pixels that rounding may move things by.
PAGE, SLACK = (8.4, 11.0), 1.5


def faults(figure, share=None) -> list[str]:
    """Faults of a drawn figure, a sentence each; ``share`` are limits that no error bar crosses."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    wide, high = figure.get_size_inches()
    found = [f"{wide:.1f} x {high:.1f} inches"] if wide > PAGE[0] or high > PAGE[1] else []
    axes = [ax for ax in figure.axes if ax.get_visible() and ax.axison]
    panels = [ax for ax in axes if ax.get_label() != "<colorbar>"]
    found += _cut(figure, renderer)
    legends = [*figure.legends, *(leg for ax in panels if (leg := ax.get_legend()))]
    for ax in panels:
        found += _covered(ax, legends, renderer)
        found += _colors(ax, figure)
        found += _bars(ax, share)
        found += _ticks(ax)
    return list(dict.fromkeys(found))


def _cut(figure, renderer) -> list[str]:
    """Text, and legends, that the edge of the figure cuts."""
    found = []
    for text in _texts(figure):
        words = text.get_text()
        if not words.strip() or not text.get_visible():
            continue
        if not _inside(text.get_window_extent(renderer), figure.bbox):
            found.append(f"the text {words!r} is cut")
        elif any(line.count("$") % 2 for line in words.splitlines()):
            found.append(f"the formula {words!r} is broken")
    return found


def _texts(figure):
    """Every text that is drawn."""
    yield from figure.texts
    for legend in figure.legends:
        yield from (*legend.get_texts(), legend.get_title())
    for ax in figure.axes:
        if not ax.get_visible():
            continue
        yield ax.title
        if not ax.axison:
            continue
        yield from (*ax.texts, ax.xaxis.label, ax.yaxis.label)
        if ax.get_legend():
            yield from ax.get_legend().get_texts()
        for k, axis in enumerate((ax.xaxis, ax.yaxis)):
            low, high = sorted(axis.get_view_interval())
            for label in axis.get_majorticklabels():
                if low <= label.get_position()[k] <= high:
                    yield label


def _inside(box, page) -> bool:
    return (box.x0 >= page.x0 - SLACK and box.x1 <= page.x1 + SLACK
            and box.y0 >= page.y0 - SLACK and box.y1 <= page.y1 + SLACK)  # fmt: skip


def _covered(ax, legends, renderer) -> list[str]:
    """Legends that stand on what is drawn in an axes."""
    drawn = np.concatenate([_path(line) for line in ax.lines] + [np.empty((0, 2))])
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            places = collection.get_offsets()
            drawn = np.concatenate([drawn, ax.transData.transform(np.ma.getdata(places))])
    frame = ax.bbox
    seen = drawn[[frame.contains(x, y) for x, y in drawn]] if len(drawn) else drawn
    found = []
    for legend in legends:
        box = legend.get_window_extent(renderer)
        if any(box.contains(x, y) for x, y in seen):
            found.append(f"a legend stands on data of the panel {ax.get_title()!r}")
        elif legend.axes is not ax and box.overlaps(frame):
            found.append(f"a legend stands on the panel {ax.get_title()!r}")
    return found


def _path(line: Line2D) -> np.ndarray:
    """Points of a line on the canvas, those between its vertices too."""
    points = line.get_transform().transform(np.asarray(line.get_xydata(), float))
    points = points[np.isfinite(points).all(axis=1)]
    if line.get_linestyle() in ("None", "", " ") or len(points) < 2:
        return points
    steps = np.linspace(0, 1, 12)[:, None]
    between = [a + steps * (b - a) for a, b in pairwise(points)]
    return np.concatenate(between)


def _colors(ax, figure) -> list[str]:
    """Colours of lines that no legend names, where there is a legend; black and grey are free."""
    legends = [*figure.legends, *([ax.get_legend()] if ax.get_legend() else [])]
    named = {c for legend in legends for c in _of_legend(legend)}
    # A figure of one colour needs no name for it.
    if len({c for c in _drawn_colors(figure) if not _grey(c)}) < 2:
        return []
    found = []
    for line in ax.lines:
        data = np.asarray(line.get_xydata(), float)
        color = to_hex(line.get_color())
        seen = np.isfinite(data).all(axis=1).any()
        if seen and not _grey(color) and color not in named:
            found.append(f"no legend has the colour {color} of {ax.get_title()!r}")
    return found


def _drawn_colors(figure) -> set[str]:
    return {to_hex(line.get_color()) for ax in figure.axes for line in ax.lines}


def _of_legend(legend) -> set[str]:
    lines = legend.findobj(Line2D)
    found = {to_hex(line.get_color()) for line in lines}
    for collection in legend.findobj(LineCollection):
        found |= {to_hex(c) for c in collection.get_colors()}
    return found | {to_hex(patch.get_facecolor()) for patch in legend.findobj(Patch)}


def _grey(color: str) -> bool:
    rgb = to_rgb(color)
    return max(rgb) - min(rgb) < 0.05


def _bars(ax, share) -> list[str]:
    """Error bars that are turned around, or beyond what a value can be."""
    found = []
    for bars in (c for c in ax.containers if isinstance(c, ErrorbarContainer)):
        for collection in bars.lines[2]:
            for (_, low), (_, high) in collection.get_segments():
                if low > high or not np.isfinite([low, high]).all():
                    found.append(f"an error bar of {ax.get_title()!r} is turned around")
                if share and (low < share[0] - 1e-9 or high > share[1] + 1e-9):
                    found.append(f"an error bar of {ax.get_title()!r} is beyond {share}")
    return found


def _ticks(ax) -> list[str]:
    """Too few labels on a logarithmic axis, or layers between layers."""
    found = []
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        places = [p for p in axis.get_majorticklocs() if low <= p <= high]
        labels = [t for t in axis.get_major_formatter().format_ticks(places) if t]
        if axis.get_scale() == "log" and len(labels) < 2 and not _of_one(ax, name):
            found.append(f"{len(labels)} labels on the axis of {name} of {ax.get_title()!r}")
        layers = axis.get_label_text().startswith(("layer", "rank", "epoch", "depth"))
        if layers and any(abs(p - round(p)) > 1e-9 for p in places):
            found.append(f"the axis {axis.get_label_text()!r} has ticks between whole numbers")
    return found


def _of_one(ax, name: str) -> bool:
    """Whether all that is drawn has one and the same place on an axis, which one label names."""
    k = "xy".index(name)
    values = np.concatenate([np.asarray(line.get_xydata(), float)[:, k] for line in ax.lines
                             if line.get_transform() == ax.transData] + [[]])  # fmt: skip
    values = values[np.isfinite(values)]
    return not len(values) or values.max() <= 1.2 * values.min()
