"""The coefficient of 1/n in the mean tangent kernel, read off as an intercept."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.comparison.tables import with_error
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import Measured
from finitewidth.figures.common.ntk_series import of_input, place_of, series
from finitewidth.figures.common.panels import (
    cannot_draw,
    curve,
    left_out,
    legend,
    panels,
    plain_numbers,
    titled,
    zero_line,
)

_ENDS = ("", "_stderr", "_trusted")


def ntk_corrections(study: Study) -> Figure:
    """n (E[Theta] - Theta) against 1/n, last layer and first input, member by member."""
    every = [
        (label, m, _input(m))
        for label, members in series(study, "ntk_mean").items()
        for m in members
        if "ntk_mean_1" in m.estimates
    ]
    known = [(label, m, a) for label, m, a in every if a is not None]
    if not known:
        why = "no mean tangent kernel of a ladder of four widths or more is above 0"
        raise cannot_draw("ntk_corrections", study.members, why)
    figure, columns = panels(len(known), width=2.66, height=2.3)
    for (ax,), (label, m, a) in zip(columns, known, strict=False):
        infinite = _at(m.theory["ntk_mean"].sel(order="infinite_width"), a)
        _points_and_lines(ax, m, a, infinite)
        zero_line(ax)
        plain_numbers(ax)
        value, error, trusted = (_at(m.estimates[f"ntk_mean{end}"], a)[-1] for end in _ENDS)
        n, scale = int(m.estimates["width"].values[-1]), infinite[-1]
        ratio = with_error(value / scale, error / scale if trusted else np.nan)
        titled(
            ax, label + of_input(a), rf"$\mathrm{{E}}[\Theta]/\Theta_\infty$ = {ratio} at $n={n}$"
        )
        ax.set_xlabel("$1/n$")
        ax.xaxis.set_major_locator(MaxNLocator(4))
    for (ax,) in columns[:: columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel(r"$n\,(\mathrm{E}[\Theta] - \Theta_\infty)$")
    legend(figure, measured=False, words=[left_out(columns, known, "laws")])
    return figure


def _points_and_lines(ax: Axes, m: MemberResults, a: int, infinite: np.ndarray) -> None:
    """Each rung, every order of theory, and what the rungs are extrapolated to."""
    n = m.estimates["width"].values
    for order in ("1/n", "exact"):
        line = style.predicted(m.theory, "ntk_mean", order)
        if line is None or not np.isfinite(_at(line, a)).all():
            continue
        x, y = 1 / n, n * (_at(line, a) - infinite)
        coefficient = style.predicted(m.theory, "ntk_mean_1", order)
        if coefficient is not None:
            # Theory is known at infinite width too: drawn on to the axis.
            x, y = np.append(x, 0.0), np.append(y, _at(coefficient, a))
        rising = np.argsort(x)
        curve(ax, x[rising], y[rising], order, color="0.3")
    found = Measured.of(m.estimates, "ntk_mean", **place_of(m.estimates["ntk_mean"], a))
    look: dict[str, Any] = {"color": style.PALETTE[0], "label": "measured"}
    style.points(ax, 1 / n, *found.plus(-infinite).times(n), **look)
    intercept = Measured.of(m.estimates, "ntk_mean_1", **place_of(m.estimates["ntk_mean_1"], a))
    style.points(ax, [0], *intercept, color=style.PALETTE[3], fmt="s", label="extrapolated")


def _input(m: MemberResults) -> int | None:
    """The first input whose mean tangent kernel is above 0, in theory and as measured."""
    for a in range(int(m.estimates["pair_b"].max()) + 1):
        infinite = _at(m.theory["ntk_mean"].sel(order="infinite_width"), a)
        if (infinite > 0).all() and (_at(m.estimates["ntk_mean"], a) > 0).all():
            return a
    return None


def _at(values: xr.DataArray, a: int) -> np.ndarray:
    """The last layer, at input ``a`` with itself."""
    return values.isel(place_of(values, a)).values
