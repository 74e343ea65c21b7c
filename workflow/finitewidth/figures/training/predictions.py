"""Predictions of trained ensembles along a line of inputs, on what infinite width gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import Measured, names, over_width
from finitewidth.figures.common.panels import cannot_draw, left_out, legend, panels, titled
from finitewidth.members.stages import TabulatedTraining

#: Standard deviations that a band is wide on either side.
_BAND = 2


def training(study: Study) -> Figure:
    """The first output at the last moment, a panel a member: mean and band, measured and at
    infinite width, with the targets that it was trained on."""
    able = [m for group in over_width(study.members).values() for m in group]
    members = [m for m in able if "position" in m.theory.coords]
    if not members:
        raise cannot_draw("training", study.members, "their inputs have more than one component")
    figure, columns = panels(len(members), width=2.66, height=2.3)
    shown = members[: len(columns)]
    for (ax,), m, name in zip(columns, shown, names(members), strict=False):
        _predictions(ax, m)
        moment = float(m.estimates["moment"][-1])
        titled(ax, name, f"time {moment:g}" if is_flow(m) else f"after {moment:g} steps")
        ax.set_xlabel("$x$")
    for (ax,) in columns[:: columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel("prediction $f(x)$")
    _same_height([ax for (ax,) in columns])
    words = [
        left_out(shown, members, "members"),
        "Lines and shades are mean and two standard deviations at infinite width, points and dashes"
        " the same as measured, crosses the training targets.",
    ]
    legend(figure, measured=False, words=words)
    return figure


def _predictions(ax: Axes, m: MemberResults) -> None:
    """Infinite width as a line in a band, measured values as points between dashes."""
    last = {"moment": -1, "output": 0}
    x, rising, trained = _places(m.theory)
    mean, variance = (
        m.theory[f"prediction_{q}"].sel(order="infinite_width").isel(last).values
        for q in ("mean", "variance")
    )
    spread = _BAND * np.sqrt(np.clip(variance, 0, None))
    look = style.ORDERS["infinite_width"]["label"]
    ax.fill_between(
        x[rising], (mean - spread)[rising], (mean + spread)[rising], color="0.85", linewidth=0
    )
    style.curve(ax, x[rising], mean[rising], "infinite_width", color="0.3", label=look)
    first = style.predicted(m.theory, "prediction_mean", "1/n")
    if first is not None:
        values, words = first.isel(last).values[rising], style.ORDERS["1/n"]["label"]
        style.curve(ax, x[rising], values, "1/n", color=style.PALETTE[1], label=words)
    found = Measured.of(m.estimates, "prediction_mean", **last)
    width = _BAND * np.sqrt(np.clip(m.estimates["prediction_variance"].isel(last).values, 0, None))
    for side in (-1, 1):
        edge = (found.value + side * width)[rising]
        ax.plot(x[rising], edge, color=style.PALETTE[0], linestyle="--", linewidth=0.9)
    style.points(
        ax, x[rising], *found.at(rising), color=style.PALETTE[0], label="measured", markersize=2.2
    )
    target = m.theory["target"].isel(output=0).values
    ax.plot(
        x[trained], target[trained], "x", color=style.PALETTE[3], markersize=5, zorder=5,
        label="training targets",
    )  # fmt: skip


def _places(theory: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where inputs stand, their order along the line, and which of them train."""
    x = theory["position"].values
    return x, np.argsort(x, kind="stable"), theory["is_training"].values


def is_flow(m: MemberResults) -> bool:
    """Whether it was trained by gradient flow, whose moments are times."""
    return isinstance(m.about, TabulatedTraining) and m.about.train.learning_rate is None


def _same_height(axes: Sequence[Axes]) -> None:
    """One range of y for all panels, so that bands can be compared."""
    ends = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(ends[:, 0].min(), ends[:, 1].max())
