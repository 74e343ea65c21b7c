"""Tangent kernels of random networks: concentration, fluctuations, and what goes with them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.activations import get
from finitewidth.figures import style
from finitewidth.results import MemberResults, Study
from finitewidth.theory.ntk_scaling import asymptotics, bare_growth


def ntk_concentration(study: Study) -> Figure:
    """Mean and spread of Theta against width, a column an activation and ensemble."""
    groups: dict[str, list[MemberResults]] = {}
    for m in sorted(study.members, key=lambda m: m.about["width"]):
        if m.has("ntk"):
            groups.setdefault(f"{m.about['activation']}, $L={_depth(m)}$", []).append(m)
    figure, axes = style.grid(2, len(groups), width=2.5, height=2.2, sharex="col")
    for (top, bottom), (title, members) in zip(axes.T, groups.items(), strict=True):
        n = np.array([m.about["width"] for m in members])
        infinite = _theory(members, "ntk", "infinite_width")
        mean, spread = _measured(members, "ntk"), _measured(members, "ntk_variance")
        band = np.sqrt(spread[0]) / infinite
        top.fill_between(n, 1 - band, 1 + band, color=style.PALETTE[4], alpha=0.25, linewidth=0)
        for order in ("exact", "1/n"):
            style.curve(top, n, _theory(members, "ntk", order) / infinite, order, color="0.3")
            sd = np.sqrt(_theory(members, "ntk_variance", order)) / infinite
            style.curve(bottom, n, sd, order, color="0.3")
        look = {"color": style.PALETTE[0], "markersize": 3.2}
        style.points(top, n, mean[0] / infinite, mean[1] / infinite, mean[2], **look)
        # d sqrt(v) = dv/(2 sqrt(v)).
        error = spread[1] / (2 * np.sqrt(spread[0])) / infinite
        style.points(bottom, n, band, error, spread[2], **look)
        top.set_title(title)
        bottom.set(yscale="log", xlabel="width $n$")
        style.log_ticks(top, n)
        style.log_ticks(bottom, n)
    axes[0, 0].set_ylabel(r"$\mathrm{E}[\Theta]/\Theta_\infty$, $\pm$ one sd")
    axes[1, 0].set_ylabel(r"$\mathrm{sd}(\Theta)/\Theta_\infty$")
    style.legend_below(figure, "exact", "1/n")
    return figure


def ntk_fluctuations(study: Study) -> Figure:
    """Var Theta/Theta^2 against L/n, and E[Theta^2]/E[Theta]^2 of ReLU against tau."""
    groups = _by_activation(study, "ntk")
    figure, axes = style.grid(1, 2, width=3.8, height=3.2)
    left, right = axes[0]
    for color, (activation, members) in zip(style.PALETTE, groups.items(), strict=False):
        x = np.array([m.about["depth"] / m.about["width"] for m in members])
        value, error, trusted = _measured(members, "ntk_variance")
        scale = _measured(members, "ntk")[0] ** 2
        for n in sorted({m.about["width"] for m in members}):
            mine = sorted((m for m in members if m.about["width"] == n), key=_depth)
            across = np.array([m.about["depth"] / n for m in mine])
            infinite = _theory(mine, "ntk", "infinite_width") ** 2
            for order in ("exact", "1/n"):
                line = _theory(mine, "ntk_variance", order)
                if np.isfinite(line).any():
                    style.curve(left, across, line / infinite, order, color=color, linewidth=0.7)
                    break
        slope = asymptotics(get(activation)).variance.coefficient
        label = rf"{activation}: {slope:.3g} $L/n$"
        style.points(left, x, value / scale, error / scale, trusted, color=color, label=label)
        ends = np.array([x.min(), x.max()])
        left.plot(ends, slope * ends, color=color, linestyle=(0, (1, 1)), linewidth=0.9)
    left.set(xscale="log", yscale="log", xlabel="$L/n$", ylabel=r"$\mathrm{Var}\,\Theta/\Theta^2$")
    left.legend(loc="upper left", fontsize=7)
    members = groups.get("relu", [])
    widths = sorted({m.about["width"] for m in members})
    for color, n in zip(style.shades(len(widths)), widths, strict=True):
        mine = sorted((m for m in members if m.about["width"] == n), key=_depth)
        x = np.array([_tau(m) for m in mine])
        style.curve(right, x, _theory(mine, "ntk_second_moment", "exact"), "exact", color=color)
        value, error, trusted = _measured(mine, "ntk_second_moment")
        style.points(right, x, value, error, trusted, color=color, label=f"$n={n}$")
    if members:
        mine = sorted(members, key=_tau)
        x = np.array([_tau(m) for m in mine])
        limit = _theory(mine, "ntk_second_moment", "double_scaling")
        style.curve(right, x, limit, "double_scaling", color="k", label="double scaling")
        bare = bare_growth(get("relu"), x)
        right.plot(x, bare, color="0.5", linestyle=(0, (1, 1)), label=r"$e^{5\tau}$")
    right.set(yscale="log", xlabel=r"$\tau=(L-1)/n$", title="relu")
    right.set_ylabel(r"$\mathrm{E}[\Theta^2]/\mathrm{E}[\Theta]^2$")
    right.legend(loc="upper left", fontsize=7)
    style.legend_below(figure, "exact", "1/n")
    return figure


def ntk_criticality(study: Study) -> Figure:
    """n Var Theta/(Theta^2 L) against depth: flat at a critical point of the NTK, else not."""
    figure, axes = style.grid(1, 1, width=4.8, height=3.4)
    ax = axes[0, 0]
    for color, (activation, members) in zip(
        style.PALETTE, _by_activation(study, "ntk").items(), strict=False
    ):
        # Of each depth the widest, whose higher orders are smallest.
        widest = {m.about["depth"]: m for m in sorted(members, key=lambda m: m.about["width"])}
        mine = [widest[L] for L in sorted(widest) if L > 1]
        L, n = (np.array([m.about[key] for m in mine]) for key in ("depth", "width"))
        for order in ("1/n", "exact"):
            line = (
                _theory(mine, "ntk_variance", order) / _theory(mine, "ntk", "infinite_width") ** 2
            )
            style.curve(ax, L, n / L * line, order, color=color)
        value, error, trusted = _measured(mine, "ntk_variance")
        scale = n / L / _measured(mine, "ntk")[0] ** 2
        style.points(ax, L, scale * value, scale * error, trusted, color=color, label=activation)
    ax.set(yscale="log", xlabel="depth $L$")
    style.log_ticks(ax, [m.about["depth"] for m in study.members if m.about["depth"] > 1])
    ax.set_ylabel(r"$n\,\mathrm{Var}\,\Theta/(\Theta^2 L)$")
    ax.legend(loc="upper left")
    style.legend_below(figure, "1/n", "exact")
    return figure


#: Quantity -> its label in the figure.
_CROSS = {
    "ntk_D": r"$D = n\,\mathrm{Cov}(\hat G, \Theta_{ii})$",
    "ntk_F": r"$F = n\,\mathrm{E}[z_i z_j \Theta_{ij}]$",
    "dntk_P": r"$P = n\,\mathrm{E}[\mathrm{d}\Theta_{ijj} z_i]$",
    "dntk_Q": r"$Q = n\,\mathrm{E}[\mathrm{d}\Theta_{iij} z_j]$",
}


def ntk_cross(study: Study) -> Figure:
    """Correlations of tangent kernels with preactivations, and their derivatives, against depth.

    n times what each width gives, and of four widths or more what they are extrapolated to.
    """
    groups = _by_activation(study, "ntk_tensors")
    widths = sorted({m.about["width"] for members in groups.values() for m in members})
    shades = dict(zip(widths, style.shades(len(widths)), strict=True))
    fitted = [m for m in study.sweeps if "ntk_D_1" in m.estimates]
    figure, axes = style.grid(len(_CROSS), len(groups), width=2.6, height=1.9, sharex=True)
    for column, (activation, members) in zip(axes.T, groups.items(), strict=True):
        ends = sorted((m for m in fitted if m.about["activation"] == activation), key=_depth)
        for ax, quantity in zip(column, _CROSS, strict=True):
            mine = sorted((m for m in members if quantity in m.estimates), key=_depth)
            if mine:
                # The coefficient is the same at every width.
                line = {
                    _depth(m): m.about["width"] * _theory([m], quantity, "1/n")[0] for m in mine
                }
                style.curve(ax, list(line), list(line.values()), "1/n", color="0.3")
            for n in widths:
                _cross_of_width(ax, [m for m in mine if m.about["width"] == n], quantity, shades[n])
            shown = [m for m in ends if f"{quantity}_1" in m.estimates]
            value, error, trusted = _measured(shown, f"{quantity}_1")
            look = {"color": style.PALETTE[3], "fmt": "s", "label": "extrapolated"}
            style.points(ax, [_depth(m) for m in shown], value, error, trusted, **look)
            ax.axhline(0, color="0.7", linewidth=0.7, zorder=0)
        column[0].set_title(activation)
        column[-1].set_xlabel("depth $L$")
    for ax, label in zip(axes[:, 0], _CROSS.values(), strict=True):
        ax.set_ylabel(label, fontsize=8)
    style.legend_below(figure, "1/n", "exact", more=axes[0, 0].get_legend_handles_labels()[0])
    return figure


def _cross_of_width(ax: Axes, members: list[MemberResults], quantity: str, color) -> None:
    """n times the estimates of one width, small, and what is exact there."""
    L, n = (np.array([m.about[key] for m in members]) for key in ("depth", "width"))
    exact = n * _theory(members, quantity, "exact")
    style.curve(ax, L, exact, "exact", color=color, linewidth=0.8)
    value, error, trusted = _measured(members, quantity)
    label = f"$n={n[0]}$" if len(n) else None
    look = {"color": color, "label": label, "markersize": 2.2, "elinewidth": 0.6}
    style.points(ax, L, n * value, n * error, trusted, **look)


def ntk_spectrum(study: Study) -> Figure:
    """Eigenvalues of Theta over the inputs against width, over those at infinite width."""
    groups = _by_activation(study, "ntk_spectrum")
    figure, axes = style.grid(1, len(groups), width=2.8, height=2.6)
    for ax, (activation, members) in zip(axes[0], groups.items(), strict=True):
        mine = sorted(members, key=lambda m: m.about["width"])
        n = np.array([m.about["width"] for m in mine])
        for rank in range(mine[0].estimates.sizes["rank"]):
            color = style.PALETTE[rank % len(style.PALETTE)]
            infinite = _theory(mine, "ntk_eigenvalue", "infinite_width", rank)
            line = _theory(mine, "ntk_eigenvalue", "1/n", rank) / infinite
            style.curve(ax, n, line, "1/n", color=color)
            value, error, trusted = _measured(mine, "ntk_eigenvalue", rank)
            label = rf"$\lambda_{rank + 1}$"
            style.points(
                ax, n, value / infinite, error / infinite, trusted, color=color, label=label
            )
        style.unity(ax)
        ax.set(xlabel="width $n$", title=activation)
        style.log_ticks(ax, n)
        ax.legend(loc="lower right", fontsize=7)
    axes[0, 0].set_ylabel(r"$\mathrm{E}[\lambda]/\lambda_\infty$")
    style.legend_below(figure, "1/n")
    return figure


def _by_activation(study: Study, family: str) -> dict[str, list[MemberResults]]:
    """The members that estimate a family, by activation, narrow ones first."""
    groups: dict[str, list[MemberResults]] = {}
    for m in study.members:
        if m.has(family):
            groups.setdefault(m.about["activation"], []).append(m)
    for members in groups.values():
        members.sort(key=lambda m: (m.about["width"], m.about["depth"]))
    return groups


def _depth(m: MemberResults) -> int:
    return m.about["depth"]


def _tau(m: MemberResults) -> float:
    """Sum of 1/n over the hidden layers."""
    return (m.about["depth"] - 1) / m.about["width"]


def _first(values, rank: int = 0) -> float:
    """At the last layer and the first input (with itself)."""
    others = {d: 0 for d in values.dims if d not in ("layer", "rank")}
    at = {"layer": -1} | others | ({"rank": rank} if "rank" in values.dims else {})
    return float(values.isel(at))


def _measured(members, quantity: str, rank: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, standard errors and trust, one a member."""
    parts = (
        np.array([_first(m.estimates[f"{quantity}{end}"], rank) for m in members])
        for end in ("", "_stderr", "_trusted")
    )
    return tuple(parts)


def _theory(members, quantity: str, order: str, rank: int = 0) -> np.ndarray:
    """One order of theory, one number a member; NaN where it says nothing."""
    found = []
    for m in members:
        line = style.predicted(m.theory, quantity, order)
        found.append(np.nan if line is None else _first(line, rank))
    return np.array(found)
