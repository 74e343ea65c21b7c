"""One look for every figure, and the two things that all draw: theory as lines, data as points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Okabe and Ito's palette, which people of any colour vision can tell apart (without its yellow).
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
#: How each order of theory is drawn, and what the legend calls it.
ORDERS = {
    "exact": {"linestyle": "-", "label": "exact at finite $n$"},
    "1/n": {"linestyle": "--", "label": "order $1/n$"},
    "1/n^2": {"linestyle": (0, (7, 1.5)), "label": "order $1/n^2$"},
    "double_scaling": {"linestyle": "-.", "label": "double scaling"},
    "infinite_width": {"linestyle": ":", "label": "infinite width"},
}

_SETTINGS = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.hashsalt": "finitewidth",
}


#: Settings of a study's own, while its figures are drawn.
_OWN: ContextVar[Mapping | None] = ContextVar("own", default=None)


@contextmanager
def own(settings: Mapping) -> Iterator[None]:
    """Let settings of matplotlib go before the project's in every figure that is begun within."""
    token = _OWN.set(settings)
    try:
        yield
    finally:
        _OWN.reset(token)


def points_of(size: float) -> float:
    """The size of text that has ``size`` points where a study sets no other: in the same ratio."""
    return size * plt.rcParams["font.size"] / _SETTINGS["font.size"]


def grid(rows: int, columns: int, *, width=2.6, height=2.2, **options) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes, always as a two-dimensional array."""
    plt.rcParams.update(plt.rcParamsDefault)
    plt.rcParams.update(_SETTINGS | dict(_OWN.get() or {}))
    return plt.subplots(
        rows,
        columns,
        figsize=(max(width * columns, 4.5), max(height * rows, 2.8)),
        squeeze=False,
        **options,
    )


def shades(count: int) -> list:
    """Colours for an ordered sweep, dark to light, distinguishable without colour vision."""
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.85, count)))


#: What the figure says where an error is not trusted.
_UNTRUSTED = "open symbols: the error is not to be believed and not drawn; comparison.csv says why"
#: What marks such a symbol.
OPEN = "untrusted"


def points(ax: Axes, x, value, error, trusted, **options) -> None:
    """Measured values with their error bars, one standard error; open and bare if not ``trusted``.

    Where there is an open one :func:`note_untrusted` says so.
    """
    look = {"fmt": "o", "markersize": 3.2, "capsize": 1.5, "elinewidth": 0.9, "zorder": 3} | options
    x, value, error = (np.asarray(a, float) for a in np.broadcast_arrays(x, value, error))
    sound = np.broadcast_to(trusted, value.shape).astype(bool) & np.isfinite(error)
    if look.get("linestyle", "") and not sound.all():
        # The line goes on through open symbols.
        line = {"color": look.get("color"), "linestyle": look.pop("linestyle"), "zorder": 2}
        ax.plot(x, value, **line, linewidth=look.get("linewidth"))
    ax.errorbar(x[sound], value[sound], error[sound], **look)
    bare = ~sound & np.isfinite(value)
    if bare.any():
        ax.plot(
            x[bare], value[bare], look["fmt"], color=look.get("color"), markerfacecolor="white",
            markersize=look["markersize"], zorder=look["zorder"], gid=OPEN,
        )  # fmt: skip


def note_untrusted(figure: Figure) -> None:
    """Say above the axes what open symbols are, where there are any."""
    drawn = [artist for ax in figure.axes for artist in (*ax.lines, *ax.collections)]
    if any(artist.get_gid() == OPEN for artist in drawn):
        figure.suptitle(_UNTRUSTED, fontsize=6.5, color="0.35", x=0.99, ha="right")


def predicted(theory: xr.Dataset, quantity: str, order: str) -> xr.DataArray | None:
    """One order of theory, or None where theory says nothing of that order."""
    if quantity not in theory or order not in theory["order"]:
        return None
    values = theory[quantity].sel(order=order)
    return values if bool(values.notnull().any()) else None


def orders(theory: xr.Dataset, quantity: str) -> list[str]:
    """The orders of theory that say anything of a quantity."""
    return [order for order in ORDERS if predicted(theory, quantity, order) is not None]


def curve(ax: Axes, x, values, order: str, **options) -> None:
    """A line of theory, if there is one."""
    if values is not None:
        look = {k: v for k, v in ORDERS[order].items() if k != "label"}
        ax.plot(np.asarray(x), np.asarray(values), **(look | options))


def order_legend(ax: Axes, *orders: str, **options) -> None:
    """A legend that says which line is which order, apart from the colours."""
    ax.add_artist(ax.legend(handles=_order_handles(orders), **options))


def member_legend(ax: Axes, **options) -> None:
    """What each colour is: within the axes, or beside them where they are many."""
    many = len(ax.get_legend_handles_labels()[1]) > 5
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    ax.legend(**(options | (beside if many else {})))


def legend_below(figure: Figure, *orders: str, more: Sequence = ()) -> None:
    """The same below all axes of a figure, with ``more`` handles."""
    handles = [*_order_handles(orders), *more]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))


def _order_handles(orders: Sequence[str]) -> list:
    measured = {"marker": "o", "linestyle": "", "markersize": 3.2, "label": "measured"}
    looks = [measured, *(ORDERS[o] for o in orders)]
    return [plt.Line2D([], [], color="0.3", **look) for look in looks]


def log_ticks(ax: Axes, values) -> None:
    """A logarithmic axis of x that names the ``values`` of a sweep, and them alone."""
    values = sorted(set(np.asarray(values).tolist()))
    ax.set_xscale("log")
    ax.set_xticks(values, labels=[f"{v:g}" for v in values])
    ax.minorticks_off()


def unity(ax: Axes) -> None:
    """The line that a ratio of measurement to theory should keep to."""
    ax.axhline(1, color="0.3", linewidth=0.8, zorder=1)


def fit_ratio(ax: Axes, *, least: float = 0.02, most: float = 0.6) -> None:
    """Limits around 1 that show the points of a ratio panel and cut only its longest bars."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]
    values = np.concatenate([*drawn, [1.0]])
    far = np.nanmax(np.abs(values[np.isfinite(values)] - 1), initial=least)
    reach = float(np.clip(1.3 * far, least, most))
    ax.set_ylim(1 - reach, 1 + reach)
