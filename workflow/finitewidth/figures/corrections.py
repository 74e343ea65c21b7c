"""Coefficients of the expansion in 1/n, read off as intercept and slope."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import MemberResults, Study

#: Quantity -> axis label; each row of the figure.
_ROWS = {
    "kernel_mean": r"$n\,(\mathrm{E}[\hat G] - K)$",
    "kernel_covariance": r"$n\,\mathrm{Var}\,\hat G$",
}


def corrections(study: Study) -> Figure:
    """n (measured - infinite width) against 1/n, last layer and first input, member by member."""
    members = [m for m in study.members if "kernel_mean_1" in m.estimates]
    if not members:
        raise ValueError("the figure corrections needs a ladder of four widths or more")
    figure, axes = style.grid(2, len(members), width=2.3, height=2.2, sharex="col")
    for column, m in zip(axes.T, members, strict=True):
        for ax, quantity in zip(column, _ROWS, strict=True):
            _scaled(ax, m, quantity)
        column[0].set_title(m.about["activation"])
        column[1].set_xlabel("$1/n$")
    for ax, label in zip(axes[:, 0], _ROWS.values(), strict=True):
        ax.set_ylabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _scaled(ax: Axes, m: MemberResults, quantity: str) -> None:
    """One quantity of one member: points, fit, and every order of theory."""
    here = _first(m.estimates[quantity])
    n = m.estimates["width"].values[np.arange(len(here))]
    infinite = _first(style.predicted(m.theory, quantity, "infinite_width")).values
    for order, color in (("1/n", "0.5"), ("1/n^2", style.PALETTE[2]), ("exact", style.PALETTE[1])):
        line = style.predicted(m.theory, quantity, order)
        if line is None or not bool(_first(line).notnull().all()):
            continue
        x, y = 1 / n, n * (_first(line).values - infinite)
        coefficient = style.predicted(m.theory, f"{quantity}_1", "1/n")
        if coefficient is not None:
            # Theory is known at infinite width too: drawn on to the axis.
            x, y = np.append(x, 0.0), np.append(y, float(_first(coefficient)))
        rising = np.argsort(x)
        label = style.ORDERS[order]["label"]
        style.curve(ax, x[rising], y[rising], order, color=color, label=label)
    value, error, trusted = (
        _first(m.estimates[f"{quantity}{part}"]).values for part in ("", "_stderr", "_trusted")
    )
    look = {"color": style.PALETTE[0], "label": "measured"}
    style.points(ax, 1 / n, n * (value - infinite), n * error, trusted, **look)
    intercept = (
        float(_first(m.estimates[f"{quantity}_1{part}"])) for part in ("", "_stderr", "_trusted")
    )
    style.points(ax, [0], *intercept, color=style.PALETTE[3], fmt="s", label="extrapolated")


def _first(values: xr.DataArray) -> xr.DataArray:
    """The last layer, the first input (with itself)."""
    index = {d: 0 for d in ("pair", "pair_", "input") if d in values.dims}
    return values.isel(layer=-1, **index)
