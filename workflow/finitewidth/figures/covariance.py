"""Covariances between inputs, and between neurons."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import Study

_MOST_PAIRS = 6


def covariance(study: Study) -> Figure:
    """|G_ab| against layer for each pair of inputs, and its ratio to theory."""
    members = [m for m in study.members if m.has("covariance")]
    inputs = members[0].estimates.sizes["input"]
    pairs = [(a, b) for a in range(inputs) for b in range(a, inputs)][:_MOST_PAIRS]
    figure, axes = style.grid(
        2, len(pairs), height=2.0, sharex=True, gridspec_kw={"height_ratios": [2, 1]}
    )
    for column, (a, b) in enumerate(pairs):
        top, bottom = axes[:, column]
        for color, m in zip(itertools.cycle(style.PALETTE), members, strict=False):
            here = {"input": a, "input_": b}
            value = m.estimates["covariance"].sel(here)
            error = m.estimates["covariance_stderr"].sel(here)
            trusted = m.estimates["covariance_trusted"].sel(here)
            layer = value["layer"].values
            order = _best_order(m)
            line = style.predicted(m.theory, "covariance", order).sel(here)
            style.curve(top, layer, np.abs(line), order, color=color)
            style.points(top, layer, np.abs(value), error, trusted, color=color, label=_label(m))
            style.points(bottom, layer, value / line, error / np.abs(line), trusted, color=color)
        top.set(yscale="log", title=rf"inputs $a={a}$, $b={b}$")
        style.unity(bottom)
        style.fit_ratio(bottom)
        bottom.set(xlabel=r"layer $\ell$")
        bottom.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel(r"$|G^{(\ell)}_{ab}|$")
    axes[1, 0].set_ylabel("measured / theory")
    style.order_legend(axes[0, 0], _best_order(members[0]), loc="upper left")
    style.member_legend(axes[0, -1], loc="upper left")
    return figure


def neuron_covariance(study: Study) -> Figure:
    """Different neurons: a matrix in units of its own error, and the pooled value by layer."""
    # Here, for it takes seconds to import.
    import seaborn as sns

    members = [m for m in study.members if m.has("covariance")]
    figure, axes = style.grid(1, 2, width=3.6, height=3.0)
    left, right = axes[0]
    m = members[0]
    last = {"layer": m.estimates["layer"].values[-1], "input": 0, "input_": 0}
    theory = m.theory["neuron_covariance"].sel(last)
    best = theory.sel(order=_best_order(m))
    pull = (m.estimates["neuron_covariance"].sel(last) - best) / m.estimates[
        "neuron_covariance_stderr"
    ].sel(last)
    # In units of an error that is not believed there is nothing to show.
    trusted = m.estimates["neuron_covariance_trusted"].sel(last)
    sns.heatmap(
        np.asarray(pull.where(trusted == 1)),
        ax=left,
        annot=True,
        fmt="+.1f",
        cmap="vlag",
        vmin=-3,
        vmax=3,
        square=True,
        linewidths=1,
        cbar_kws={"label": "(measured − theory) / error", "shrink": 0.8},
    )
    left.set(xlabel="neuron $i$", ylabel="neuron $j$", title=f"last layer, {_label(m)}")
    for shift, (color, m) in enumerate(zip(itertools.cycle(style.PALETTE), members, strict=False)):
        here = {"input": 0, "input_": 0}
        scale = m.estimates["covariance"].sel(here)
        value = m.estimates["cross_covariance"].sel(here) / scale
        error = m.estimates["cross_covariance_stderr"].sel(here) / scale
        layer = value["layer"].values + 0.08 * (shift - (len(members) - 1) / 2)
        trusted = m.estimates["cross_covariance_trusted"].sel(here)
        style.points(right, layer, value, error, trusted, color=color, label=_label(m))
    right.axhline(0, color="0.3", linewidth=0.8, zorder=1)
    right.set(
        xlabel=r"layer $\ell$",
        ylabel=r"$\mathrm{E}[z_i z_j] / G$,  $i \neq j$",
        title="pooled over recorded neurons",
    )
    style.member_legend(right, loc="upper left")
    right.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _best_order(m) -> str:
    exact = style.predicted(m.theory, "covariance", "exact")
    return "exact" if exact is not None and bool(exact.notnull().all()) else "infinite_width"


def _label(m) -> str:
    return ", ".join(m.swept_words) or m.label
