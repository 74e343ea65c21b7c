"""Depth comparable to width: log-normal kernels, and the inverse kernel of the K* = 0 class."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import say, signed_axis
from finitewidth.figures.common.member_series import Measured, names
from finitewidth.figures.common.notes import end

_MOST_ROWS, _MOST_WIDTHS, _MOST_PANELS = 5, 4, 9
_COLORS = {"exact": style.PALETTE[1], "double_scaling": style.PALETTE[2]}
_NO_KERNEL = "the kernel of the first input is 0 or not finite"


def log_kernel(study: Study) -> Figure:
    """Density of log(Ghat/K) at the last layer, a row a member and a column a width."""
    every = [m for m in study.members if m.has("log_kernel")]
    members = every[:_MOST_ROWS]
    # Of many widths some, from the narrowest to the widest.
    rungs = [_some(m.estimates.sizes["rung"]) for m in members]
    most = max(map(len, rungs))
    figure, axes = style.grid(len(members), most, width=2.0, height=1.9, sharex="row")
    for row, m, places, name in zip(axes, members, rungs, names(members), strict=True):
        layer = int(m.estimates["layer"].values[-1])
        for ax in row[len(places) :]:
            ax.remove()
        for ax, rung in zip(row, places, strict=False):
            n = int(m.estimates["width"][rung])
            _density(ax, m, {"rung": rung, "layer": -1, "input": 0})
            ax.set_title(rf"$n={n}$, $\ell/n={layer / n:.2g}$", fontsize="small")
            signed_axis(ax)
            ax.locator_params(axis="x", nbins=4)
            ax.set_xlabel(r"$\log(\hat G/K)$" if row[0].get_subplotspec().is_last_row() else "")
        row[0].set_ylabel(f"{name}\ndensity")
    _end(figure, members, every, panels.left_out(range(most), range(max(
        m.estimates.sizes["rung"] for m in members)), "widths"))  # fmt: skip
    return figure


def _some(count: int) -> list[int]:
    return np.unique(
        np.linspace(0, count - 1, min(count, _MOST_WIDTHS)).round().astype(int)
    ).tolist()


def _density(ax: Axes, m: MemberResults, here: dict) -> None:
    """Points, the exact law and the limiting normal law of one panel."""
    infinite = style.predicted(m.theory, "log_kernel_mean", "infinite_width")
    log_K = np.nan if infinite is None else float(infinite.isel(here))
    if not np.isfinite(log_K):
        say(ax, _NO_KERNEL)
        return
    left, right = (m.estimates[f"standard_bin_{side}"].values for side in ("left", "right"))
    inner = np.isfinite(left) & np.isfinite(right)
    middle, step = ((left + right) / 2)[inner], (right - left)[inner]

    def placed(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        mean = float(data["log_kernel_mean"].isel(here)) - log_K
        sd = float(np.sqrt(data["log_kernel_variance"].isel(here)))
        return mean + sd * middle, sd * step

    x, width = placed(m.estimates)
    share = Measured.of(m.estimates, "log_kernel_histogram", **here).at(inner).over(width)
    seen = share.value > 0
    lowest = np.min(share.value[seen], initial=1)
    look: dict[str, Any] = {
        "color": style.PALETTE[0],
        "markersize": 2.2,
        "capsize": 0,
        "label": "measured",
    }
    style.points(ax, x[seen], *share.at(seen), **look)
    if not seen.any():
        say(ax, "all networks have one kernel here, or are dead")
    looks = {o: {"color": c, "label": style.ORDERS[o]["label"]} for o, c in _COLORS.items()}
    exact = style.predicted(m.theory, "log_kernel_histogram", "exact")
    if exact is not None:
        x, width = placed(m.theory.sel(order="exact"))
        y = exact.isel(here).values[inner] / width
        style.curve(ax, x, _above(y, lowest), "exact", **looks["exact"])
    if style.predicted(m.theory, "log_kernel_mean", "double_scaling") is not None:
        mean, variance = (
            float(m.theory[f"log_kernel_{name}"].sel(order="double_scaling").isel(here))
            for name in ("mean", "variance")
        )
        if variance > 0:
            sd, u = np.sqrt(variance), np.linspace(-5, 5, 200)
            density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi) / sd
            look = looks["double_scaling"]
            style.curve(
                ax, mean - log_K + sd * u, _above(density, lowest), "double_scaling", **look
            )


def _above(density: np.ndarray, lowest: float) -> np.ndarray:
    """A density, NaN far below the lowest one that was measured."""
    return np.where(density > 0.2 * lowest, density, np.nan)


def inverse_kernel(study: Study) -> Figure:
    """E[1/Ghat] over its growth at infinite width, against l/n."""
    every = [m for m in study.members if m.has("inverse_kernel")]
    figure, columns = panels.panels(min(len(every), _MOST_PANELS), width=3.2, height=2.4)
    members = every[: len(columns)]
    widths = np.unique(np.concatenate([m.estimates["width"].values for m in members]))
    colors = dict(zip(widths.tolist(), style.shades(len(widths)), strict=True))
    for (ax,), m, name in zip(columns, members, names(members), strict=True):
        layer = m.estimates["layer"].values
        scale = style.predicted(m.theory, "inverse_kernel_mean", "infinite_width")
        ax.set(xlabel=r"$\ell/n$", title=name)
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel(r"$K\,\mathrm{E}[1/\hat G]$")
        if scale is None:
            say(ax, _NO_KERNEL)
            continue
        for rung, n in enumerate(m.estimates["width"].values.tolist()):
            unit = scale.isel(input=0, rung=rung).values
            for order in _COLORS:
                line = style.predicted(m.theory, "inverse_kernel_mean", order)
                if line is not None:
                    y = line.isel(input=0, rung=rung).values / unit
                    panels.curve(ax, layer / n, y, order, color=colors[n])
            measured = Measured.of(m.estimates, "inverse_kernel_mean", rung=rung, input=0)
            style.points(ax, layer / n, *measured.over(unit), color=colors[n])
        signed_axis(ax)
        style.unity(ax)
    handles = [
        style.plt.Line2D([], [], color=color, marker="o", markersize=3.2, label=f"$n={n}$")
        for n, color in colors.items()
    ]
    words = panels.left_out(members, every, "members")
    end(figure, *handles, words=[words])
    return figure


def _end(figure: Figure, members: Sized, every: Sized, *more: str) -> None:
    words = [panels.left_out(members, every, "members"), *more]
    end(figure, words=words, measured=False)
