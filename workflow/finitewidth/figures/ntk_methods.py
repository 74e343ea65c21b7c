"""Ways of computing one network's tangent kernel: whether they agree, and what they cost."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import MemberResults, Study


def ntk_methods(study: Study) -> Figure:
    """Deviation from the contracted Jacobian, and multiplications, against width."""
    groups = _by_activation(study)
    figure, axes = style.grid(2, len(groups), width=3.0, height=2.3, sharex=True, sharey="row")
    for (top, bottom), (activation, members) in zip(axes.T, groups.items(), strict=True):
        n = np.array([m.about["width"] for m in members])
        for color, way in zip(style.PALETTE, _ways(members), strict=False):
            value, error, trusted = (
                np.array(
                    [float(m.estimates[f"way_deviation{end}"].sel(way=way)[-1]) for m in members]
                )
                for end in ("", "_stderr", "_trusted")
            )
            if way != "jacobian":
                style.points(top, n, value, error, trusted, color=color, label=way, linestyle="-")
            cost = [float(m.estimates["way_operations"].sel(way=way)) for m in members]
            bottom.plot(n, cost, "o-", color=color, markersize=3.2, label=way)
        top.axhline(np.finfo(float).eps, color="0.4", linestyle=":", linewidth=1)
        top.text(n[-1], np.finfo(float).eps, "rounding", ha="right", va="bottom", fontsize=7)
        top.set(yscale="log", title=activation)
        bottom.set(yscale="log", xlabel="width $n$")
        style.log_ticks(top, n)
        style.log_ticks(bottom, n)
        _slope(bottom, n, [m.estimates["way_operations"].sel(way="layerwise") for m in members])
    axes[0, 0].set_ylabel(r"$\max|\Delta\Theta|/\max|\Theta|$")
    axes[1, 0].set_ylabel("multiplications a network")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def ntk_times(study: Study) -> Figure:
    """Seconds a network against width: no two runs agree on these, nor do two machines."""
    groups = _by_activation(study)
    figure, axes = style.grid(1, len(groups), width=3.0, height=2.6, sharey=True)
    for ax, (activation, members) in zip(axes[0], groups.items(), strict=True):
        n = np.array([m.about["width"] for m in members])
        seconds = [m.seconds() for m in members]
        for color, way in zip(style.PALETTE, _ways(members), strict=False):
            best, spread = (
                np.array([float(s["seconds"].sel(way=way, statistic=k)) for s in seconds])
                for k in ("median", "spread")
            )
            style.points(ax, n, best, spread, True, color=color, label=way, linestyle="-")
        ax.set(yscale="log", xlabel="width $n$", title=activation)
        style.log_ticks(ax, n)
    axes[0, 0].set_ylabel("seconds a network")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _slope(ax, n: np.ndarray, at) -> None:
    """The growth with n^2 that reading every weight takes, through the last point."""
    last = float(at[-1])
    ax.plot(n, last * (n / n[-1]) ** 2, color="0.6", linestyle=":", linewidth=1, zorder=0)
    ax.text(n[0], last * (n[0] / n[-1]) ** 2, "$n^2$", fontsize=7, color="0.4", va="top")


def _ways(members: list[MemberResults]) -> list[str]:
    return [str(way) for way in members[0].estimates["way"].values]


def _by_activation(study: Study) -> dict[str, list[MemberResults]]:
    groups: dict[str, list[MemberResults]] = {}
    for m in sorted(study.members, key=lambda m: m.about["width"]):
        if m.has("ntk_methods"):
            groups.setdefault(m.about["activation"], []).append(m)
    return groups
