"""How Gaussian a wide network is, by statistics that see it and by one that cannot."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import signed_axis
from finitewidth.figures.common.member_series import Measured, anew, first_input, over_width
from finitewidth.figures.common.notes import note

_TESTS = {
    "henze_zirkler": "Henze–Zirkler",
    "hotelling_mean": "Hotelling's $T^2$\n(mean only)",
    "radial": "radial dispersion",
}
#: Sweeps of widths, a panel each, and widths at which theory is drawn between them.
_MOST_SWEEPS, _BETWEEN = 6, 25
_COLORS = {"exact": style.PALETTE[1], "1/n": style.PALETTE[2]}


def pooled_correlator(study: Study) -> Figure:
    """The pooled correlator of the last layer against width, and its ratio to theory."""
    groups = over_width(m for m in study.members if m.has("four_point"))
    shown = dict(list(groups.items())[:_MOST_SWEEPS])
    wide = 5.0 if len(shown) == 1 else 3.0
    figure, columns = panels.panels(len(shown), 2, width=wide, height=2.0)
    shown = dict(list(shown.items())[: len(columns)])
    for (top, bottom), (name, group) in zip(columns, shown.items(), strict=True):
        width = np.array([m.about.width for m in group])
        found = [_pooled(m, m.estimates, m.theory) for m in group]
        exact = np.array([theory["exact"] for _, theory in found])
        measured = Measured(*(np.array(part) for part in zip(*(f for f, _ in found), strict=True)))
        look: dict[str, Any] = {"color": style.PALETTE[0]}
        style.points(top, width, *measured, **look, label="measured")
        style.points(bottom, width, *measured.over(exact), **look)
        n, orders = _between(group, ["covariance", "four_point"], _theory_of_pooled)
        for order, color in _COLORS.items():
            if np.isfinite(orders[order]).any():
                label = style.ORDERS[order]["label"]
                style.curve(top, n, orders[order], order, color=color, label=label)
        if np.isfinite(orders["exact"]).any():
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = orders["1/n"] / orders["exact"]
            style.curve(bottom, n, ratio, "1/n", color=_COLORS["1/n"])
        signed_axis(top)
        style.unity(bottom)
        style.fit_ratio(bottom)
        panels.sweep_axis(bottom, width)
        top.set_title(name)
        bottom.set_xlabel("width $n$")
        if top.get_subplotspec().is_first_col():
            top.set_ylabel(r"$\mathrm{E}[z_i^2 z_j^2]_\mathrm{c}/G^2$")
            bottom.set_ylabel("measured / exact")
    _end(figure, shown, groups)
    return figure


def quadruple(study: Study) -> Figure:
    """The mean of |connected correlator| over random quadruples: networks, control and floor."""
    groups = over_width(m for m in study.members if m.has("quadruple"))
    shown = dict(list(groups.items())[:_MOST_SWEEPS])
    wide, high = (5.4, 3.2) if len(shown) == 1 else (3.0, 2.4)
    figure, columns = panels.panels(len(shown), width=wide, height=high)
    shown = dict(list(shown.items())[: len(columns)])
    for (ax,), (name, group) in zip(columns, shown.items(), strict=True):
        width = np.array([m.about.width for m in group])
        for color, marker, sample, label in (
            (style.PALETTE[0], "o", "ensemble", "networks"),
            (style.PALETTE[1], "s", "gaussian", "Gaussian control"),
        ):
            measured = _last(group, "quadruple", sample=sample)
            shift = 0.97 if sample == "ensemble" else 1.03
            style.points(ax, width * shift, *measured, color=color, fmt=marker, label=label)
        n, lines = _between(group, ["covariance", "four_point", "quadruple"], _theory_of_quadruple)
        for values, dashes, color, label in (
            (lines["floor"], ":", "0.2", r"noise floor $0.798/\sqrt{N}$"),
            (lines["noise"], "-", "0.2", "its noise at finite $n$, exact"),
            (lines["1/n"], "--", _COLORS["1/n"], "pooled correlator, order $1/n$"),
        ):
            known = np.isfinite(values)
            if known.any():
                ax.plot(n[known], values[known], dashes, color=color, label=label)
        signed_axis(ax)
        panels.sweep_axis(ax, width)
        ax.set(xlabel="width $n$", title=name)
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel(r"mean $|\mathrm{E}[z_i z_j z_k z_l]_\mathrm{c}|/K^2$")
    _end(figure, shown, groups)
    return figure


def normality(study: Study) -> Figure:
    """Share of groups in which each test rejects at 5 %, for networks and Gaussian controls."""
    groups = over_width(m for m in study.members if m.has("normality"))
    there = {t for group in groups.values() for m in group for t in m.estimates["test"].values}
    tests = [t for t in _TESTS if t in there]
    every = [(name, test) for name in groups for test in tests]
    figure, columns = panels.panels(len(every), width=2.6, height=2.3)
    shown = every[: len(columns)]
    for (ax,), (name, test) in zip(columns, shown, strict=True):
        group = [m for m in groups[name] if test in m.estimates["test"].values]
        width = np.array([m.about.width for m in group])
        for color, marker, sample, label, shift in (
            (style.PALETTE[0], "o", "ensemble", "networks", 0.94),
            (style.PALETTE[1], "s", "gaussian", "Gaussian control", 1.06),
        ):
            found = _last(group, "rejection_rate", test=test, sample=sample)
            look = {"color": color, "fmt": marker, "label": label}
            style.points(ax, width * shift, *found, limits=(0, 1), **look)
        ax.axhline(0.05, color="0.2", linestyle=":", linewidth=1, label="if all were Gaussian")
        panels.sweep_axis(ax, width)
        title = _TESTS[test] if len(groups) == 1 else f"{name}\n{_TESTS[test]}"
        ax.set(xlabel="width $n$", ylim=(-0.04, 1.04))
        ax.set_title(title, fontsize="small")
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("share rejected at 5 %")
    _end(figure, shown, every)
    return figure


def _end(figure: Figure, shown: Sized, every: Sized) -> None:
    words = panels.left_out(shown, every, "panels")
    note(figure, words and f"{words}; the table has all numbers.")
    panels.legend(figure, words=[words], measured=False)


def _last(group: list[MemberResults], quantity: str, **place: str) -> Measured:
    """Estimates of the last layer, one a member; ``place`` names labels and not numbers."""
    parts = []
    for m in group:
        index = {d: list(m.estimates[d].values).index(v) for d, v in place.items()}
        index |= {"layer": -1, "input": first_input(m)}
        parts.append(Measured.of(m.estimates, quantity, **index))
    return Measured(*(np.array(part) for part in zip(*parts, strict=True)))


def _pooled(
    m: MemberResults, estimates: xr.Dataset, theory: xr.Dataset
) -> tuple[Measured, dict[str, float]]:
    """Measured over G^2 at the last layer, and each order of theory over it."""
    k = first_input(m)
    measured = Measured.of(estimates, "intralayer", layer=-1, input=k)
    return measured.over(_square(theory, k)), _theory_of_pooled(theory, k)


def _theory_of_pooled(theory: xr.Dataset, k: int) -> dict[str, float]:
    square = _square(theory, k)
    found = {}
    for order in _COLORS:
        line = style.predicted(theory, "intralayer", order)
        if line is None or not square > 0:
            found[order] = np.nan
        else:
            found[order] = float(line.isel(layer=-1, input=k)) / square
    return found


def _theory_of_quadruple(theory: xr.Dataset, k: int) -> dict[str, float]:
    def last(order: str) -> float:
        values = style.predicted(theory, "quadruple", order)
        return (
            np.nan
            if values is None
            else float(values.sel(sample="ensemble").isel(layer=-1, input=k))
        )

    pooled = _theory_of_pooled(theory, k)["1/n"]
    return {"floor": last("infinite_width"), "noise": last("exact"), "1/n": pooled}


def _between(
    group: list[MemberResults],
    families: list[str],
    read: Callable[[xr.Dataset, int], dict[str, float]],
) -> tuple[np.ndarray, dict]:
    """Widths, and what ``read`` finds in theory there: between those measured where it can be."""
    width = np.array([m.about.width for m in group])
    n, found = width, [read(m.theory, first_input(m)) for m in group]
    finer = np.geomspace(width[0], width[-1], _BETWEEN).round().astype(int)
    finer = np.union1d(finer, width)
    anews = [anew(group[0], families, [group[0].about.depth], int(w)) for w in finer]
    known = [a for a in anews if a is not None]
    if len(width) > 1 and len(known) == len(anews):
        n, found = finer, [read(a, first_input(group[0])) for a in known]
    return n, {key: np.array([f[key] for f in found]) for key in found[0]}


def _square(theory: xr.Dataset, k: int) -> float:
    """G^2 of an input in the last layer, at infinite width."""
    kernel = style.predicted(theory, "covariance", "infinite_width")
    return np.nan if kernel is None else float(kernel.isel(layer=-1, input=k, input_=k)) ** 2
