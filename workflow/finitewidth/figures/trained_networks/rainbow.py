"""Networks made of the covariances of trained ones."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import Study, TrainedResults
from finitewidth.figures.common import style
from finitewidth.figures.common.panels import left_out, legend, panels, sweep_axis, titled
from finitewidth.figures.common.replica_bands import BANDS, PARTS, STATES, alike, title, typical

_SOURCES = {"reference": style.PALETTE[1], "average": style.PALETTE[2], "white": style.PALETTE[3]}


def rainbow(study: Study) -> Figure:
    """Accuracy of generated networks against width, beside trained ones; and layer by layer."""
    members = typical(study)
    figure, columns = panels(len(members), 2, width=3.4, height=2.6, share=False)
    for (top, bottom), m in zip(columns, members, strict=False):
        _by_width(top, m, alike(study, m))
        _by_layers(bottom, m)
    for column in columns[:: columns[0][0].get_gridspec().ncols]:
        for ax in column:
            ax.set_ylabel("validation accuracy")
    words = [BANDS + ", and over generated networks", left_out(columns, members, "architectures")]
    legend(figure, measured=False, words=words)
    return figure


def _by_width(ax: Axes, m: TrainedResults, group: list[TrainedResults]) -> None:
    n = np.array([int(x.estimates["width"].sel(layer=1)) for x in group])
    names = ("accuracy", "accuracy_stderr", "accuracy_trusted", "accuracy_spread")
    value, error, trusted, spread = (
        np.array([float(x.estimates[name].sel(split="validation")) for x in group])
        for name in names
    )
    look = {"color": STATES["trained"], "label": "trained", "linestyle": "-"}
    style.points(ax, n, value, error, trusted, limits=(0, 1), **look)
    _band(ax, n, value, spread, look["color"])
    seen = [value]
    # The first entry of each axis: all layers, from the reference, of the same width, if the study
    # file begins with these.
    made = [
        np.array([float(_first(x.estimates[f"generated_accuracy{part}"])) for x in group])
        for part in PARTS
    ]
    look = {"color": "0.35", "fmt": "s", "linestyle": "--", "label": "generated, own width"}
    if len(group) > 1:
        style.points(ax, n, *made, limits=(0, 1), **look)
        seen.append(made[0])
    own = int(m.estimates["width"].sel(layer=1)) * m.estimates["widening"].values
    for source in m.estimates["source"].values:
        where = {"drawn": m.estimates["drawn"].values[0], "source": source}
        sd = m.estimates["generated_each"].sel(where).std(("replica", "network")).values
        value, error, trusted = (
            m.estimates[f"generated_accuracy{part}"].sel(where).values for part in PARTS
        )
        color = _SOURCES[str(source)]
        look = {"color": color, "label": f"generated: {source} covariance", "linestyle": "-"}
        style.points(ax, own, value, error, trusted, limits=(0, 1), **look)
        _band(ax, own, value, sd, color)
        seen.append(value)
    for quantity, where in (("accuracy", {"split": "validation"}), ("generated_accuracy", {})):
        said = m.theory[quantity].sel(where | {"order": "published"}).values
        for value in said[np.isfinite(said)].ravel():
            ax.axhline(value, color="0.4", linestyle="-.", linewidth=0.9, label="published")
            seen.append(np.array([value]))
    chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
    if _fit_accuracy(ax, seen) <= chance:
        ax.axhline(chance, color="0.4", linestyle=":", linewidth=0.9, label="chance")
    ax.set_xlabel("width $n_1$")
    titled(ax, title(m))
    sweep_axis(ax, [*n, *np.round(own).astype(int)])


def _by_layers(ax: Axes, m: TrainedResults) -> None:
    drawn = m.estimates["drawn"].values
    places = np.arange(len(drawn))
    widening = min(m.estimates["widening"].values, key=lambda f: abs(np.log(f)))
    seen = []
    for shift, source in zip((-0.15, 0, 0.15), m.estimates["source"].values, strict=False):
        where = {"source": source, "widening": widening}
        value, error, trusted = (
            m.estimates[f"generated_accuracy{part}"].sel(where).values for part in PARTS
        )
        sd = m.estimates["generated_each"].sel(where).std(("replica", "network")).values
        look = {"color": _SOURCES[str(source)]}
        low, high = np.clip([value - sd, value + sd], 0, 1)
        ax.vlines(places + shift, low, high, alpha=0.35, linewidth=4, color=look["color"])
        style.points(ax, places + shift, value, error, trusted, limits=(0, 1), **look)
        seen.append(value)
    whole = float(m.estimates["accuracy"].sel(split="validation"))
    ax.axhline(whole, color=STATES["trained"], linewidth=1)
    _fit_accuracy(ax, [*seen, np.array([whole])])
    ax.set_xticks(places, labels=drawn, rotation=30 if len(drawn) > 5 else 0)
    ax.set(xlabel="layers drawn anew", xlim=(-0.5, len(drawn) - 0.5))
    titled(ax, f"widths × {widening:g}")


def _band(ax: Axes, x: np.ndarray, value: np.ndarray, sd: np.ndarray, color: str) -> None:
    low, high = np.clip([value - np.nan_to_num(sd), value + np.nan_to_num(sd)], 0, 1)
    ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def _fit_accuracy(ax: Axes, values: list[np.ndarray]) -> float:
    """Limits around what was measured, not around chance; the lower one."""
    lowest = float(np.nanmin(np.concatenate(values)))
    low = max(0.0, lowest - 0.1)
    ax.set_ylim(low, 1.01)
    return low


def _first(values: xr.DataArray) -> xr.DataArray:
    """The first subset of layers and source, at the width of the reference or next to it."""
    factor = min(values["widening"].values, key=lambda f: abs(np.log(f)))
    return values.isel(drawn=0, source=0).sel(widening=factor)
