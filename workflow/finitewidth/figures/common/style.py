"""One look for every figure, and the two things that all draw: theory as lines, data as points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWNBASE, CARETUPBASE
from numpy.typing import ArrayLike

mpl.use("Agg")

#: Okabe and Ito's palette, which people of any colour vision can tell apart (without its yellow).
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
#: How each order of theory is drawn, and what the legend calls it.
ORDERS: dict[str, dict[str, Any]] = {
    "exact": {"linestyle": "-", "label": "exact at finite $n$"},
    "1/n": {"linestyle": "--", "label": "order $1/n$"},
    "1/n^2": {"linestyle": (0, (7, 1.5)), "label": "order $1/n^2$"},
    "1/sqrt(n)": {"linestyle": (0, (3, 1, 1, 1)), "label": "order $n^{-1/2}$"},
    "double_scaling": {"linestyle": "-.", "label": "double scaling"},
    "many_tokens": {"linestyle": (0, (5, 1.5, 1, 1.5, 1, 1.5)), "label": "many tokens"},
    "infinite_width": {"linestyle": ":", "label": "infinite width"},
}

_SETTINGS: dict = {
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


#: Settings of a study's own and the width in inches, while its figures are drawn.
_OWN: ContextVar[tuple[Mapping, float | None]] = ContextVar("own")


@contextmanager
def own(settings: Mapping, width: float | None) -> Iterator[None]:
    """Let settings of matplotlib go before the project's in every figure that is begun within.

    Each gets the ``width`` in inches, if there is one, and keeps its shape: legends below it then
    fit it.
    """
    token = _OWN.set((settings, width))
    try:
        yield
    finally:
        _OWN.reset(token)


def points_of(size: float) -> float:
    """The size of text that has ``size`` points where a study sets no other: in the same ratio."""
    return size * plt.rcParams["font.size"] / _SETTINGS["font.size"]


def grid(
    rows: int, columns: int, *, width: float = 2.6, height: float = 2.2, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes, always as a two-dimensional array."""
    plt.rcParams.update(plt.rcParamsDefault)
    settings, wanted = _OWN.get(({}, None))
    plt.rcParams.update(_SETTINGS | dict(settings))
    size = np.array([max(width * columns, 4.5), max(height * rows, 2.8)])
    return plt.subplots(
        rows,
        columns,
        figsize=tuple(size * (wanted / size[0] if wanted else 1)),
        squeeze=False,
        **options,
    )


def shades(count: int) -> list[str]:
    """Colours for an ordered sweep, dark to light, distinguishable without colour vision."""
    return [mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(0, 0.85, count))]


#: What marks an arrow in place of a point that is beyond its axes.
BEYOND = "beyond"
BEYOND_WORDS = "Arrows at the edge of a panel stand for points that are beyond it."
#: What marks a symbol whose error is not trusted, and the faint bar of such an error.
OPEN, DOUBT = "untrusted", "doubt"
#: What a caption says where there are any.
OPEN_WORDS = (
    "Open symbols: the standard error is not to be believed, for the reason that the table gives."
    " The faint line is that error. An arrow at its end points to the side on which the true mean"
    " may lie further off, because a few rare networks decide it."
)


def points(
    ax: Axes,
    x: ArrayLike,
    value: ArrayLike,
    error: ArrayLike,
    trusted: ArrayLike,
    tail: ArrayLike = 0,
    *,
    limits: tuple[float, float] | None = None,
    **options: Any,
) -> None:
    """Measured values with their error bars, one standard error each way.

    Parameters
    ----------
    ax : Axes
    x, value, error, trusted : arrays of one shape
        Where not ``trusted`` the symbol is open and the bar faint; a faint bar does not stretch the
        axis. Bars have no sign: dividing a value by -1 leaves its bar as it was.
    tail : array, optional
        +1 or -1 where the mean has a heavy tail on that side: a faint bar ends in an arrow there.
    limits : pair of float, optional
        Bounds of the value, where bars are cut: 0 and 1 for a share.
    options
        Of :meth:`Axes.errorbar`.
    """
    look: dict[str, Any] = {
        "fmt": "o", "markersize": 3.2, "capsize": 1.5, "elinewidth": 0.9, "zorder": 3, **options,
    }  # fmt: skip
    x, value, error, tail = (
        np.atleast_1d(np.asarray(a, float)) for a in np.broadcast_arrays(x, value, error, tail)
    )
    least, most = limits or (-np.inf, np.inf)
    error = np.asarray(np.abs(error))
    ends = np.stack([np.minimum(error, value - least), np.minimum(error, most - value)]).clip(0)
    shown = np.isfinite(value)
    sound = np.broadcast_to(trusted, value.shape).astype(bool) & np.isfinite(error) & shown
    if look.get("linestyle", "") and not sound.all():
        # The line goes on through open symbols.
        line = {"color": look.get("color"), "linestyle": look.pop("linestyle"), "zorder": 2}
        ax.plot(x, value, **line, linewidth=look.get("linewidth"))
    if sound.any():
        ax.errorbar(x[sound], value[sound], ends[:, sound], **look)
    elif look.get("label"):
        # Nothing with an error bar, and still an entry of the legend.
        keys = ("color", "label", "markersize")
        ax.plot([], [], look["fmt"], **{key: look[key] for key in keys if key in look})
    bare = ~sound & shown
    if bare.any():
        ax.plot(
            x[bare], value[bare], look["fmt"], color=look.get("color"), markerfacecolor="white",
            markersize=look["markersize"], zorder=look["zorder"], gid=OPEN,
        )  # fmt: skip
    doubted = bare & np.isfinite(error) & (error > 0)
    if doubted.any():
        _doubt(ax, x[doubted], value[doubted], ends[:, doubted], tail[doubted], look)


def _doubt(
    ax: Axes, x: np.ndarray, value: np.ndarray, ends: np.ndarray, tail: np.ndarray, look: dict
) -> None:
    """Faint bars, which axes are not scaled to, with an arrow where there is a tail."""
    faint: dict[str, Any] = {"alpha": 0.4, "zorder": look["zorder"] - 0.5}
    low, high = value - ends[0], value + ends[1]
    bars = np.stack([np.stack([x, low], -1), np.stack([x, high], -1)], 1)
    color = look.get("color") or "0.3"
    lines = LineCollection(list(bars), colors=[color], linewidths=0.8, gid=DOUBT, **faint)
    ax.add_collection(lines, autolim=False)
    for side, end, marker in ((1, high, CARETUPBASE), (-1, low, CARETDOWNBASE)):
        there = tail * side > 0
        if there.any():
            look = {"color": color, "linestyle": "", "marker": marker, "markersize": 3.5}
            # As an artist, and not plotted, it leaves the limits of the axes alone, too.
            ax.add_artist(plt.Line2D(x[there], end[there], gid=DOUBT, **look, **faint))


def predicted(theory: xr.Dataset, quantity: str, order: str) -> xr.DataArray | None:
    """One order of theory, or None where theory says nothing of that order."""
    if quantity not in theory or order not in theory["order"]:
        return None
    values = theory[quantity].sel(order=order)
    return values if bool(values.notnull().any()) else None


def orders(theory: xr.Dataset, quantity: str) -> list[str]:
    """The orders of theory that say anything of a quantity."""
    return [order for order in ORDERS if predicted(theory, quantity, order) is not None]


def curve(ax: Axes, x: ArrayLike, values: ArrayLike | None, order: str, **options: Any) -> None:
    """A line of theory, if there is one."""
    if values is not None:
        look = {k: v for k, v in ORDERS[order].items() if k != "label"}
        ax.plot(np.asarray(x), np.asarray(values), **(look | options))


def unity(ax: Axes) -> None:
    """The line that a ratio of measurement to theory should keep to."""
    ax.axhline(1, color="0.3", linewidth=0.8, zorder=1)


def fit_ratio(ax: Axes, *, least: float = 0.02, most: float = 0.6) -> None:
    """Limits around 1 that show the points of a ratio panel and cut only its longest bars.

    Points further off than ``most`` become arrows at the edge, so that the others can be read.
    """
    reach = least
    for line in ax.lines:
        far = np.abs(np.asarray(line.get_ydata(), float) - 1)
        reach = max(reach, 1.3 * np.max(far[np.isfinite(far)], initial=0))
    reach = float(np.clip(reach, least, most))
    for line in [line for line in ax.lines if line.get_marker() in ("o", "s", "^", "D", "v")]:
        x, y = (np.asarray(a, float) for a in line.get_data())
        for side, marker in ((1, CARETUPBASE), (-1, CARETDOWNBASE)):
            away = side * (y - 1) > reach
            if away.any():
                # Its tip touches the edge.
                edge = np.full(away.sum(), 1 + side * 0.9 * reach)
                look: dict[str, Any] = {
                    "marker": marker, "linestyle": "", "markersize": 4, "gid": BEYOND,
                }  # fmt: skip
                ax.add_artist(plt.Line2D(x[away], edge, color=line.get_color(), **look))
    ax.set_ylim(1 - reach, 1 + reach)
