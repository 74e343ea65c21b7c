"""Criticality: where it is, what the kernel does on either side, and what becomes of angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import in_rows, is_empty, legends_below, say, signed_axis
from finitewidth.figures.common.member_series import Measured, anew, between
from finitewidth.figures.common.notes import end
from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.theory.gaussian.expectations import expectation, second_moment
from finitewidth.theory.mlp.criticality import CriticalPoint, critical_point

#: Where infinitely wide networks end up: each is a colour of the phase diagram.
_PHASES = ("ordered", "chaotic", "kernel unbounded")
_COLORS = ("#cfe3f5", "#f9d9c8", "#e4e4e4")
_LAW: dict[str, Any] = {"color": "k", "linewidth": 0.9, "linestyle": (0, (1, 1))}
#: Grid of the phase diagram, and layers after which a kernel counts as settled.
_POINTS, _SETTLED = 81, 1000
#: Panels that fit on a page, and members in one of them that can be told apart.
_MOST_PANELS, _MOST_MEMBERS = 9, 10
#: Angles in degrees that are drawn: below, single precision has nothing to say.
_LEAST_ANGLE, _MOST_ANGLE = 0.3, 200


def phase_diagram(study: Study) -> Figure:
    """Phases in the plane of C_b and C_W; members coloured by what their kernel was measured to do.

    The phase is read off chi_perp at the kernel's stable fixed point: two near inputs approach each
    other below 1 and part above. Weights of PyTorch's own law have no place in the plane.
    """
    members = [m for m in study.members if m.has("covariance")]
    placed = [m for m in members if m.about.C_W is not None and m.about.network is None]
    if not placed:
        raise panels.cannot_draw(
            "phase_diagram", members,
            "weights of the law pytorch, and networks made of blocks, have no place in the plane",
        )  # fmt: skip
    groups = _by_activation(placed, _MOST_PANELS)
    figure, columns = panels.panels(len(groups), width=2.5, height=2.4)
    growth = {name: np.array([_growth(m) for m in of]) for name, of in groups.items()}
    every = np.abs(np.concatenate(list(growth.values())))
    reach = max(0.1, np.max(every[np.isfinite(every)], initial=0.0))
    norm = TwoSlopeNorm(0, -reach, reach)
    for (ax,), (name, of) in zip(columns, groups.items(), strict=True):
        C_b, C_W = np.array([(m.about.C_b, m.about.C_W) for m in of]).T
        b = np.linspace(0, max(0.1, 2.5 * C_b.max()), _POINTS)
        w = np.linspace(0.6 * C_W.min(), max(1.2 * C_W.max(), 0.1), _POINTS)
        phase = _phase(get(name), *np.meshgrid(b, w))
        colors = ListedColormap(_COLORS)
        ax.pcolormesh(b, w, phase, cmap=colors, vmin=-0.5, vmax=2.5, zorder=0, rasterized=True)
        ax.set(xlabel="$C_b$", title=name, xlim=(b[0], b[-1]), ylim=(w[0], w[-1]))
        ax.locator_params(axis="x", nbins=3)
        ax.grid(False)
        at = _critical(name)
        if at is not None and at.C_b <= b[-1] and w[0] <= at.C_W <= w[-1]:
            ax.plot(at.C_b, at.C_W, "k*", markersize=11, zorder=2, clip_on=False)
        look = {"edgecolors": "k", "linewidths": 0.7, "s": 34, "zorder": 3, "clip_on": False}
        known = np.isfinite(growth[name])
        ax.scatter(C_b[known], C_W[known], c=growth[name][known], norm=norm, cmap="RdBu_r", **look)
        if not known.all():
            # A circle of no growth is white, too.
            look |= {"facecolors": "w", "marker": "D"}
            ax.scatter(C_b[~known], C_W[~known], **look, label="growth not known")
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("$C_W$")
    axes = [ax for (ax,) in columns]
    if np.isfinite(every).any():
        bar = ScalarMappable(norm, "RdBu_r")
        figure.colorbar(bar, ax=axes, label=r"measured $\log_{10} G^{(L)}/G^{(1)}$")
    handles: list[Artist] = [
        Patch(facecolor=color, edgecolor="0.6", label=label)
        for color, label in zip(_COLORS, _PHASES, strict=True)
    ]
    if any(line.get_marker() == "*" for ax in axes for line in ax.lines):
        star = style.plt.Line2D([], [], color="k", marker="*", linestyle="", label="critical point")
        handles.append(star)
    _end(figure, groups, members, *handles, measured=False)
    return figure


def _critical(name: str) -> CriticalPoint | None:
    """The critical point of an activation, or None where it has none."""
    try:
        return critical_point(get(name))
    except ValueError:
        return None


def _growth(m: MemberResults) -> float:
    """Decimal logarithm of how much E[z^2] grew from the first to the last recorded layer.

    NaN where its error at the last is not to be believed, or either is not above 0.
    """
    G = Measured.of(m.estimates, "covariance", input=0, input_=0)
    with np.errstate(all="ignore"):
        grew = np.log10(G.value[-1] / G.value[0])
    return float(grew) if G.trusted[-1] and np.isfinite(grew) else np.nan


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
    """E[z^2] of the first input against layer, a panel an activation and a colour a member."""
    members = [m for m in study.members if m.has("covariance")]
    groups = _by_activation(members, _MOST_PANELS)
    figure, columns = panels.panels(len(groups), width=2.7, height=2.2)
    for (ax,), of in zip(columns, groups.values(), strict=True):
        layers = []
        for color, m, label in zip(style.shades(len(of)), of, _labels(of), strict=True):
            here = {"input": 0, "input_": 0}
            layer = m.estimates["layer"].values
            layers += layer.tolist()
            finer = anew(m, ["covariance"], between(layer), inputs=1)
            theory = m.theory if finer is None else finer
            for order in ("infinite_width", "1/n"):
                line = style.predicted(theory, "covariance", order)
                if line is not None:
                    y = line.isel(here).values
                    panels.curve(ax, theory["layer"].values, y, order, color=color)
            measured = Measured.of(m.estimates, "covariance", **here)
            style.points(ax, layer, *measured, color=color, label=label)
        signed_axis(ax)
        _layers(ax, layers)
        ax.set(xlabel=r"layer $\ell$", title=_title(of))
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel(r"$\mathrm{E}[z^2]$")
    legends_below(figure, in_rows([ax for (ax,) in columns]))
    _end(figure, groups, members)
    return figure


def angle_flow(study: Study) -> Figure:
    """Angle between the first two inputs against layer, beside its law at the critical point."""
    every = [m for m in study.members if m.has("correlation")]
    members = [m for m in every if m.estimates.sizes["input"] > 1]
    if not members:
        raise panels.cannot_draw("angle_flow", every, "an angle needs two inputs")
    groups = _by_activation(members, _MOST_PANELS)
    figure, columns = panels.panels(len(groups), width=2.7, height=2.2)
    laws = []
    for (ax,), (name, of) in zip(columns, groups.items(), strict=True):
        layers, tiny = [], []
        for color, m, label in zip(style.shades(len(of)), of, _labels(of), strict=True):
            here = {"input": 0, "input_": 1}
            layer = m.estimates["layer"].values
            layers += layer.tolist()
            for order in ("infinite_width", "1/n"):
                line = style.predicted(m.theory, "correlation", order)
                if line is not None:
                    y = _degrees(line.isel(here).values)
                    y = np.where(y > 0, y, np.nan)
                    panels.curve(ax, layer, y, order, color=color)
            measured = _angle(Measured.of(m.estimates, "correlation", **here))
            seen = measured.value >= _LEAST_ANGLE
            tiny.append(not seen.any() and np.isfinite(measured.value).any())
            style.points(ax, layer[seen], *measured.at(seen), color=color, label=label)
        at = _critical(name) if any(m.about.network is None for m in of) else None
        if at is not None and at.angle is not None and max(layers) >= 4:
            tail = np.geomspace(max(4, min(layers)), max(layers), 30)
            ax.plot(tail, np.degrees(at.angle / tail), **_LAW)
            laws = [style.plt.Line2D([], [], **_LAW, label="law of the critical point")]
        panels.log_axis(ax, "y")
        _layers(ax, layers)
        ax.set(xlabel=r"layer $\ell$", title=_title(of), ylim=(_LEAST_ANGLE, _MOST_ANGLE))
        if all(tiny):
            say(ax, f"all angles are below {_LEAST_ANGLE} degrees")
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("angle of two inputs, degrees")
    legends_below(figure, in_rows([ax for (ax,) in columns]))
    _end(figure, groups, every, *laws)
    return figure


def _end(
    figure: Figure, groups: dict, every: Sequence, *handles: Artist, measured: bool = True
) -> None:
    drawn = [m for of in groups.values() for m in of]
    words = panels.left_out(drawn, every, "members")
    # What a panel's own legend says is not said again.
    own = {t.get_text() for ax in figure.axes if (g := ax.get_legend()) for t in g.get_texts()}
    end(figure, *handles, words=[words], measured=measured, but=own)


def _angle(cosine: Measured) -> Measured:
    """The angle in degrees whose cosine was measured."""
    with np.errstate(all="ignore"):
        # d(angle) = d(cosine)/sin(angle), which says nothing of an angle of 0.
        error = np.degrees(cosine.error / np.sqrt(1 - np.clip(cosine.value, -1, 1) ** 2))
    error = np.where(np.isfinite(error), error, np.nan)
    return Measured(_degrees(cosine.value), error, cosine.trusted, -cosine.tail)


def _degrees(cosine: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _layers(ax: Axes, layers: list[int]) -> None:
    """An axis of layers, logarithmic where they span more than a few and something is drawn."""
    if max(layers) > 4 * min(layers) and not is_empty(ax):
        panels.log_axis(ax, "x")
    else:
        panels.whole_axis(ax, layers)


def _by_activation(members: Sequence[MemberResults], most: int) -> dict[str, list[MemberResults]]:
    """As many activations as fit, each with as many members as can be told apart."""
    groups: dict[str, list[MemberResults]] = {}
    for m in members:
        groups.setdefault(m.about.activation, []).append(m)
    return {name: of[:_MOST_MEMBERS] for name, of in list(groups.items())[:most]}


def _labels(members: list[MemberResults]) -> list[str]:
    """Each by its C_W, and by what else tells it from the others of its panel."""
    words = {"width": "n", "depth": "L", "C_b": "C_b"}
    keys = [k for k in words if len({getattr(m.about, k) for m in members}) > 1]
    labels = []
    for m in members:
        drawn = m.about.C_W
        first = "PyTorch's law" if drawn is None else f"$C_W={drawn:.4g}$"
        told = {k: getattr(m.about, k) for k in keys}
        rest = [f"${words[k]}={v:.4g}$" for k, v in told.items() if v is not None]
        labels.append(", ".join([first, *rest]))
    if len(set(labels)) < len(labels):
        labels = [f"{label}, {m.label}" for label, m in zip(labels, members, strict=True)]
    return labels


def _title(members: list[MemberResults]) -> str:
    widths = sorted({m.about.width for m in members})
    size = f" ($n={widths[0]}$)" if len(widths) == 1 else ""
    return f"{members[0].about.activation}{size}"
