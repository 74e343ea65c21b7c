"""Ways of computing one network's tangent kernel: whether they agree, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.ntk_series import series
from finitewidth.figures.common.panels import (
    left_out,
    legend,
    log_axis,
    looks,
    panels,
    sweep_axis,
    titled,
)


def ntk_methods(study: Study) -> Figure:
    """Deviation from the contracted Jacobian, and multiplications, against width."""
    groups = series(study, "ntk_methods", "width")
    figure, columns = panels(len(groups), 2, width=3.0, height=2.3)
    missing = False
    for (top, bottom), (label, members) in zip(columns, groups.items(), strict=False):
        n = np.array([m.about.width for m in members])
        agreed, compared = [], False
        for look, way in _ways(members):
            value, error, trusted = (
                np.array(
                    [float(m.estimates[f"way_deviation{end}"].sel(way=way)[-1]) for m in members]
                )
                for end in ("", "_stderr", "_trusted")
            )
            compared |= np.isfinite(value).any()
            if (value == 0).all():
                # To the last bit, which has no place on a logarithmic axis.
                agreed.append(way)
            elif (value > 0).any():
                missing |= not (value > 0).all()
                value = np.where(value > 0, value, np.nan)
                style.points(top, n, value, error, trusted, label=way, **look)
            _costs(bottom, n, members, way, look)
        rounding = {"color": "0.4", "linestyle": ":", "linewidth": 1, "label": "rounding"}
        top.axhline(np.finfo(float).eps, **rounding)
        same = f"{', '.join(agreed)}: the same to the last bit" if agreed else ""
        titled(top, label, same, "" if compared else "every kernel is 0")
        bottom.set_xlabel("width $n$")
        _grow(bottom, n, [m.estimates["way_operations"].sel(way="layerwise") for m in members])
        log_axis(top, "y")
        log_axis(bottom, "y")
        sweep_axis(bottom, n)
    for top, bottom in columns[:: columns[0][0].get_gridspec().ncols]:
        top.set_ylabel(r"$\max|\Delta\Theta|/\max|\Theta|$")
        bottom.set_ylabel("multiplications a network")
    words = ["where a point is missing, a way agrees to the last bit"] if missing else []
    legend(figure, measured=False, words=[*words, left_out(columns, groups, "laws")])
    return figure


def ntk_times(study: Study) -> Figure:
    """Seconds a network against width: no two runs agree on these, nor do two machines."""
    groups = series(study, "ntk_methods", "width")
    figure, columns = panels(len(groups), width=3.0, height=2.6)
    for (ax,), (label, members) in zip(columns, groups.items(), strict=False):
        n = np.array([m.about.width for m in members])
        seconds = [m.seconds() for m in members]
        for look, way in _ways(members):
            best, spread = (
                np.array([float(s["seconds"].sel(way=way, statistic=k)) for s in seconds])
                for k in ("median", "spread")
            )
            # A logarithmic axis has no room for a bar that reaches 0.
            bars = [np.minimum(spread, 0.9 * best), spread]
            ax.errorbar(n, best, bars, label=way, markersize=3.2, capsize=1.5, **look)
        log_axis(ax, "y")
        ax.set_xlabel("width $n$")
        titled(ax, label)
        sweep_axis(ax, n)
    for (ax,) in columns[:: columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel("seconds a network")
    words = ["bars: spread of the repetitions", left_out(columns, groups, "laws")]
    legend(figure, measured=False, words=words)
    return figure


def _costs(ax: Axes, n: np.ndarray, members: list[MemberResults], way: str, look: dict) -> None:
    cost = [float(m.estimates["way_operations"].sel(way=way)) for m in members]
    line = {key: look[key] for key in ("color", "linestyle")}
    ax.plot(n, cost, look["fmt"], markersize=3.2, label=way, **line)


def _grow(ax: Axes, n: np.ndarray, at: Sequence[xr.DataArray]) -> None:
    """The growth with n^2 that reading every weight takes, through the last point."""
    fine = np.geomspace(n[0], n[-1], 30)
    look: dict[str, Any] = {"color": "0.6", "linestyle": "--", "linewidth": 1, "zorder": 0}
    ax.plot(fine, float(at[-1]) * (fine / n[-1]) ** 2, label="$n^2$", **look)


def _ways(members: list[MemberResults]) -> list[tuple[dict, str]]:
    """Every way with its colour, marker and line: ways that agree do not hide one another."""
    ways = [str(way) for way in members[0].estimates["way"].values]
    marks = [("o", "-"), ("s", "--"), ("D", "-."), ("^", ":")]
    return [
        (look | dict(zip(("fmt", "linestyle"), marks[k % len(marks)], strict=True)), way)
        for k, (look, way) in enumerate(zip(looks(len(ways)), ways, strict=True))
    ]
