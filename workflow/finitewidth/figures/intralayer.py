"""Correlation of the magnitudes of two neurons of one layer."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import Study


def intralayer(study: Study) -> Figure:
    """E[(z_i^2 - G)(z_j^2 - G)]/G^2 against layer, for each width; and its ratio to theory."""
    members = _by_width(study)
    figure, axes = style.grid(
        2, 1, width=5.5, height=2.3, sharex=True, gridspec_kw={"height_ratios": [2.2, 1]}
    )
    top, bottom = axes[:, 0]
    for color, m in zip(style.shades(len(members)), members, strict=True):
        value, error, scale, trusted = _relative(m)
        layer = value["layer"].values
        seen = layer > 1  # the first layer has no correlation to show on a logarithmic axis
        lines = {
            order: (values.sel(input=0) / scale)[seen]
            for order in ("exact", "1/n")
            if (values := style.predicted(m.theory, "intralayer", order)) is not None
        }
        for order, line in lines.items():
            style.curve(top, layer[seen], line, order, color=color)
        style.points(
            top,
            layer[seen],
            value[seen],
            error[seen],
            trusted[seen],
            color=color,
            label=f"$n={m.about['width']}$",
        )
        if "exact" in lines:
            line = lines["exact"]
            ratio = value[seen] / line, error[seen] / line, trusted[seen]
            style.points(bottom, layer[seen], *ratio, color=color)
    top.set(yscale="log", ylabel=r"$\mathrm{E}[(z_i^2-G)(z_j^2-G)]/G^2$")
    style.unity(bottom)
    bottom.set(xlabel=r"layer $\ell$", ylabel="measured / exact", ylim=(0.5, 1.5))
    style.order_legend(top, "exact", "1/n", loc="lower right")
    top.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def breakdown_map(study: Study) -> Figure:
    """How far the measured correlation is above the 1/n law, over depth and width."""
    members = [m for m in _by_width(study) if "1/n" in style.orders(m.theory, "intralayer")]
    if not members:
        raise ValueError(
            "the figure breakdown_map needs an ensemble whose four_point has a theory of order 1/n:"
            " linear, relu, leaky_relu or abs"
        )
    figure, axes = style.grid(1, 1, width=5.8, height=3.4)
    ax = axes[0, 0]
    widths = np.array([m.about["width"] for m in members])
    layers = np.unique(np.concatenate([m.estimates["layer"].values for m in members]))
    layers = layers[layers > 1]
    excess = np.full((len(widths), len(layers)), np.nan)
    for row, m in enumerate(members):
        first, value, error, trusted = (
            values.sel(input=0).reindex(layer=layers)
            for values in (
                style.predicted(m.theory, "intralayer", "1/n"),
                m.estimates["intralayer"],
                m.estimates["intralayer_stderr"],
                m.estimates["intralayer_trusted"],
            )
        )
        ratio = (value / first).values
        excess[row] = np.where((error / first < 0.25) & (trusted == 1), ratio - 1, np.nan)
    # Widths stand at equal steps, so a contour is interpolated between their logarithms.
    steps = np.arange(len(widths))
    floor = 0.01
    image = ax.pcolormesh(
        layers,
        steps,
        np.clip(excess, floor, None),
        norm=LogNorm(floor, max(1.0, np.nanmax(excess, initial=1.0))),
        cmap="cividis",
    )
    ax.set_yticks(steps, [str(n) for n in widths])
    for ratio, dashes in ((0.03, ":"), (0.1, "--"), (0.3, "-."), (1.0, "-")):
        depth = np.linspace(layers[0], layers[-1], 200)
        height = np.interp(np.log(depth / ratio), np.log(widths), steps, np.nan, np.nan)
        ax.plot(depth, height, dashes, color="w", linewidth=2.2)
        ax.plot(depth, height, dashes, color="k", linewidth=1.0, label=rf"$\ell/n={ratio:g}$")
    ax.set(
        xlabel=r"layer $\ell$",
        ylabel="width $n$",
        title=r"measured / $\left[2(\ell-1)/n\right]$ − 1   (white: error over ¼ or not trusted)",
    )
    ax.grid(False)
    figure.colorbar(image, ax=ax, label="relative excess over the $1/n$ law")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _by_width(study: Study) -> list:
    members = [m for m in study.members if m.has("four_point")]
    return sorted(members, key=lambda m: m.about["width"])


def _relative(m):
    """Measured value, its error, the G^2 of theory that both are divided by, and the trust."""
    kernel = style.predicted(m.theory, "covariance", "infinite_width")
    scale = kernel.sel(input=0, input_=0).drop_vars(["order", "input_"]) ** 2
    value = m.estimates["intralayer"].sel(input=0) / scale
    error, trusted = (m.estimates[f"intralayer_{x}"].sel(input=0) for x in ("stderr", "trusted"))
    return value, error / scale, scale, trusted
