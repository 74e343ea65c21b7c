"""The log-norm of a layer: a sum of many independent terms, and its log-normal limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured, anew, between, names
from finitewidth.figures.common.notes import note
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions.scale_invariant import gaussian_log_norm
from finitewidth.theory.predict.predict_preactivations import predict

_MOST_PANELS, _MOST_MEMBERS, _MOST_LAYERS = 16, 14, 4
_COLORS = {"exact": style.PALETTE[1], "double_scaling": style.PALETTE[2]}


def log_norm(study: Study) -> Figure:
    """Histograms of the log-norm beside the exact law and the log-normal limit."""
    members = _members(study)
    every = [(m, layer) for m in members for layer in _shown_layers(m)]
    if not every:
        raise panels.cannot_draw(
            "log_norm", members, "all networks of all layers are dead, or all have one norm"
        )
    figure, columns = panels.panels(min(len(every), _MOST_PANELS), width=2.3, height=2.0)
    shown = every[: len(columns)]
    for (ax,), (m, layer) in zip(columns, shown, strict=True):
        _panel(ax, m, layer)
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("density")
    words = panels.left_out(shown, every, "panels")
    note(figure, words and f"{words}; the table has all numbers.")
    panels.legend(figure, words=[words], measured=False)
    return figure


def _panel(ax: Axes, m: MemberResults, layer: int) -> None:
    here = {"layer": list(m.estimates["layer"].values).index(layer), "input": 0}
    mean, variance = (float(m.estimates[f"log_norm_{q}"].isel(here)) for q in ("mean", "variance"))
    sd = np.sqrt(variance)
    left, right = (m.estimates[f"standard_bin_{s}"].values for s in ("left", "right"))
    inner = np.isfinite(left) & np.isfinite(right)
    step, middle = (right - left)[inner], ((left + right) / 2)[inner]
    measured = Measured.of(m.estimates, "log_norm_histogram", **here).at(inner).over(step * sd)
    seen = measured.value > 0
    look: dict[str, Any] = {
        "color": style.PALETTE[0],
        "markersize": 2,
        "capsize": 0,
        "label": "measured",
    }
    style.points(ax, (mean + sd * middle)[seen], *measured.at(seen), **look)
    exact = _moments(m, "exact", here)
    shape = style.predicted(m.theory, "log_norm_histogram", "exact")
    if exact is not None and shape is not None:
        centre, spread = exact
        line = shape.isel(here).values[inner] / (step * spread)
        label = style.ORDERS["exact"]["label"]
        style.curve(
            ax, centre + spread * middle, line, "exact", color=_COLORS["exact"], label=label
        )
    limit = _moments(m, "double_scaling", here)
    if limit is not None and limit[1] > 0:
        centre, spread = limit
        u = np.linspace(-4, 4, 161)
        density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi) / spread
        look = {
            "color": _COLORS["double_scaling"],
            "label": style.ORDERS["double_scaling"]["label"],
        }
        style.curve(ax, centre + spread * u, density, "double_scaling", **look)
    ratio = layer / m.about.width
    name = f"{m.about.activation}, $n={m.about.width}$"
    ax.set_title(rf"{name}, $\ell/n={ratio:.4g}$", fontsize="small")
    ax.set_xlim(mean - 4.5 * sd, mean + 4.5 * sd)
    ax.set_yticks([])
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel(r"$\log\,(|z^{(\ell)}|/\sqrt{n})$", fontsize="small")


def log_norm_moments(study: Study) -> Figure:
    """Mean and variance of the log-norm over tau, in units of the log-normal limit."""
    every = _members(study)
    deep = [m for m in every if (m.estimates["layer"].values > 1).any()]
    members = [m for m in deep if _has_limit(m)][:_MOST_MEMBERS]
    if not members:
        raise panels.cannot_draw(
            "log_norm_moments",
            every,
            "their one recorded layer is the first"
            if not deep
            else "no limit of depth with width is known for them",
        )
    figure, columns = panels.panels(2, width=3.8, height=3.0)
    axes = [ax for (ax,) in columns]
    looks = panels.looks(len(members))
    for look, m, name in zip(looks, members, names(members), strict=True):
        layers = m.estimates["layer"].values
        layers = layers[layers > 1]
        theory = _everywhere(m, layers)
        size = {"width": f"$n={m.about.width}$", "depth": f"$L={m.about.depth}$"}
        words = ", ".join([name, *(text for key, text in size.items() if key not in m.swept)])
        for ax, quantity in zip(axes, ("log_norm_mean", "log_norm_variance"), strict=True):
            is_mean = quantity == "log_norm_mean"
            start = _start(m.theory, layers) if is_mean else 0.0
            at = [list(m.estimates["layer"].values).index(n) for n in layers]
            unit = _line(m.theory, quantity, "double_scaling", layers) - start
            measured = Measured.of(m.estimates, quantity, layer=at, input=0)
            tau = _maps(m, layers) / m.about.width
            style.points(ax, tau, *measured.plus(-start).over(unit), **look, label=words)
            finer = theory["layer"].values
            start = _start(theory, finer) if is_mean else 0.0
            unit = _line(theory, quantity, "double_scaling", finer) - start
            tau = _maps(m, finer) / m.about.width
            for order in ("exact", "1/n"):
                line = (_line(theory, quantity, order, finer) - start) / unit
                if np.isfinite(line).any():
                    panels.curve(ax, tau, line, order, color=look["color"])
    dashes = style.ORDERS["double_scaling"]
    own = {m.about.network is None for m in members}
    along = r"$\tau = (\ell-1)/n$" if own == {True} else r"$\tau = \ell/n$"
    along = along if len(own) == 1 else r"$\tau$, maps of width $n$ over $n$"
    for ax, quantity in zip(axes, ("mean", "variance"), strict=True):
        ax.axhline(1, color="0.3", linewidth=0.9, **dashes)
        panels.log_axis(ax, "x")
        ax.set(xlabel=along, title=f"{quantity} of the log-norm")
    axes[0].set_ylabel("in units of the log-normal limit")
    words = panels.left_out(members, every, "members")
    note(figure, words and f"{words}; the table has all numbers.")
    panels.legend(figure, words=[words])
    return figure


def _members(study: Study) -> list[MemberResults]:
    return [m for m in study.members if m.has("log_norm")]


def _everywhere(m: MemberResults, layers: np.ndarray) -> xr.Dataset:
    """Theory of the log-norm between the recorded ``layers``, too, where it can be made.

    The norm of the input stands in no file of an ensemble that measures the log-norm alone. Such
    networks have no bias and are scale-invariant: another norm moves the mean, and that is all.
    """
    if m.about.weights != "normal" or m.about.network is not None:
        return m.theory.sel(layer=layers)
    finer = between(layers)
    found = anew(m, ["log_norm"], finer)
    if found is None:
        mlp = Perceptron.of_member(m.about, dimension=1)
        found = predict(mlp, np.ones((1, 1)), list(finer), ["log_norm"])
        known = style.predicted(m.theory, "log_norm_mean", "exact")
        if known is None:
            return m.theory.sel(layer=layers)
        moved = known.sel(layer=layers[-1]).isel(input=0) - found["log_norm_mean"].sel(
            order="exact", layer=layers[-1]
        ).isel(input=0)
        found["log_norm_mean"] = found["log_norm_mean"] + float(moved)
    return found


def _line(theory: xr.Dataset, quantity: str, order: str, layers: np.ndarray) -> np.ndarray:
    values = style.predicted(theory, quantity, order)
    return (
        np.full(len(layers), np.nan)
        if values is None
        else values.sel(layer=layers).isel(input=0).values
    )


def _shown_layers(m: MemberResults) -> list[int]:
    """Four layers at most, spread over those with a distribution to show, the deepest last."""
    variance = m.estimates["log_norm_variance"].isel(input=0)
    layers = [int(layer) for layer in variance["layer"].values[np.asarray(variance) > 0]]
    layers = [layer for layer in layers if layer > 1] or layers
    count = min(_MOST_LAYERS, len(layers))
    places = np.unique(np.linspace(0, len(layers) - 1, count).round().astype(int))
    return [layers[p] for p in places]


def _moments(m: MemberResults, order: str, here: dict) -> tuple[float, float] | None:
    """Mean and standard deviation that one order of theory predicts."""
    first, second = (
        style.predicted(m.theory, f"log_norm_{q}", order) for q in ("mean", "variance")
    )
    if first is None or second is None:
        return None
    mean, variance = float(first.isel(here)), float(second.isel(here))
    return None if np.isnan(mean) or np.isnan(variance) else (mean, np.sqrt(variance))


def _maps(m: MemberResults, layers: np.ndarray) -> np.ndarray:
    """How many maps of width n have made each layer: of a network of blocks the embedding stands
    before the first."""
    return layers - 1 if m.about.network is None else layers


def _has_limit(m: MemberResults) -> bool:
    found = style.predicted(m.theory, "log_norm_variance", "double_scaling")
    return found is not None and bool(np.isfinite(found.isel(layer=-1, input=0)))


def _start(theory: xr.Dataset, layers: np.ndarray) -> np.ndarray:
    """Half of log K of each layer, (T,): where the limit's mean goes from, as depth over width
    grows. At infinite width the norm of independent channels lies on it, but for their number."""
    gaussian = [gaussian_log_norm(int(n)).mean for n in theory["width"].sel(layer=layers).values]
    return _line(theory, "log_norm_mean", "infinite_width", layers) - np.array(gaussian)
