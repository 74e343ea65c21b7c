"""Correlation of the magnitudes of two neurons of one layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import say, signed_axis
from finitewidth.figures.common.member_series import (
    Measured,
    anew,
    between,
    first_input,
    names,
    over_width,
)
from finitewidth.figures.common.notes import end

_MOST_MEMBERS, _MOST_MAPS = 14, 6
#: Ratios of layer to width whose contours the map shows.
_CONTOURS = ((0.03, ":"), (0.1, "--"), (0.3, "-."), (1.0, "-"))
#: Below this a relative excess has a colour of its own no more: the map's scale is linear there.
_LINEAR = 0.03


def intralayer(study: Study) -> Figure:
    """E[(z_i^2 - G)(z_j^2 - G)]/G^2 against layer, for each member; and its ratio to theory.

    The first layer has no such correlation. It is left out: its noise around 0 would stretch the
    axis, and it stands in the table.
    """
    every = [m for group in over_width(_measuring(study)).values() for m in group]
    members = [m for m in every if (m.estimates["layer"].values > 1).any()][:_MOST_MEMBERS]
    if not members:
        raise panels.cannot_draw(
            "intralayer",
            every,
            "only the first layer is recorded, in which neurons are not correlated",
        )
    figure, ((top, bottom),) = panels.panels(1, 2, width=5.5, height=2.3)
    many = len(members)
    # Shades tell an order, which one sweep of widths has.
    one = len({m.about.ensemble for m in members}) == 1 and set(members[0].swept) == {"width"}
    looks = [{"color": c} for c in style.shades(many)] if one else panels.looks(many)
    for m, look, name in zip(members, looks, names(members), strict=True):
        k = first_input(m)
        layer = m.estimates["layer"].values
        seen = layer > 1
        measured = Measured.of(m.estimates, "intralayer", input=k).at(seen)
        style.points(
            top, layer[seen], *measured.over(_square(m, k, m.theory)[seen]), **look,
            label=name if k == 0 else f"{name}, input {k}",
        )  # fmt: skip
        finer = anew(m, ["covariance", "four_point"], between(layer[seen]))
        for order in ("exact", "1/n"):
            theory = m.theory if finer is None else finer
            line = style.predicted(theory, "intralayer", order)
            if line is not None:
                past = theory["layer"].values > 1
                square = _square(m, k, theory)
                y = line.isel(input=k).values / np.where(square > 0, square, np.nan)
                panels.curve(top, theory["layer"].values[past], y[past], order, color=look["color"])
        exact = style.predicted(m.theory, "intralayer", "exact")
        if exact is not None:
            style.points(
                bottom, layer[seen], *measured.over(exact.isel(input=k).values[seen]), **look
            )
    signed_axis(top)
    top.set_ylabel(r"$\mathrm{E}[(z_i^2-G)(z_j^2-G)]/G^2$")
    style.unity(bottom)
    style.fit_ratio(bottom)
    panels.whole_axis(bottom, [n for m in members for n in m.estimates["layer"].values if n > 1])
    bottom.set(xlabel=r"layer $\ell$", ylabel="measured / exact")
    words = panels.left_out(members, every, "members")
    end(figure, words=[words])
    return figure


def breakdown_map(study: Study) -> Figure:
    """How far the measured correlation is from the 1/n law of its activation, by depth and width.

    A cell is hatched where the excess is within two standard errors of 0, and empty where its error
    is not trusted.
    """
    every = _measuring(study)
    members = [m for m in every if "1/n" in style.orders(m.theory, "intralayer")]
    if not members:
        raise panels.cannot_draw(
            "breakdown_map", every, "theory has no law of order 1/n for their four_point"
        )
    groups = over_width(m for m in members if (m.estimates["layer"].values > 1).any())
    if not groups:
        raise panels.cannot_draw(
            "breakdown_map",
            members,
            "only the first layer is recorded, in which neurons are not correlated",
        )
    wide = 4.4 if len(groups) == 1 else 3.2
    figure, columns = panels.panels(min(len(groups), _MOST_MAPS), width=wide, height=3.0)
    shown = dict(list(groups.items())[: len(columns)])
    found = {name: _excess(group) for name, group in shown.items()}
    most = max(0.1, *(np.nanmax(np.abs(e), initial=0.0) for _, e, _ in found.values()))
    norm = SymLogNorm(_LINEAR, vmin=-most, vmax=most)
    drawn: set[int] = set()
    for (ax,), (name, group) in zip(columns, shown.items(), strict=True):
        image = _map(ax, group, *found[name], norm, drawn)
        ax.set_title(name)
    about = "relative excess over the order $1/n$"
    bar = figure.colorbar(image, ax=[ax for (ax,) in columns], label=about, extend="neither")
    ticks = [t for t in (0.03, 0.1, 0.3, 1, 3, 10, 100, 1000) if t <= most]
    ticks = [*(-t for t in reversed(ticks)), 0, *ticks]
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.minorticks_off()
    more = [
        Patch(facecolor="0.9", edgecolor="0.55", hatch="////", label="within two errors of 0"),
        Patch(facecolor="w", edgecolor="0.6", label="error not trusted"),
    ]
    words = panels.left_out(shown, groups, "sweeps of widths")
    end(figure, *more, words=[words], measured=False)
    return figure


def _excess(group: list[MemberResults]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Layers; measured/(order 1/n) - 1 of each width and layer, NaN where it is not known; and
    whether it is within two standard errors of 0."""
    layers = np.unique(np.concatenate([m.estimates["layer"].values for m in group]))
    layers = layers[layers > 1]
    excess, error = np.full((2, len(group), len(layers)), np.nan)
    for row, m in enumerate(group):
        k = first_input(m)
        line = style.predicted(m.theory, "intralayer", "1/n")
        # Members without it are not among those that are drawn.
        assert line is not None
        first = line.isel(input=k).values
        ratio = Measured.of(m.estimates, "intralayer", input=k).over(first)
        for column, layer in enumerate(layers):
            at = np.flatnonzero(m.estimates["layer"].values == layer)
            if len(at) and ratio.trusted[at[0]]:
                excess[row, column] = ratio.value[at[0]] - 1
                error[row, column] = ratio.error[at[0]]
    excess[~np.isfinite(error)] = np.nan
    with np.errstate(invalid="ignore"):
        return layers, excess, np.abs(excess) < 2 * error


def _map(
    ax: Axes,
    group: Sequence[MemberResults],
    layers: np.ndarray,
    excess: np.ndarray,
    faint: np.ndarray,
    norm: Normalize,
    drawn: set,
) -> QuadMesh:
    """The cells of one sweep of widths, with contours of l/n; widths stand at equal steps."""
    widths = np.array([m.about.width for m in group])
    x, y = np.arange(len(layers) + 1) - 0.5, np.arange(len(widths) + 1) - 0.5
    image = ax.pcolormesh(x, y, np.where(faint, np.nan, excess), norm=norm, cmap="RdBu_r")
    hatched = np.ma.masked_where(~faint, np.zeros(excess.shape))
    ax.pcolor(x, y, hatched, cmap="Greys", vmin=-0.2, vmax=2, hatch="////", edgecolor="0.55", lw=0)
    ax.set_yticks(np.arange(len(widths)), [str(n) for n in widths])
    step = -(-len(layers) // 10)
    ax.set_xticks(np.arange(len(layers))[::step], [str(n) for n in layers[::step]])
    # A contour is interpolated between the logarithms of widths, as the steps are.
    depth = np.linspace(layers[0], layers[-1], 400)
    across = np.interp(depth, layers, np.arange(len(layers)))
    for ratio, dashes in _CONTOURS:
        up = np.interp(
            np.log(depth / ratio), np.log(widths), np.arange(len(widths)), np.nan, np.nan
        )
        if np.isfinite(up).sum() > 1 and len(widths) > 1:
            # Named once in the whole figure.
            label = rf"$\ell/n={ratio:g}$" if ratio not in drawn else None
            drawn.add(ratio)
            ax.plot(across, up, "-", color="w", linewidth=2.2)
            ax.plot(across, up, dashes, color="k", linewidth=1.0, label=label)
    ax.set(xlabel=r"layer $\ell$", ylabel="width $n$", xlim=x[[0, -1]], ylim=y[[0, -1]])
    ax.grid(False)
    if np.isnan(excess).all():
        say(ax, "no error is trusted")
    return image


def _measuring(study: Study) -> list[MemberResults]:
    members = [m for m in study.members if m.has("four_point")]
    return sorted(members, key=lambda m: m.about.width)


def _square(m: MemberResults, k: int, theory: xr.Dataset) -> np.ndarray:
    """G^2 of an input at each layer, at infinite width."""
    kernel = style.predicted(theory, "covariance", "infinite_width")
    if kernel is None:
        return np.full(theory.sizes["layer"], np.nan)
    return kernel.isel(input=k, input_=k).values ** 2
