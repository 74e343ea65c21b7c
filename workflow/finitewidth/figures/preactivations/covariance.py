"""Covariances between inputs, and between neurons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import say, signed_axis
from finitewidth.figures.common.member_series import Measured, names
from finitewidth.figures.common.notes import end

#: Pairs of inputs that fit on a page, and members that can be told apart.
_MOST_PAIRS, _MOST_MEMBERS = 15, 14


def covariance(study: Study) -> Figure:
    """G_ab against layer for each pair of inputs, and its ratio to theory."""
    every = [m for m in study.members if m.has("covariance")]
    members = every[:_MOST_MEMBERS]
    inputs = max(m.estimates.sizes["input"] for m in members)
    every_pair = [(a, b) for a in range(inputs) for b in range(a, inputs)]
    pairs = every_pair[:_MOST_PAIRS]
    figure, columns = panels.panels(len(pairs), 2, height=1.5)
    pairs = pairs[: len(columns)]
    looks = list(zip(members, panels.looks(len(members)), names(members), strict=True))
    for (top, bottom), (a, b) in zip(columns, pairs, strict=True):
        layers = []
        for m, look, name in looks:
            if max(a, b) < m.estimates.sizes["input"]:
                layers += _pair(top, bottom, m, a, b, look | {"label": name})
        signed_axis(top)
        top.set(title=rf"inputs $a={a}$, $b={b}$")
        style.unity(bottom)
        style.fit_ratio(bottom)
        panels.whole_axis(bottom, layers)
        bottom.set(xlabel=r"layer $\ell$")
        if top.get_subplotspec().is_first_col():
            top.set_ylabel(r"$G^{(\ell)}_{ab}$")
            bottom.set_ylabel("ratio to theory")
    words = [
        panels.left_out(pairs, every_pair, "pairs of inputs"),
        panels.left_out(members, every, "members"),
    ]
    end(figure, words=words)
    return figure


def _pair(top: Axes, bottom: Axes, m: MemberResults, a: int, b: int, look: dict) -> list[int]:
    """One member's covariance of two inputs; returns its layers."""
    here = {"input": a, "input_": b}
    measured = Measured.of(m.estimates, "covariance", **here)
    layer = m.estimates["layer"].values
    order = _best_order(m)
    known = style.predicted(m.theory, "covariance", order) if order else None
    style.points(top, layer, *measured, **look)
    if order and known is not None:
        line = known.isel(here).values
        panels.curve(top, layer, line, order, color=look["color"])
        ratio = {"color": look["color"], "fmt": look["fmt"]}
        style.points(bottom, layer, *measured.over(line), **ratio)
    else:
        say(bottom, "theory says nothing here")
    return layer.tolist()


def neuron_covariance(study: Study) -> Figure:
    """Different neurons: a matrix in units of its own error, and the pooled value by layer."""
    every = [m for m in study.members if m.has("covariance")]
    members = every[:_MOST_MEMBERS]
    figure, columns = panels.panels(2, width=3.8, height=3.0)
    (left,), (right,) = columns
    labels = names(members)
    _matrix(figure, left, members[0], labels[0])
    looks = panels.looks(len(members))
    layers = []
    for shift, (m, look, name) in enumerate(zip(members, looks, labels, strict=True)):
        here = {"input": 0, "input_": 0}
        scale = m.estimates["covariance"].isel(here).values
        found = Measured.of(m.estimates, "cross_covariance", **here).over(np.abs(scale))
        layer = m.estimates["layer"].values
        layers += layer.tolist()
        spread = 0.5 / max(6, len(members)) * (shift - (len(members) - 1) / 2)
        style.points(right, layer + spread, *found, **look, label=name)
    right.axhline(0, color="0.3", linewidth=0.8, zorder=1, label="theory")
    panels.whole_axis(right, layers)
    right.set(
        xlabel=r"layer $\ell$",
        ylabel=r"$\mathrm{E}[z_i z_j] / G$,  $i \neq j$",
        title="pooled over recorded neurons",
    )
    words = panels.left_out(members, every, "members")
    end(figure, words=[words], measured=False)
    return figure


def _matrix(figure: Figure, ax: Axes, m: MemberResults, name: str) -> None:
    """Distance from theory of each pair of neurons, in standard errors, at the last layer."""
    # Here, for it takes seconds to import.
    import seaborn as sns

    here = {"layer": -1, "input": 0, "input_": 0}
    measured = Measured.of(m.estimates, "neuron_covariance", **here)
    ax.set_title(f"last layer, {name}")
    ax.grid(False)
    order = _best_order(m, "neuron_covariance")
    known = style.predicted(m.theory, "neuron_covariance", order) if order else None
    if known is None:
        say(ax, "theory says nothing here")
        return
    theory = known.isel(here).values
    # In units of an error that is not believed there is nothing to show.
    pull = np.where(measured.trusted, measured.plus(-theory).over(measured.error).value, np.nan)
    shown = sns.heatmap(
        pull,
        ax=ax,
        annot=True,
        fmt="+.1f",
        cmap="vlag",
        vmin=-4,
        vmax=4,
        square=True,
        linewidths=1,
        cbar_kws={"label": "(measured − theory) / error", "shrink": 0.8},
    )
    ax.set(xlabel="neuron $i$", ylabel="neuron $j$")
    for j, i in np.argwhere(~np.isfinite(pull)):
        shown.text(
            i + 0.5, j + 0.5, "not\ntrusted", ha="center", va="center",
            fontsize=style.points_of(6), color="0.35",
        )  # fmt: skip


def _best_order(m: MemberResults, quantity: str = "covariance") -> str | None:
    """The closest order of theory that says something of every layer, if any does."""
    for order in ("exact", "1/n", "infinite_width"):
        line = style.predicted(m.theory, quantity, order)
        if line is not None and (order == "infinite_width" or bool(line.notnull().all())):
            return order
    return None
