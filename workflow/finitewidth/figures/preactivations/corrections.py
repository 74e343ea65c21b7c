"""Coefficients of the expansion in 1/n, read off as intercept and slope."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import say
from finitewidth.figures.common.member_series import Measured, names
from finitewidth.figures.common.notes import end

#: Quantity -> axis label; each row of the figure.
_ROWS = {
    "kernel_mean": r"$n\,(\mathrm{E}[\hat G] - K)$",
    "kernel_covariance": r"$n\,\mathrm{Var}\,\hat G$",
}
_FEW = "a fit needs ladders of four widths or more"
_LOOKS = (("1/n", "0.5"), ("1/n^2", style.PALETTE[2]), ("exact", style.PALETTE[1]))


def corrections(study: Study) -> Figure:
    """n (measured - infinite width) against 1/n, last layer and first input, member by member."""
    every = [m for m in study.members if "kernel_mean_1" in m.estimates]
    if not every:
        raise panels.cannot_draw("corrections", study.members, _FEW)
    figure, columns = panels.panels(len(every), 2, width=2.6, height=1.9)
    members = every[: len(columns)]
    for column, m, name in zip(columns, members, _titles(members), strict=True):
        for ax, (quantity, label) in zip(column, _ROWS.items(), strict=True):
            _scaled(ax, m, quantity)
            if ax.get_subplotspec().is_first_col():
                ax.set_ylabel(label)
        column[0].set_title(name)
        column[1].set_xlabel("$1/n$")
        column[1].locator_params(axis="x", nbins=4)
    _end(figure, members, every)
    return figure


def _end(figure: Figure, members: Sized, every: Sized) -> None:
    words = panels.left_out(members, every, "members")
    end(figure, words=[words], measured=False)


def _titles(members: list[MemberResults]) -> list[str]:
    """The activation, where that tells members apart."""
    activations = [m.about.activation for m in members]
    return activations if len(set(activations)) == len(members) else names(members)


def _scaled(ax: Axes, m: MemberResults, quantity: str) -> None:
    """One quantity of one member: points, fit, and every order of theory."""
    here = _first(m.estimates[quantity])
    n = m.estimates["width"].values[np.arange(len(here))]
    known = style.predicted(m.theory, quantity, "infinite_width")
    if known is None:
        say(ax, "theory says nothing of infinite width")
        return
    infinite = _first(known).values
    for order, color in _LOOKS:
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
    measured = Measured.of(m.estimates, quantity, **_place(m.estimates[quantity]))
    look: dict[str, Any] = {"color": style.PALETTE[0], "label": "measured"}
    style.points(ax, 1 / n, *measured.plus(-infinite).times(n), **look)
    intercept = Measured.of(m.estimates, f"{quantity}_1", **_place(m.estimates[f"{quantity}_1"]))
    style.points(ax, [0], *intercept, color=style.PALETTE[3], fmt="s", label="extrapolated")


def _place(values: xr.DataArray) -> dict[str, int]:
    """Places of the last layer and the first input (with itself) in a quantity's dimensions."""
    return {"layer": -1} | {d: 0 for d in ("pair", "pair_", "input") if d in values.dims}


def _first(values: xr.DataArray) -> xr.DataArray:
    """The last layer, the first input (with itself)."""
    return values.isel(_place(values))
