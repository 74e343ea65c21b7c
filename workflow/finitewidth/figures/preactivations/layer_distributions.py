"""How the distribution of preactivations changes from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.core.bins import QUANTILE_U
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import signed_axis
from finitewidth.figures.common.member_series import Measured, anew, between, first_input, names
from finitewidth.figures.common.notes import end
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions.meijer import deep_linear_density

_MOST_ROWS, _MOST_PANELS, _MOST_INPUTS = 4, 8, 7
_COLORS = {"infinite_width": "0.2", "exact": style.PALETTE[1]}


def histograms(study: Study) -> Figure:
    """Density of z/sqrt(G) at the first, second, middle and last recorded layer."""
    members, every = _with_layers(study, "distribution", _MOST_ROWS)
    layers = [_four_layers(m) for m in members]
    figure, axes = style.grid(
        len(members), max(map(len, layers)), width=2.0, height=2.0, sharex=True, sharey=True
    )
    for row, m, places, name in zip(axes, members, layers, names(members), strict=True):
        for ax in row[len(places) :]:
            ax.remove()
        for ax, k in zip(row, places, strict=False):
            _density(ax, m, k)
            layer = int(m.estimates["layer"][k])
            ax.set_title(rf"$\ell={layer}$", fontsize="small")
            ax.set_xlabel(r"$z/\sqrt{G}$" if row[0].get_subplotspec().is_last_row() else "")
        row[0].set_ylabel(f"{name}\ndensity")
    for ax in axes[0]:
        if ax.figure is not None:
            signed_axis(ax)
    lowest = min((ax.get_ylim()[0] for ax in figure.axes), default=1e-5)
    axes[0, 0].set_ylim(max(lowest, 1e-7), 1.5)
    _end(figure, members, every, measured=False)
    return figure


def _density(ax: Axes, m: MemberResults, k: int) -> None:
    """Points and lines of theory of the layer at place k, over the finite bins."""
    left, right, inner = _edges(m)
    width, middle = (right - left)[inner], ((left + right) / 2)[inner]
    here = {"layer": k, "input": first_input(m)}
    measured = Measured.of(m.estimates, "histogram", **here).at(inner).over(width)
    seen = measured.value > 0
    for order, color in _COLORS.items():
        line = style.predicted(m.theory, "histogram", order)
        if line is not None and bool(line.isel(here).notnull().all()):
            label = style.ORDERS[order]["label"]
            y = line.isel(here).values[inner] / width
            y = np.where(y > 0, y, np.nan)
            style.curve(ax, middle, y, order, color=color, label=label)
    look: dict[str, Any] = {
        "color": style.PALETTE[0],
        "markersize": 2.2,
        "capsize": 0,
        "label": "measured",
    }
    style.points(ax, middle[seen], *measured.at(seen), **look)


def quantiles(study: Study) -> Figure:
    """Quantiles against those of the Gaussian, and their difference."""
    members, every = _with_layers(study, "distribution", _MOST_PANELS)
    u = QUANTILE_U
    figure, columns = panels.panels(len(members), 2, width=3.2, height=2.0)
    members = members[: len(columns)]
    shown = {int(m.estimates["layer"][place]) for m in members for place in _four_layers(m)}
    shades = dict(zip(sorted(shown), style.shades(len(shown)), strict=True))
    for (top, bottom), m, name in zip(columns, members, names(members), strict=True):
        k = first_input(m)
        for place in _four_layers(m):
            here = {"layer": place, "input": k}
            measured = Measured.of(m.estimates, "quantile", **here)
            layer = int(m.estimates["layer"][place])
            color, label = shades[layer], rf"$\ell={layer}$"
            style.points(top, u, *measured, color=color, label=label)
            style.points(bottom, u, *measured.plus(-u), color=color)
            for order in _COLORS:
                line = style.predicted(m.theory, "quantile", order)
                if line is not None:
                    theory = line.isel(here).values
                    panels.curve(top, u, theory, order, color=color)
                    panels.curve(bottom, u, theory - u, order, color=color)
        top.plot(u, u, color="0.6", linewidth=0.8, zorder=1)
        bottom.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        top.set(title=name)
        bottom.set(xlabel="quantile of the Gaussian")
        if top.get_subplotspec().is_first_col():
            top.set_ylabel(r"quantile of $z/\sqrt{G}$")
            bottom.set_ylabel("difference")
    # Layers in their order, whichever panel has them first.
    handles = [
        style.plt.Line2D([], [], color=color, marker="o", markersize=3.2, label=rf"$\ell={layer}$")
        for layer, color in shades.items()
    ]
    _end(figure, members, every, handles=handles)
    return figure


def kurtosis(study: Study) -> Figure:
    """Excess kurtosis of every input against layer, and its distance from exact theory."""
    members, every = _with_layers(study, "kurtosis", _MOST_PANELS)
    figure, columns = panels.panels(len(members), 2, width=3.3, height=1.9)
    members = members[: len(columns)]
    most = max(m.estimates.sizes["input"] for m in members)
    looks = panels.looks(min(most, _MOST_INPUTS))
    for (top, bottom), m, name in zip(columns, members, names(members), strict=True):
        layer = m.estimates["layer"].values
        finer = anew(m, ["kurtosis"], between(layer))
        theory = m.theory if finer is None else finer
        for k, look in zip(range(m.estimates.sizes["input"]), looks, strict=False):
            label = {"label": f"input {k}"} if most > 1 else {}
            shift = 0.12 * (k - (min(most, _MOST_INPUTS) - 1) / 2)
            measured = Measured.of(m.estimates, "excess_kurtosis", input=k)
            style.points(top, layer + shift * (most > 1), *measured, **(look | label))
            for order in ("exact", "1/n"):
                line = style.predicted(theory, "excess_kurtosis", order)
                if line is not None:
                    y = line.isel(input=k).values
                    panels.curve(top, theory["layer"].values, y, order, color=look["color"])
            exact = style.predicted(m.theory, "excess_kurtosis", "exact")
            if exact is not None:
                # In units of an error that is not believed there is nothing to show.
                pull = measured.plus(-exact.isel(input=k).values).over(measured.error)
                pull = pull.at(measured.trusted)
                at = (layer + shift * (most > 1))[measured.trusted]
                style.points(bottom, at, *pull._replace(error=np.ones(len(at))), **look)
        bottom.axhline(0, color="0.3", linewidth=0.8)
        # As far as the farthest, so that none is cut off.
        far = [abs(y) for line in bottom.lines for y in np.asarray(line.get_ydata(), float)]
        reach = max(4.0, np.nanmax(np.array(far), initial=0) + 0.5)
        panels.whole_axis(bottom, layer)
        top.set(title=name)
        bottom.set(xlabel=r"layer $\ell$", ylim=(-reach, reach))
        if top.get_subplotspec().is_first_col():
            top.set_ylabel(r"$\mathrm{E}[z^4]/\mathrm{E}[z^2]^2 - 3$")
            bottom.set_ylabel("(measured − exact)\n/ error")
    inputs = panels.left_out(range(len(looks)), range(most), "inputs")
    _end(figure, members, every, inputs)
    return figure


def output_density(study: Study) -> Figure:
    """Output of deep linear networks: measured density, the Meijer G function, the Gaussian."""
    every = [m for m in study.members if m.has("distribution") and _is_deep_linear(m)]
    if not every:
        raise panels.cannot_draw(
            "output_density", study.members,
            "none has linear networks with normal weights and no bias that estimate distribution",
        )  # fmt: skip
    every = sorted(every, key=lambda m: m.about.depth)
    figure, columns = panels.panels(min(len(every), _MOST_PANELS), 2, width=2.6, height=2.0)
    members = every[: len(columns)]
    for (top, bottom), m, name in zip(columns, members, names(members), strict=True):
        here = {"layer": -1, "input": first_input(m)}
        left, right, inner = _edges(m)
        width, middle = (right - left)[inner], ((left + right) / 2)[inner]
        measured = Measured.of(m.estimates, "histogram", **here).at(inner)
        seen = measured.value > 0
        z = np.linspace(-5, 5, 400)  # an even number of points: the density can diverge at 0
        mlp, layer = Perceptron.of_member(m.about, dimension=1), int(m.estimates["layer"][-1])
        unit = float(1 / np.prod(mlp.C_W[:layer]))  # the norm of the input at which G = 1
        exact = {"color": _COLORS["exact"], "label": "exact at finite $n$"}
        top.plot(z, deep_linear_density(z, mlp, layer, unit), **exact)
        wide = {"color": "0.2", "label": "infinite width"}
        top.plot(z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi), ":", **wide)
        look: dict[str, Any] = {"color": style.PALETTE[0], "label": "measured"}
        value = measured.over(width).at(seen)
        style.points(top, middle[seen], *value, **look)
        line = style.predicted(m.theory, "histogram", "exact")
        if line is not None:
            ratio = measured.over(line.isel(here).values[inner]).at(seen)
            style.points(bottom, middle[seen], *ratio, color=style.PALETTE[0])
        signed_axis(top)
        top.set_ylim(min(1e-4, 0.5 * np.min(value.value, initial=1e-4)), None)
        style.unity(bottom)
        style.fit_ratio(bottom, most=0.4)
        bottom.set(xlabel=r"$z/\sqrt{G}$")
        size = f"$L={m.about.depth}$, $n={m.about.width}$"
        told = {"depth", "width"} >= set(m.swept) and name != m.label
        top.set_title(size if told else f"{name}\n{size}", fontsize="small")
        if top.get_subplotspec().is_first_col():
            top.set_ylabel("density")
            bottom.set_ylabel("measured / exact")
    _end(figure, members, every, measured=False)
    return figure


def _end(
    figure: Figure,
    members: Sequence[MemberResults],
    every: Sequence[MemberResults],
    *more: str,
    measured: bool = True,
    handles: Sequence[Artist] = (),
) -> None:
    words = panels.left_out(members, every, "members")
    lone = [m.estimates.sizes["layer"] == 1 for m in every]
    if words and sum(lone) == len(every) - len(members) and any(lone) and not all(lone):
        words += ": the others recorded one layer"
    end(figure, *handles, words=[words, *more], measured=measured)


def _is_deep_linear(m: MemberResults) -> bool:
    about = m.about
    told = about.activation, about.weights, about.C_b, about.network
    return told == ("linear", "normal", 0, None)


def _with_layers(study: Study, family: str, most: int) -> tuple[list, list]:
    """Members to draw, those with layers to compare first, and all that there are."""
    every = [m for m in study.members if m.has(family)]
    several = [m for m in every if m.estimates.sizes["layer"] > 1]
    return (several or every)[:most], every


def _four_layers(m: MemberResults) -> list[int]:
    """Places of the first, second, middle and last recorded layer, each once."""
    count = m.estimates.sizes["layer"]
    return [p for p in dict.fromkeys([0, 1, count // 2, count - 1]) if p < count]


def _edges(m: MemberResults) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left and right edges of the bins, and which of them are finite."""
    left, right = m.estimates["bin_left"].values, m.estimates["bin_right"].values
    return left, right, np.isfinite(left) & np.isfinite(right)
