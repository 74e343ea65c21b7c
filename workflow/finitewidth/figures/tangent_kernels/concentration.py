"""Tangent kernels against width: how they concentrate, and their eigenvalues over the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.ntk_series import (
    Between,
    first_input,
    measured,
    of_input,
    series,
    theory,
    widths_between,
)
from finitewidth.figures.common.panels import (
    cannot_draw,
    curve,
    left_out,
    legend,
    log_axis,
    looks,
    panels,
    sweep_axis,
    titled,
)

#: Eigenvalues that a panel shows; of more inputs some between the largest and the smallest.
_MOST_RANKS = 6
_ONE_SD = "one standard deviation"


def ntk_concentration(study: Study) -> Figure:
    """Mean and spread of Theta against width, a column each law."""
    groups = series(study, "ntk", "width", said=("depth",))
    inputs = {label: first_input(members) for label, members in groups.items()}
    known = [(label, a) for label, a in inputs.items() if a is not None]
    if not known:
        raise cannot_draw("ntk_concentration", study.members, "every mean tangent kernel is 0")
    figure, columns = panels(len(known), 2, width=2.5, height=2.1)
    for (top, bottom), (label, a) in zip(columns, known, strict=False):
        members = groups[label]
        n = np.array([m.about.width for m in members])
        between = Between(members, "width", widths_between(members), "ntk", a)
        scale, is_theory = _scale(members, "ntk", a=a)
        if is_theory:
            for order in ("exact", "1/n"):
                _mean_and_spread(top, bottom, between, order)
        mean, spread = measured(members, "ntk", a=a), measured(members, "ntk_variance", a=a)
        with np.errstate(all="ignore"):
            root = np.sqrt(spread.value)
            # d sqrt(v) = dv/(2 sqrt(v)).
            found = spread._replace(value=root, error=spread.error / (2 * root)).over(scale)
        deviation, center = found.value, mean.over(scale).value
        # A tangent kernel is never below 0; one width alone is drawn as wide as a symbol.
        low, high = np.maximum(center - deviation, 0), center + deviation
        x, low, high = (n, low, high) if len(n) > 1 else ([n[0] * 0.95, n[0] * 1.05], low, high)
        look: dict[str, Any] = {"color": style.PALETTE[4], "alpha": 0.25, "linewidth": 0}
        top.fill_between(x, *np.broadcast_arrays(low, high, x)[:2], label=_ONE_SD, **look)
        look = {"color": style.PALETTE[0], "markersize": 3.2}
        style.points(top, n, *mean.over(scale), **look)
        style.points(bottom, n, *found, **look)
        over = "" if is_theory else f"over the mean at $n={n[-1]}$"
        titled(top, label + of_input(a), over)
        bottom.set_xlabel("width $n$")
        if (deviation > 0).any():
            log_axis(bottom, "y")
        sweep_axis(bottom, n)
    for top, bottom in columns[:: _abreast(columns)]:
        top.set_ylabel(r"$\mathrm{E}[\Theta]/\Theta_\infty$")
        bottom.set_ylabel(r"$\mathrm{sd}(\Theta)/\Theta_\infty$")
    legend(figure, words=[left_out(columns, known, "laws")])
    return figure


def _abreast(columns: list[np.ndarray]) -> int:
    """How many columns of panels stand beside one another."""
    return columns[0][0].get_gridspec().ncols


def _mean_and_spread(top: Axes, bottom: Axes, between: Between, order: str) -> None:
    """One order of the mean and of the spread, over the mean at infinite width."""
    x, infinite = between("ntk", "infinite_width")
    for ax, quantity, root in ((top, "ntk", 1), (bottom, "ntk_variance", 2)):
        at, values = between(quantity, order)
        if len(at) == len(x):
            with np.errstate(all="ignore"):
                curve(ax, at, values ** (1 / root) / infinite, order, color="0.3")


def _scale(members: list[MemberResults], quantity: str, **where: int) -> tuple[np.ndarray, bool]:
    """What to divide by, one a member, and whether that is the value at infinite width.

    Where this is not known it is what the widest member measured.
    """
    infinite = theory(members, quantity, "infinite_width", **where)
    if (infinite > 0).all():
        return infinite, True
    return np.full(len(members), measured(members[-1:], quantity, **where).value[0]), False


def ntk_spectrum(study: Study) -> Figure:
    """Eigenvalues of Theta over the inputs against width, over those at infinite width."""
    groups = series(study, "ntk_spectrum", "width")
    shown = {label: _ranks(members) for label, members in groups.items()}
    known = [label for label, ranks in shown.items() if ranks]
    if not known:
        raise cannot_draw("ntk_spectrum", study.members, "every eigenvalue is 0")
    every = sorted({rank for ranks in shown.values() for rank in ranks})
    look = dict(zip(every, looks(len(every)), strict=True))
    figure, columns = panels(len(known), width=2.6, height=2.4)
    words = [left_out(columns, known, "laws")]
    for (ax,), label in zip(columns, known, strict=False):
        members = groups[label]
        n = np.array([m.about.width for m in members])
        between = Between(members, "width", widths_between(members), "ntk_spectrum")
        every_scale_is_theory = True
        drawn = []
        for rank in shown[label]:
            scale, is_theory = _scale(members, "ntk_eigenvalue", rank=rank)
            every_scale_is_theory &= is_theory
            if is_theory:
                at, line = between("ntk_eigenvalue", "1/n", rank)
                infinite = between("ntk_eigenvalue", "infinite_width", rank)
                if len(infinite[0]) == len(at):
                    curve(ax, at, line / infinite[1], "1/n", color=look[rank]["color"])
            found = measured(members, "ntk_eigenvalue", rank=rank).over(scale)
            name = rf"$\lambda_{{{rank + 1}}}$"
            style.points(ax, n, *found, **look[rank], label=name)
            drawn.append(found.value)
        style.unity(ax)
        titled(ax, label, "" if every_scale_is_theory else f"over that at $n={n[-1]}$")
        ax.set_xlabel("width $n$")
        values = np.concatenate(drawn)
        if values.min() > 0 and values.max() > 30 * values.min():
            log_axis(ax, "y")
        sweep_axis(ax, n)
        of = range(members[0].estimates.sizes["rank"])
        words.append(left_out(shown[label], of, f"eigenvalues of {label}"))
    for (ax,) in columns[:: _abreast(columns)]:
        ax.set_ylabel(r"$\mathrm{E}[\lambda]/\lambda_\infty$")
    legend(figure, words=words)
    return figure


def _ranks(members: list[MemberResults]) -> list[int]:
    """The ranks, from 0, that have a ratio to be drawn: at most ``_MOST_RANKS`` of them.

    Equal inputs, and opposite ones, leave eigenvalues that are 0 at any width.
    """
    count = min(m.estimates.sizes["rank"] for m in members)
    found = []
    for rank in range(count):
        infinite = theory(members, "ntk_eigenvalue", "infinite_width", rank=rank)
        value = measured(members, "ntk_eigenvalue", rank=rank).value
        largest = measured(members, "ntk_eigenvalue", rank=0).value
        if (infinite == 0).any() or not (value > 1e-13 * largest).all():
            continue
        found.append(rank)
    if len(found) > _MOST_RANKS:
        places = np.geomspace(1, len(found), _MOST_RANKS).round().astype(int) - 1
        found = [found[place] for place in dict.fromkeys(places.tolist())]
    return found
