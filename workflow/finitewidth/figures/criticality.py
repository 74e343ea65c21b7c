"""Criticality: where it is, what the kernel does on either side, and what becomes of angles."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from finitewidth.activations import Activation, get
from finitewidth.figures import style
from finitewidth.results import MemberResults, Study
from finitewidth.theory.criticality import critical_point
from finitewidth.theory.gaussian import expectation, second_moment

#: Where infinitely wide networks end up: each is a colour of the phase diagram.
_PHASES = ("ordered", "chaotic", "kernel unbounded")
_COLORS = ("#cfe3f5", "#f9d9c8", "#e4e4e4")
_LAW = (0, (1, 1))
#: Grid of the phase diagram, and layers after which a kernel counts as settled.
_POINTS, _SETTLED = 81, 1000


def phase_diagram(study: Study) -> Figure:
    """Phases in the plane of C_b and C_W; members coloured by what their kernel was measured to do.

    The phase is read off chi_perp at the kernel's stable fixed point: two near inputs approach each
    other below 1 and part above.
    """
    groups = _by_activation(study, "covariance")
    figure, axes = style.grid(1, len(groups), width=2.8, height=3.0)
    growth = {name: [_growth(m) for m in members] for name, members in groups.items()}
    reach = max(0.1, *(abs(g) for row in growth.values() for g in row if np.isfinite(g)))
    for ax, (name, members) in zip(axes[0], groups.items(), strict=True):
        C_b, C_W = (np.array([m.about[key] for m in members]) for key in ("C_b", "C_W"))
        b = np.linspace(0, max(0.1, 2.5 * C_b.max()), _POINTS)
        w = np.linspace(0.6 * C_W.min(), 1.2 * C_W.max(), _POINTS)
        phase = _phase(get(name), *np.meshgrid(b, w))
        ax.pcolormesh(b, w, phase, cmap=ListedColormap(_COLORS), vmin=-0.5, vmax=2.5, zorder=0)
        try:
            at = critical_point(get(name))
            ax.plot(at.C_b, at.C_W, "k*", markersize=11, zorder=2)
        except ValueError:
            pass  # nothing to mark
        look = {"edgecolors": "k", "linewidths": 0.7, "s": 34, "zorder": 3, "clip_on": False}
        grew = np.array(growth[name])
        known = np.isfinite(grew)
        dots = ax.scatter(
            C_b[known], C_W[known], c=grew[known], norm=TwoSlopeNorm(0, -reach, reach),
            cmap="RdBu_r", **look,
        )  # fmt: skip
        if not known.all():
            # A circle of no growth is white, too.
            look |= {"facecolors": "w", "marker": "D", "gid": style.OPEN}
            ax.scatter(C_b[~known], C_W[~known], **look)
        ax.set(xlabel="$C_b$", title=name, xlim=(b[0], b[-1]), ylim=(w[0], w[-1]))
        ax.grid(False)
    axes[0, 0].set_ylabel("$C_W$")
    figure.colorbar(dots, ax=axes[0, -1], label=r"measured $\log_{10} G^{(L)}/G^{(1)}$")
    handles = [
        Patch(facecolor=color, edgecolor="0.6", label=label)
        for color, label in zip(_COLORS, _PHASES, strict=True)
    ]
    star = style.plt.Line2D([], [], color="k", marker="*", linestyle="", label="critical point")
    figure.legend(handles=[*handles, star], loc="outside lower center", ncols=4)
    return figure


def _growth(m: MemberResults) -> float:
    """Decimal logarithm of how much E[z^2] grew from the first to the last recorded layer.

    NaN where its error at the last is not to be believed.
    """
    G, trusted = (
        m.estimates[f"covariance{part}"].isel(input=0, input_=0).values for part in ("", "_trusted")
    )
    return float(np.log10(G[-1] / G[0])) if trusted[-1] else np.nan


def _phase(activation: Activation, C_b: np.ndarray, C_W: np.ndarray) -> np.ndarray:
    """Index into ``_PHASES`` for each point, at infinite width, from K = 1 on."""
    log_K = np.linspace(-20, 16, 400)
    square = np.log(second_moment(activation, np.exp(log_K)))
    slope = expectation(lambda z: activation.derivative(z) ** 2, np.exp(log_K))
    K = np.ones_like(C_b)
    with np.errstate(divide="ignore"):
        for _ in range(_SETTLED):
            after = C_b + C_W * np.exp(np.interp(np.log(K), log_K, square))
            before, K = K, np.clip(after, np.exp(log_K[0]), np.exp(log_K[-1]))
        chi = C_W * np.interp(np.log(K), log_K, slope)
    grows = (np.log(K) > log_K[-1] - 2) | (K / before > 1 + 1e-4)
    return np.where(grows, 2, np.where(chi > 1, 1, 0))


def kernel_flow(study: Study) -> Figure:
    """E[z^2] of the first input against layer, a panel an activation and a colour a C_W."""
    groups = _by_activation(study, "covariance")
    figure, axes = style.grid(1, len(groups), width=2.7, height=2.7)
    for ax, (name, members) in zip(axes[0], groups.items(), strict=True):
        for color, m in zip(style.shades(len(members)), members, strict=True):
            here = {"input": 0, "input_": 0}
            value, error, trusted = (
                m.estimates[f"covariance{part}"].isel(here) for part in ("", "_stderr", "_trusted")
            )
            layer = value["layer"].values
            for order in ("infinite_width", "1/n"):
                line = style.predicted(m.theory, "covariance", order)
                if line is not None:
                    style.curve(ax, layer, line.isel(here), order, color=color)
            label = f"$C_W={m.about['C_W']:.4g}$"
            style.points(ax, layer, value, error, trusted, color=color, label=label)
        ax.set(yscale="log", xscale="log", xlabel=r"layer $\ell$", title=_title(name, members))
        ax.legend(loc="best", fontsize=6)
    axes[0, 0].set_ylabel(r"$\mathrm{E}[z^2]$")
    style.legend_below(figure, "infinite_width", "1/n")
    return figure


def angle_flow(study: Study) -> Figure:
    """Angle between the first two inputs against layer, beside its law at the critical point."""
    groups = _by_activation(study, "correlation")
    figure, axes = style.grid(1, len(groups), width=2.7, height=2.7, sharey=True)
    for ax, (name, members) in zip(axes[0], groups.items(), strict=True):
        for color, m in zip(style.shades(len(members)), members, strict=True):
            here = {"input": 0, "input_": 1}
            cosine = m.estimates["correlation"].isel(here)
            error = m.estimates["correlation_stderr"].isel(here)
            layer = cosine["layer"].values
            for order in ("infinite_width", "1/n"):
                line = style.predicted(m.theory, "correlation", order)
                if line is not None:
                    style.curve(ax, layer, _degrees(line.isel(here)), order, color=color)
            # d(angle) = d(cosine)/sin(angle).
            spread = np.degrees(error / np.sqrt(1 - np.clip(cosine, -1, 1) ** 2))
            label = f"$C_W={m.about['C_W']:.4g}$"
            trusted = m.estimates["correlation_trusted"].isel(here)
            style.points(ax, layer, _degrees(cosine), spread, trusted, color=color, label=label)
        law = critical_point(get(name)).angle
        if law is not None:
            tail = layer[layer >= 4]
            ax.plot(tail, np.degrees(law / tail), color="k", linewidth=0.9, linestyle=_LAW)
        # Below a fraction of a degree single precision has nothing to say.
        ax.set(yscale="log", xscale="log", xlabel=r"layer $\ell$", title=_title(name, members))
        ax.set_ylim(0.3, 200)
        ax.legend(loc="lower left", fontsize=6)
    axes[0, 0].set_ylabel("angle between two inputs, degrees")
    law = {"color": "k", "linewidth": 0.9, "linestyle": _LAW, "label": "law of the critical point"}
    style.legend_below(figure, "infinite_width", "1/n", more=[style.plt.Line2D([], [], **law)])
    return figure


def _degrees(cosine: xr.DataArray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.asarray(cosine), -1, 1)))


def _by_activation(study: Study, family: str) -> dict[str, list[MemberResults]]:
    groups: dict[str, list[MemberResults]] = {}
    for m in study.members:
        if m.has(family):
            groups.setdefault(m.about["activation"], []).append(m)
    return groups


def _title(name: str, members: list[MemberResults]) -> str:
    return f"{name} ($n={members[0].about['width']}$)"
