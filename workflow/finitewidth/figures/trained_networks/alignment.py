"""How well aligned activations of one replica predict those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import Study, TrainedResults
from finitewidth.figures.common import style
from finitewidth.figures.common.panels import (
    cannot_draw,
    left_out,
    legend,
    log_axis,
    panels,
    sweep_axis,
    titled,
    whole_axis,
)
from finitewidth.figures.common.replica_bands import (
    BANDS,
    PARTS,
    STATES,
    alike,
    band,
    title,
    typical,
)

_SPLITS = {"train": "-", "validation": "--"}
#: Marker and line of a hidden layer, in the panel against width.
_LOOKS = [("o", "-"), ("s", "--"), ("^", "-."), ("D", ":")]


def alignment(study: Study) -> Figure:
    """r^2 against layer beside what chance gives, and 1 - r^2 against width."""
    members = [m for m in typical(study) if m.estimates["alignment_r2"].notnull().any()]
    if not members:
        why = "no two replicas have activations to align"
        raise cannot_draw("alignment", typical(study), why)
    wide = [(m, group) for m in members if len(group := alike(study, m)) > 1]
    figure, columns = panels(len(members) + len(wide), width=2.66, height=2.7)
    axes = [ax for (ax,) in columns]
    for ax, m in zip(axes, members, strict=False):
        _against_layer(ax, m)
    left = [_against_width(ax, *each) for ax, each in zip(axes[len(members) :], wide, strict=False)]
    for ax in axes[: len(members) : columns[0][0].get_gridspec().ncols]:
        ax.set_ylabel("$r^2$ of two replicas, centred")
    more = left_out(columns, [*members, *wide], "panels")
    legend(figure, measured=False, words=[BANDS + ", or over their pairs", *left, more])
    return figure


def _against_layer(ax: Axes, m: TrainedResults) -> None:
    layers = m.estimates["layer"].values
    hidden = layers[1:-1]
    for state, color in STATES.items():
        for split, line in _SPLITS.items():
            where = {"state": state, "centring": "centred", "split": split}
            look = {"color": color, "linestyle": line, "label": f"{state}, {split}", "marker": "."}
            band(ax, m.estimates, "alignment_r2", where, limits=(0, 1), **look)
        where = {"state": state, "centring": "centred", "split": "train"}
        chance = m.theory["alignment_chance"].sel(where | {"order": "spectrum"})
        # One place alone is a dash.
        dash: dict[str, Any] = {"marker": "_", "markersize": 12} if len(hidden) == 1 else {}
        words = f"{state}: chance, theory"
        ax.plot(layers, chance, label=words, color=color, linestyle=":", linewidth=1, **dash)
        drawn = [m.estimates[f"alignment_chance{part}"].sel(where).values for part in PARTS]
        look = {"color": color, "fmt": "s", "label": f"{state}: samples paired at random"}
        style.points(ax, layers, *drawn, limits=(0, 1), **look)
    ax.set(xlabel="layer", ylim=(0, 1.03))
    titled(ax, title(m))
    whole_axis(ax, hidden)


def _against_width(ax: Axes, m: TrainedResults, group: list[TrainedResults]) -> str:
    """Layers of several widths, four at most; what is left out, in words."""
    hidden = m.estimates["layer"].values[1:-1]
    places = np.linspace(0, len(hidden) - 1, min(len(hidden), len(_LOOKS))).round().astype(int)
    widths: list[int] = []
    guide = None
    for layer, (marker, line) in zip(hidden[places], _LOOKS, strict=False):
        n = np.array([int(x.estimates["width"].sel(layer=layer)) for x in group])
        widths.extend(n)
        for state, color in STATES.items():
            where = {"state": state, "centring": "centred", "split": "train", "layer": layer}
            value, error, trusted = (
                np.array([float(x.estimates[f"alignment_r2{part}"].sel(where)) for x in group])
                for part in PARTS
            )
            # What is explained to the last digit has no place on a logarithmic axis.
            rest = np.where(value < 1, 1 - value, np.nan)
            look: dict[str, Any] = {
                "color": color,
                "fmt": marker,
                "linestyle": line,
                "linewidth": 0.8,
            }
            style.points(
                ax, n, rest, error, trusted, limits=(0, 1), label=f"{state}, layer {layer}", **look
            )
            if layer == hidden[0] and state == "start" and np.isfinite(rest[-1]):
                guide = (np.geomspace(n.min(), n.max(), 30), rest[-1] * n[-1])
    log_axis(ax, "y")
    if guide is not None:
        # It shows a slope, which is no reason to make room for it.
        limits = ax.get_ylim()
        dots = (0, (1, 3))
        ax.plot(
            guide[0], guide[1] / guide[0], color="k", linewidth=0.8, linestyle=dots, label="$1/n$"
        )
        ax.set_ylim(limits)
    ax.set(xlabel="width $n$ of the layer", ylabel="$1-r^2$, training images")
    sweep_axis(ax, widths)
    titled(ax, title(m))
    return left_out(places, hidden, "hidden layers against width")
