"""How panels share a page, and what axes and legends need so that they can be read."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Sequence, Sized
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    Formatter,
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import ArrayLike

from finitewidth.figures.common import style

#: Inches that a figure takes at most, and a panel at least.
_PAGE, _LEAST = (8.0, 9.6), (1.3, 1.1)
#: Panels beside one another, at most.
_ABREAST = 5
#: How measured values are marked, one series after another that share a colour.
_MARKERS = "osD^v"
#: Holds the place of a formula while lines are filled.
_HELD = "\ue000"


class CannotDrawError(ValueError):
    """Nothing of a figure can be drawn; the message is one sentence that says of what and why."""


def cannot_draw(figure: str, members: Sequence, why: str) -> CannotDrawError:
    """The error that names a figure, the ensembles of its members, and why there is nothing."""
    names = ", ".join(dict.fromkeys(m.about.ensemble for m in members)) or "none"
    return CannotDrawError(
        f"the figure {figure} has nothing to draw of the ensembles {names}: {why}"
    )


def panels(
    count: int,
    rows: int = 1,
    *,
    width: float = 2.6,
    height: float = 2.2,
    least: tuple[float, float] = _LEAST,
    share: bool = True,
) -> tuple[Figure, list[np.ndarray]]:
    """A figure of ``count`` columns of ``rows`` panels each, which wrap and fit a page.

    Where not all fit, panels being of the ``least`` inches (width, height) with their titles, there
    are fewer columns; :func:`left_out` puts that in words. The panels of
    a column ``share`` their axis of x, and only the lowest has its labels.

    Returns
    -------
    figure : Figure
    columns : list of ndarray
        Of axes, (rows,) each.
    """
    abreast = min(_ABREAST, int(_PAGE[0] / least[0]))
    most = abreast * int(_PAGE[1] / (rows * least[1]))
    columns, wide, high = _fit(min(count, most), rows, abreast, (width, height))
    blocks = -(-min(count, most) // columns)
    figure, axes = style.grid(rows * blocks, columns, width=wide, height=high)
    found = []
    for k in range(blocks * columns):
        block, place = divmod(k, columns)
        column = axes[rows * block : rows * (block + 1), place]
        if k < min(count, most):
            found.append(column)
            continue
        for ax in column:
            ax.remove()
    for column in found if share else ():
        for ax in column[1:]:
            ax.sharex(column[0])
        for ax in column[:-1]:
            ax.tick_params(labelbottom=False)
    return figure, found


def _fit(
    count: int, rows: int, abreast: int, wanted: tuple[float, float]
) -> tuple[int, float, float]:
    """How many columns to a row, and the inches of a panel: as large as fit, few left empty."""
    found = []
    for columns in range(1, min(count, abreast) + 1):
        blocks = -(-count // columns)
        wide = min(wanted[0], _PAGE[0] / columns)
        high = min(wanted[1], _PAGE[1] / (rows * blocks))
        size = round(min(wide / wanted[0], high / wanted[1]), 2)
        found.append((size, columns - blocks * columns, columns, wide, high))
    return max(found)[2:]


def left_out(drawn: Sized, of: Sized, what: str) -> str:
    """ "12 of 30 ... are drawn" where not all are, else nothing."""
    return f"{len(drawn)} of {len(of)} {what} are drawn" if len(drawn) < len(of) else ""


def looks(count: int) -> list[dict]:
    """A colour and a marker for each of several series: no two are the same."""
    many = len(style.PALETTE)
    return [
        {"color": style.PALETTE[k % many], "fmt": _MARKERS[k // many % len(_MARKERS)]}
        for k in range(count)
    ]


def curve(ax: Axes, x: ArrayLike, values: ArrayLike, order: str, **options: Any) -> None:
    """A line of theory, where it says anything; one place alone is a dash.

    :func:`legend` finds by its mark which orders were drawn.
    """
    x, values = np.broadcast_arrays(np.asarray(x, float), np.asarray(values, float))
    known = np.isfinite(values)
    if known.sum() == 1:
        options = {"marker": "_", "markersize": 12, "markeredgewidth": 1.2} | options
    if known.any():
        style.curve(ax, x[known], values[known], order, gid=f"theory {order}", **options)


def legend(
    figure: Figure,
    *more: Artist,
    words: Sequence[str] = (),
    measured: bool = True,
    but: Collection[str] = (),
) -> None:
    """A legend below all panels: the orders of theory that are drawn, and the handles ``more``.

    Then the labels of the panels' own artists, each once, without those in ``but``. ``words`` stand
    above them. The legend is at most as wide as the figure, and the figure grows by its height.
    """
    lines = {line.get_gid() for ax in figure.axes for line in ax.lines}
    point = Line2D([], [], color="0.3", marker="o", linestyle="", markersize=3.2, label="measured")
    orders = [
        Line2D([], [], color="0.3", **look)
        for order, look in style.ORDERS.items()
        if f"theory {order}" in lines
    ]
    found = [*([point] if measured else []), *orders, *more]
    named: dict[str, Artist] = {str(handle.get_label()): handle for handle in found}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            if label not in but:
                named.setdefault(str(label), handle)
    if not named and not any(words):
        return
    wide, high = figure.get_size_inches()
    size = style.points_of(7.5)
    title = _filled(words, int(15 * wide * 7.5 / size))
    for columns in range(min(len(named), 6), 0, -1):
        made = figure.legend(
            named.values(), named, title=title or None, title_fontsize=size,
            loc="outside lower center", ncols=columns,
        )  # fmt: skip
        extent = made.get_window_extent()
        if extent.width <= 0.96 * figure.bbox.width or columns == 1:
            break
        made.remove()
    figure.set_size_inches(wide, high + extent.height / figure.dpi)


class _LogTicks(Locator):
    """Ticks of a logarithmic axis, two at least: decades, or else what lies between."""

    def __call__(self) -> Sequence[float]:
        """Those in view."""
        assert self.axis is not None
        return self.tick_values(*sorted(self.axis.get_view_interval()))

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Those from vmin to vmax, both above 0."""
        if not vmin > 0:
            # What matplotlib shows where nothing that was drawn has a logarithm.
            return np.array([])  # type: ignore[return-value]
        first, last = np.floor(np.log10(vmin)), np.ceil(np.log10(vmax))
        decades = np.arange(first, last + 1)
        for digits in ([1], [1, 2, 5], np.arange(1, 10)):
            ticks = np.sort(np.outer(digits, 10.0**decades).ravel())
            ticks = ticks[(ticks >= vmin * (1 - 1e-9)) & (ticks <= vmax * (1 + 1e-9))]
            if len(ticks) >= (2 if len(digits) < 9 else 3):
                # An array, as matplotlib's own locators return.
                return ticks[:: -(-len(ticks) // 6)]  # type: ignore[return-value]
        # Less than a factor of 2 or so: as on an axis that is not logarithmic.
        ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(vmin, vmax))
        return ticks[(ticks >= vmin) & (ticks <= vmax)]  # type: ignore[return-value]


class _LogLabels(Formatter):
    """Numbers as they are, or powers of 10 where one of them is far from 1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of one tick."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of all ticks, alike."""
        if all(1e-3 <= value < 1e4 for value in values):
            return [f"{value:g}" for value in values]
        return [self._power(value) for value in values]

    @staticmethod
    def _power(value: float) -> str:
        digits, power = f"{value:.6e}".split("e")
        power = f"10^{{{int(power)}}}"
        return f"${power}$" if float(digits) == 1 else rf"${float(digits):g}\times {power}$"


def log_axis(ax: Axes, *names: str) -> None:
    """Make axes ``names`` (x, y) logarithmic, with two labels at least whatever they span."""
    for name in names:
        ax.set(**{f"{name}scale": "log"})
        axis = getattr(ax, f"{name}axis")
        axis.set_major_locator(_LogTicks())
        axis.set_major_formatter(_LogLabels())
        axis.set_minor_locator(LogLocator(subs="auto"))
        axis.set_minor_formatter(NullFormatter())


def _room(ax: Axes) -> float:
    """Inches that a panel is wide."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return ax.get_position().width * figure.get_size_inches()[0]


def sweep_axis(ax: Axes, values: ArrayLike) -> None:
    """A logarithmic axis of x that names the values of a sweep, those that have room."""
    values = np.unique(np.asarray(values, float))
    room = _room(ax)
    inches = room / max(np.log(values[-1] / values[0]), 1e-3)
    kept = [values[0]]
    for value in values[1:]:
        # Labels are centred on their values; the last has to have room, too.
        need = 0.1 + 0.08 * len(f"{value:g}")
        last = 0.1 + 0.08 * len(f"{values[-1]:g}") if value < values[-1] else 0
        beyond, before = (np.log([value / kept[-1], values[-1] / value])) * inches
        if (beyond >= need and before >= last) or (len(kept) == 1 and value == values[-1]):
            kept.append(value)
    ax.set_xscale("log")
    ax.set_xticks(kept, labels=[f"{value:g}" for value in kept])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(values) == 1:
        ax.set_xlim(values[0] / 2, values[0] * 2)


def whole_axis(ax: Axes, values: Sequence[float] | np.ndarray) -> None:
    """An axis of x of layers, depths or epochs: from the first to the last, ticks at integers."""
    low, high = min(values), max(values)
    edge = max(0.04 * (high - low), 0.4 if high - low < 4 else 0.0)
    ax.set_xlim(low - edge, high + edge)
    room = _room(ax)
    ax.xaxis.set_major_locator(
        MaxNLocator(max(2, int(room / 0.4)), integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )


def titled(ax: Axes, *lines: str) -> None:
    """A small title of several lines, none of them wider than the panel."""
    room = _room(ax)
    size = style.points_of(7.5)
    ax.set_title(_filled(lines, max(12, int(18 * room * 7.5 / size))), fontsize=size)


def _filled(lines: Sequence[str], letters: int) -> str:
    """Lines of at most so many letters; formulas, which are shorter than their text, stay whole."""
    formulas: list[str] = []

    def held(found: re.Match) -> str:
        formulas.append(found[0])
        shown = re.sub(r"\\[a-z]+|[{}$^_\\]", lambda m: "x" if len(m[0]) > 2 else "", found[0])
        return _HELD * min(max(len(shown), 1), letters)

    text = "\n".join(
        textwrap.fill(re.sub(r"\$[^$]*\$", held, line), letters) for line in lines if line
    )
    return re.sub(f"{_HELD}+", lambda _: formulas.pop(0), text)


def zero_line(ax: Axes) -> None:
    """A line at 0 where the axis of y comes near it; nothing is flattened to make room for it."""
    low, high = ax.get_ylim()
    near = 0.3 * (high - low)
    if low - near <= 0 <= high + near:
        ax.axhline(0, color="0.7", linewidth=0.7, zorder=0)


def plain_numbers(ax: Axes) -> None:
    """Numbers far from 1 along the axis of y written out, without a factor above the axis."""
    far = np.abs(ax.get_ylim()).max()
    if not 1e-3 <= far < 1e5:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.6g}".replace("-", "\u2212")))
