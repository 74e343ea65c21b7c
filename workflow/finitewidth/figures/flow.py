"""How the distribution of preactivations changes from layer to layer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.bins import QUANTILE_U
from finitewidth.figures import style
from finitewidth.law import Law
from finitewidth.results import MemberResults, Study
from finitewidth.theory.meijer import deep_linear_density

_MOST_ROWS = 4


def histograms(study: Study) -> Figure:
    """Density of z/sqrt(G) at the first, second, middle and last recorded layer."""
    members = _with_layers(study, "distribution")
    figure, axes = style.grid(len(members), 4, width=2.1, height=2.0, sharex=True, sharey=True)
    for row, m in zip(axes, members, strict=True):
        for ax, layer in zip(row, _four_layers(m), strict=False):
            here = {"layer": layer, "input": 0}
            left, right, inner = _edges(m)
            width = (right - left)[inner]
            value = m.estimates["histogram"].sel(here)[inner] / width
            error = m.estimates["histogram_stderr"].sel(here)[inner] / width
            trusted = m.estimates["histogram_trusted"].sel(here).values[inner]
            middle = (left + right)[inner] / 2
            for order, color in (("infinite_width", "0.2"), ("exact", style.PALETTE[1])):
                line = style.predicted(m.theory, "histogram", order)
                if line is not None and bool(line.sel(here).notnull().all()):
                    style.curve(ax, middle, line.sel(here)[inner] / width, order, color=color)
            seen = np.asarray(value) > 0
            style.points(
                ax,
                middle[seen],
                np.asarray(value)[seen],
                np.asarray(error)[seen],
                trusted[seen],
                color=style.PALETTE[0],
                markersize=2.2,
                capsize=0,
            )
            ax.set(yscale="log", ylim=(1e-5, 1.5))
            ax.set_title(rf"$\ell={layer}$", fontsize="small")
        row[0].set_ylabel(f"{m.label}\ndensity")
    for ax in axes[-1]:
        ax.set_xlabel(r"$z/\sqrt{G}$")
    style.order_legend(axes[0, 0], "exact", "infinite_width", loc="lower center", fontsize=6)
    return figure


def quantiles(study: Study) -> Figure:
    """Quantiles against those of the Gaussian, and their difference."""
    members, u = _with_layers(study, "distribution"), QUANTILE_U
    figure, axes = style.grid(2, len(members), width=3.2, height=2.3, sharex=True)
    for (top, bottom), m in zip(axes.T, members, strict=True):
        layers = _four_layers(m)
        lines = {o: style.predicted(m.theory, "quantile", o) for o in ("infinite_width", "exact")}
        for color, layer in zip(style.shades(len(layers)), layers, strict=True):
            here = {"layer": layer, "input": 0}
            value = m.estimates["quantile"].sel(here)
            error = m.estimates["quantile_stderr"].sel(here)
            trusted = m.estimates["quantile_trusted"].sel(here)
            style.points(top, u, value, error, trusted, color=color, label=rf"$\ell={layer}$")
            style.points(bottom, u, np.asarray(value) - u, error, trusted, color=color)
            for order, line in lines.items():
                if line is not None:
                    theory = np.asarray(line.sel(here))
                    style.curve(top, u, theory, order, color=color)
                    style.curve(bottom, u, theory - u, order, color=color)
        top.plot(u, u, color="0.6", linewidth=0.8, zorder=1)
        bottom.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        top.set(title=m.label)
        bottom.set(xlabel="quantile of the Gaussian")
    axes[0, 0].set_ylabel(r"quantile of $z/\sqrt{G}$")
    axes[1, 0].set_ylabel("difference")
    axes[0, 0].legend(loc="upper left")
    style.order_legend(axes[1, 0], "exact", "infinite_width", loc="upper left")
    return figure


def kurtosis(study: Study) -> Figure:
    """Excess kurtosis against layer, and its distance from exact theory in standard errors."""
    members = _with_layers(study, "kurtosis")
    figure, axes = style.grid(
        2, len(members), width=3.3, height=2.0, sharex="col", gridspec_kw={"height_ratios": [2, 1]}
    )
    for (top, bottom), m in zip(axes.T, members, strict=True):
        value = m.estimates["excess_kurtosis"].sel(input=0)
        error = m.estimates["excess_kurtosis_stderr"].sel(input=0)
        trusted = m.estimates["excess_kurtosis_trusted"].sel(input=0)
        layer = value["layer"].values
        style.points(top, layer, value, error, trusted, color=style.PALETTE[0])
        orders = []
        for order, color in (("exact", style.PALETTE[1]), ("1/n", style.PALETTE[2])):
            line = style.predicted(m.theory, "excess_kurtosis", order)
            if line is not None:
                orders.append(order)
                style.curve(top, layer, line.sel(input=0), order, color=color)
                if order == "exact":
                    # In units of an error that is not believed there is nothing to show.
                    pull = ((value - line.sel(input=0)) / error).where(trusted == 1)
                    style.points(bottom, layer, pull, 1.0, trusted, color=style.PALETTE[0])
        bottom.axhline(0, color="0.3", linewidth=0.8)
        top.set(title=m.label)
        bottom.set(xlabel=r"layer $\ell$", ylim=(-4, 4))
        style.order_legend(top, *orders)
    axes[0, 0].set_ylabel(r"$\mathrm{E}[z^4]/\mathrm{E}[z^2]^2 - 3$")
    axes[1, 0].set_ylabel("(measured − exact)\n/ error")
    return figure


def output_density(study: Study) -> Figure:
    """Output of deep linear networks: measured density, the Meijer G function, the Gaussian."""
    members = [m for m in study.members if m.has("distribution") and _is_deep_linear(m)]
    if not members:
        raise ValueError(
            "the figure output_density needs an ensemble of linear networks with normal weights and"
            " no bias that estimates distribution"
        )
    members = sorted(members, key=lambda m: m.about["depth"])
    figure, axes = style.grid(
        2,
        len(members),
        width=2.2,
        height=2.2,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [2, 1]},
    )
    for (top, bottom), m in zip(axes.T, members, strict=True):
        here = {"layer": m.estimates["layer"].values[-1], "input": 0}
        left, right, inner = _edges(m)
        width, middle = (right - left)[inner], (left + right)[inner] / 2
        value = np.asarray(m.estimates["histogram"].sel(here))[inner] / width
        error = np.asarray(m.estimates["histogram_stderr"].sel(here))[inner] / width
        trusted = m.estimates["histogram_trusted"].sel(here).values[inner]
        z = np.linspace(-5, 5, 400)  # an even number of points: the density can diverge at 0
        law, layer = Law.of_member(m.about, dimension=1), int(here["layer"])
        unit = 1 / np.prod(law.C_W[:layer])  # the norm of the input at which G = 1
        top.plot(z, deep_linear_density(z, law, layer, unit), color=style.PALETTE[1])
        top.plot(z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi), ":", color="0.2")
        seen = value > 0
        look = {"color": style.PALETTE[0]}
        style.points(top, middle[seen], value[seen], error[seen], trusted[seen], **look)
        exact = style.predicted(m.theory, "histogram", "exact")
        if exact is not None:
            line = np.asarray(exact.sel(here))[inner] / width
            style.points(
                bottom, middle[seen], (value / line)[seen], (error / line)[seen], trusted[seen],
                **look,
            )  # fmt: skip
        style.unity(bottom)
        bottom.set(xlabel=r"$z/\sqrt{G}$", ylim=(0.7, 1.3))
        top.set(
            yscale="log", ylim=(1e-4, 2), title=f"$L={m.about['depth']}$, $n={m.about['width']}$"
        )
    axes[0, 0].set_ylabel("density")
    axes[1, 0].set_ylabel("measured / exact")
    style.order_legend(axes[0, 0], "exact", "infinite_width", loc="lower center", fontsize=6)
    return figure


def _is_deep_linear(m: MemberResults) -> bool:
    return (m.about["activation"], m.about["weights"], m.about["C_b"]) == ("linear", "normal", 0)


def _with_layers(study: Study, family: str) -> list[MemberResults]:
    """Members whose layers can be compared: with more than one recorded (else those there are)."""
    members = [m for m in study.members if m.has(family)]
    several = [m for m in members if m.estimates.sizes["layer"] > 1]
    return (several or members)[:_MOST_ROWS]


def _four_layers(m: MemberResults) -> list[int]:
    layers = [int(layer) for layer in m.estimates["layer"].values]
    places = [0, 1, len(layers) // 2, len(layers) - 1]
    return [layers[p] for p in dict.fromkeys(p for p in places if p < len(layers))]


def _edges(m: MemberResults) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left and right edges of the bins, and which of them are finite."""
    left, right = m.estimates["bin_left"].values, m.estimates["bin_right"].values
    return left, right, np.isfinite(left) & np.isfinite(right)
