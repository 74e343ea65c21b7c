"""Depth comparable to width: log-normal kernels, and the inverse kernel of the K* = 0 class."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import Study


def log_kernel(study: Study) -> Figure:
    """Density of log(Ghat/K) at the last layer, a row a member and a column a width."""
    members = [m for m in study.members if m.has("log_kernel")]
    rungs = max(m.estimates.sizes["rung"] for m in members)
    figure, axes = style.grid(len(members), rungs, width=2.3, height=2.0, sharex="row")
    for row, m in zip(axes, members, strict=True):
        layer = int(m.estimates["layer"].values[-1])
        for ax in row[m.estimates.sizes["rung"] :]:
            ax.set_visible(False)
        for rung, (ax, n) in enumerate(zip(row, m.estimates["width"].values, strict=False)):
            here = {"rung": rung, "layer": -1, "input": 0}
            infinite = style.predicted(m.theory, "log_kernel_mean", "infinite_width")
            log_K = float(infinite.isel(here))
            _density(ax, m, here, log_K)
            ax.set_title(rf"$n={n}$, $\ell/n={layer / n:.2g}$", fontsize="small")
            ax.set_yscale("log")
            ax.set_ylim(1e-4, 2)
        row[0].set_ylabel(f"{m.about['activation']}\ndensity")
    for ax in axes[-1]:
        ax.set_xlabel(r"$\log(\hat G/K)$")
    style.legend_below(figure, "exact", "double_scaling")
    return figure


def _density(ax, m, here: dict, log_K: float) -> None:
    """Points, the exact law and the limiting normal law of one panel."""
    left, right = (m.estimates[f"standard_bin_{side}"].values for side in ("left", "right"))
    inner = np.isfinite(left) & np.isfinite(right)
    middle, step = (left + right)[inner] / 2, (right - left)[inner]

    def placed(data):
        mean = float(data["log_kernel_mean"].isel(here)) - log_K
        sd = float(np.sqrt(data["log_kernel_variance"].isel(here)))
        return mean + sd * middle, sd * step, data["log_kernel_histogram"].isel(here).values[inner]

    x, width, share = placed(m.estimates)
    error, trusted = (
        m.estimates[f"log_kernel_histogram_{part}"].isel(here).values[inner]
        for part in ("stderr", "trusted")
    )
    seen = share > 0
    style.points(
        ax, x[seen], (share / width)[seen], (error / width)[seen], trusted[seen],
        color=style.PALETTE[0], markersize=2.2, capsize=0,
    )  # fmt: skip
    if style.predicted(m.theory, "log_kernel_histogram", "exact") is not None:
        x, width, share = placed(m.theory.sel(order="exact"))
        style.curve(ax, x, share / width, "exact", color=style.PALETTE[1])
    if style.predicted(m.theory, "log_kernel_mean", "double_scaling") is not None:
        mean, variance = (
            float(m.theory[f"log_kernel_{name}"].sel(order="double_scaling").isel(here))
            for name in ("mean", "variance")
        )
        sd = np.sqrt(variance)
        z = mean - log_K + sd * np.linspace(-5, 5, 200)
        density = np.exp(-(((z - (mean - log_K)) / sd) ** 2) / 2) / np.sqrt(2 * np.pi) / sd
        style.curve(ax, z, density, "double_scaling", color=style.PALETTE[2])


def inverse_kernel(study: Study) -> Figure:
    """E[1/Ghat] over its growth at infinite width, against l/n."""
    members = [m for m in study.members if m.has("inverse_kernel")]
    figure, axes = style.grid(1, len(members), width=3.2, height=2.8)
    for ax, m in zip(axes[0], members, strict=True):
        estimates, layer = m.estimates.isel(input=0), m.estimates["layer"].values
        scale = style.predicted(m.theory, "inverse_kernel_mean", "infinite_width").isel(input=0)
        for rung, color in enumerate(style.shades(estimates.sizes["rung"])):
            n = int(estimates["width"].values[rung])
            unit = scale.isel(rung=rung).values
            for order in ("exact", "double_scaling"):
                line = style.predicted(m.theory, "inverse_kernel_mean", order)
                if line is not None:
                    y = line.isel(input=0, rung=rung).values / unit
                    style.curve(ax, layer / n, y, order, color=color)
            value = estimates["inverse_kernel_mean"].isel(rung=rung).values / unit
            error = estimates["inverse_kernel_mean_stderr"].isel(rung=rung).values / unit
            sound = estimates["inverse_kernel_mean_trusted"].isel(rung=rung).values
            style.points(ax, layer / n, value, error, sound, color=color, label=f"$n={n}$")
        style.unity(ax)
        ax.set(xlabel=r"$\ell/n$", title=m.about["activation"], yscale="log")
        ax.legend(loc="upper left")
    axes[0, 0].set_ylabel(r"$K\,\mathrm{E}[1/\hat G]$")
    style.legend_below(figure, "exact", "double_scaling")
    return figure
