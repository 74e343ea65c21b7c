"""The log-norm of a layer: a sum of many independent terms, and its log-normal limit."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import MemberResults, Study

_MOST_PANELS = 12


def log_norm(study: Study) -> Figure:
    """Histograms of the log-norm beside the exact law and the log-normal limit."""
    panels = [(m, layer) for m in _members(study) for layer in _shown_layers(m)][:_MOST_PANELS]
    if not panels:
        raise ValueError("the figure log_norm needs a layer with networks that are not all dead")
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = style.grid(rows, columns, width=2.3, height=2.0)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (m, layer) in zip(axes.flat, panels, strict=False):
        here = {"layer": layer, "input": 0}
        mean, variance = (
            float(m.estimates[f"log_norm_{q}"].sel(here)) for q in ("mean", "variance")
        )
        sd = np.sqrt(variance)
        left, right = (m.estimates[f"standard_bin_{s}"].values for s in ("left", "right"))
        inner = np.isfinite(left) & np.isfinite(right)
        step = (right - left)[inner] * sd
        x = mean + sd * (left + right)[inner] / 2
        value, error, trusted = (
            np.asarray(m.estimates[f"log_norm_histogram{end}"].sel(here))[inner]
            for end in ("", "_stderr", "_trusted")
        )
        seen = value > 0
        style.points(
            ax, x[seen], (value / step)[seen], (error / step)[seen], trusted[seen],
            color=style.PALETTE[0], markersize=2, capsize=0,
        )  # fmt: skip
        exact = _moments(m, "exact", here)
        shape = style.predicted(m.theory, "log_norm_histogram", "exact")
        if exact is not None and shape is not None:
            centre, spread = exact
            middle = centre + spread * (left + right)[inner] / 2
            line = np.asarray(shape.sel(here))[inner] / ((right - left)[inner] * spread)
            style.curve(ax, middle, line, "exact", color=style.PALETTE[1])
        limit = _moments(m, "double_scaling", here)
        if limit is not None and limit[1] > 0:
            centre, spread = limit
            u = np.linspace(-4, 4, 161)
            density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi) / spread
            style.curve(ax, centre + spread * u, density, "double_scaling", color=style.PALETTE[2])
        ratio = layer / m.about["width"]
        name = f"{m.about['activation']}, $n={m.about['width']}$"
        ax.set_title(rf"{name}, $\ell/n={ratio:g}$", fontsize="small")
        ax.set_xlim(mean - 4.5 * sd, mean + 4.5 * sd)
        ax.set_yticks([])
    for ax in axes[-1]:
        ax.set_xlabel(r"$\log\,(|z^{(\ell)}|/\sqrt{n})$")
    for ax in axes[:, 0]:
        ax.set_ylabel("density")
    style.order_legend(axes[0, 0], "exact", "double_scaling", loc="upper left", fontsize=5.5)
    return figure


def log_norm_moments(study: Study) -> Figure:
    """Mean and variance of the log-norm over tau, in units of the log-normal limit."""
    members = _members(study)
    figure, axes = style.grid(1, 2, width=3.6, height=3.0)
    for color, m in zip(itertools.cycle(style.PALETTE), members, strict=False):
        layers = np.array([n for n in m.estimates["layer"].values if n > 1])
        here = {"layer": layers, "input": 0}
        tau = (layers - 1) / m.about["width"]
        for ax, name in zip(axes[0], ("log_norm_mean", "log_norm_variance"), strict=True):
            limit = style.predicted(m.theory, name, "double_scaling")
            if limit is None:
                continue
            start = _start(m) if name == "log_norm_mean" else 0.0
            unit = np.asarray(limit.sel(here)) - start
            value, error, trusted = (
                np.asarray(m.estimates[f"{name}{end}"].sel(here))
                for end in ("", "_stderr", "_trusted")
            )
            value, error = (value - start) / unit, error / np.abs(unit)
            exact = (np.asarray(style.predicted(m.theory, name, "exact").sel(here)) - start) / unit
            ax.plot(tau, exact, color=color)
            label = f"{m.about['activation']}, $n={m.about['width']}$, $L={m.about['depth']}$"
            style.points(ax, tau, value, error, trusted, color=color, label=label)
    for ax, name in zip(axes[0], ("mean", "variance"), strict=True):
        ax.axhline(
            1, color="0.2", linewidth=0.9, linestyle=style.ORDERS["double_scaling"]["linestyle"]
        )
        ax.set(xscale="log", xlabel=r"$\tau = (\ell-1)/n$", title=f"{name} of the log-norm")
    axes[0, 0].set_ylabel("in units of the log-normal limit")
    style.member_legend(axes[0, 1])
    style.order_legend(axes[0, 0], "exact", "double_scaling")
    return figure


def _members(study: Study) -> list[MemberResults]:
    return [m for m in study.members if m.has("log_norm")]


def _shown_layers(m: MemberResults) -> list[int]:
    """Four layers at most, spread over those with a distribution to show, the deepest last."""
    variance = m.estimates["log_norm_variance"].sel(input=0)
    layers = [int(layer) for layer in variance["layer"].values[np.asarray(variance) > 0]]
    layers = [layer for layer in layers if layer > 1] or layers
    places = np.unique(np.linspace(0, len(layers) - 1, min(4, len(layers))).round().astype(int))
    return [layers[p] for p in places]


def _moments(m: MemberResults, order: str, here: dict) -> tuple[float, float] | None:
    """Mean and standard deviation that one order of theory predicts."""
    values = [style.predicted(m.theory, f"log_norm_{q}", order) for q in ("mean", "variance")]
    if any(v is None for v in values):
        return None
    mean, variance = (float(v.sel(here)) for v in values)
    return None if np.isnan(mean) or np.isnan(variance) else (mean, np.sqrt(variance))


def _start(m: MemberResults) -> float:
    """Half of log G: what the limit's mean starts from, by its value and slope in tau."""
    mean = style.predicted(m.theory, "log_norm_mean", "double_scaling").sel(input=0)
    variance = style.predicted(m.theory, "log_norm_variance", "double_scaling").sel(input=0)
    # The limit is N(log G/2 - c tau/4, c tau/4): mean plus variance is log G/2 at every layer.
    return float((mean + variance).isel(layer=-1))
