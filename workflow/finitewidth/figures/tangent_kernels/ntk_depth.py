"""Fluctuations of tangent kernels against depth over width, and against depth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import style
from finitewidth.figures.common.ntk_series import (
    Between,
    depths_between,
    first_input,
    measured,
    of_input,
    series,
    theory,
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
from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.criticality import critical_point
from finitewidth.theory.mlp_ntk.scaling_limits import asymptotics, bare_growth, ratio

#: The slope of a class, and the growth without its factor, as no order of theory is drawn.
_SLOPE, _BARE = (0, (1, 1)), (0, (4, 1, 1, 1, 1, 1))


def ntk_fluctuations(study: Study) -> Figure:
    """Var Theta/Theta^2 against L/n, and E[Theta^2]/E[Theta]^2 of two slopes against tau."""
    groups = _drawable(study, "ntk_fluctuations", lambda m: True)
    doubled = [
        label
        for label, (members, a) in groups.items()
        if np.isfinite(theory(members, "ntk_second_moment", "double_scaling", a=a)).any()
    ]
    figure, columns = panels(1 + len(doubled), width=2.66, height=2.7)
    first = columns[0][0]
    for look, (label, (members, a)) in zip(looks(len(groups)), groups.items(), strict=True):
        _against_aspect(first, label, members, a, look)
    log_axis(first, "x", "y")
    first.set(xlabel="$L/n$", ylabel=r"$\mathrm{Var}\,\Theta/\Theta^2$")
    widths = sorted({m.about.width for label in doubled for m in groups[label][0]})
    colors = dict(zip(widths, style.shades(len(widths)), strict=True))
    for (ax,), label in zip(columns[1:], doubled, strict=False):
        _against_tau(ax, label, *groups[label], colors)
    slope = Line2D([], [], color="0.3", linestyle=_SLOPE, label="slope of the class")
    more = [slope] if any(line.get_gid() == "slope" for line in first.lines) else []
    legend(figure, *more, words=[left_out(columns[1:], doubled, "laws of two slopes")])
    return figure


def _drawable(
    study: Study, figure: str, wanted: Callable[[MemberResults], bool]
) -> dict[str, tuple[list[MemberResults], int]]:
    """Series of members that fluctuate, each with the input that is drawn."""
    found = {}
    for label, every in series(study, "ntk", "width", "depth").items():
        a = first_input(every)
        if a is None:
            continue
        spread = measured(every, "ntk_variance", a=a).value
        members = [m for m, v in zip(every, spread, strict=True) if v > 0 and wanted(m)]
        if members:
            found[label + of_input(a)] = members, a
    if not found:
        why = "no tangent kernel fluctuates (none does at depth 1, nor at inputs that it is 0 of)"
        raise cannot_draw(figure, study.members, why)
    return found


def _against_aspect(ax: Axes, label: str, members: list[MemberResults], a: int, look: dict) -> None:
    """Var Theta/Theta^2, what it is at each width in theory, and the slope of the class."""
    color = look["color"]
    for mine in _by_width(members):
        between = Between(mine, "depth", depths_between(mine), "ntk", a)
        infinite = between("ntk", "infinite_width")
        for order in ("exact", "1/n"):
            L, line = between("ntk_variance", order)
            if np.isfinite(line).any() and len(L) == len(infinite[0]):
                with np.errstate(all="ignore"):
                    line = np.where(line > 0, line / infinite[1] ** 2, np.nan)
                curve(ax, L * _inverse_width(mine[0]), line, order, color=color, linewidth=0.8)
                break
    x = np.array([m.about.depth * _inverse_width(m) for m in members])
    found = measured(members, "ntk_variance", a=a)
    found = found.over(measured(members, "ntk", a=a).value ** 2)
    slope = _slope(members[0])
    if slope is not None:
        label = rf"{label}: {slope:.3g} $L/n$"
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, slope * ends, color=color, linestyle=_SLOPE, linewidth=0.9, gid="slope")
    style.points(ax, x, *found, **look, label=label)


def _by_width(members: list[MemberResults]) -> list[list[MemberResults]]:
    """Members of each width, the shallowest first."""
    widths = sorted({m.about.width for m in members})
    return [
        sorted((m for m in members if m.about.width == n), key=lambda m: m.about.depth)
        for n in widths
    ]


def _inverse_width(m: MemberResults) -> float:
    """1/n, its mean over hidden layers where these differ."""
    hidden = m.about.hidden or [m.about.width]
    return float(np.mean([1 / n for n in hidden]))


def _slope(m: MemberResults) -> float | None:
    """What Var Theta/Theta^2 is in units of L/n at large depth; None where it is no such power.

    That is a law of critical points, of weights that are normal and of biases that do not learn.
    """
    about = m.about
    try:
        critical, power = critical_point(get(about.activation)), None
        power = asymptotics(get(about.activation)).variance
    except ValueError:
        return None
    given = np.array([about.C_W, about.C_b], float)
    if about.weights != "normal" or about.hidden is not None or power.power:
        return None
    if about.network is not None:
        return None
    if not np.allclose(given, [critical.C_W, critical.C_b], rtol=1e-6, atol=1e-9):
        return None
    rates = about.rates(Perceptron.of_member(about, dimension=about.width))
    return None if any(rates.lambda_b) else power.coefficient


def _against_tau(ax: Axes, label: str, members: list[MemberResults], a: int, colors: dict) -> None:
    """E[Theta^2]/E[Theta]^2 of one activation, width by width, and its law in double scaling."""
    tau = {id(m): (m.about.depth - 1) * _inverse_width(m) for m in members}
    for mine in _by_width(members):
        n = mine[0].about.width
        L, line = Between(mine, "depth", depths_between(mine), "ntk", a)(
            "ntk_second_moment", "exact"
        )
        curve(ax, (L - 1) * _inverse_width(mine[0]), line, "exact", color=colors[n])
        x = [tau[id(m)] for m in mine]
        look = {"color": colors[n], "label": f"$n={n}$"}
        style.points(ax, x, *measured(mine, "ntk_second_moment", a=a), **look)
    activation = get(members[0].about.activation)
    fine = np.linspace(0, max(tau.values()), 80)
    curve(ax, fine, ratio(activation, fine), "double_scaling", color="k")
    growth = np.log(bare_growth(activation, 1.0))
    look = {"color": "0.5", "linestyle": _BARE, "label": r"bare growth $e^{s\tau}$"}
    ax.plot(fine, bare_growth(activation, fine), linewidth=1, **look)
    log_axis(ax, "y")
    ax.set_xlabel(r"$\tau=(L-1)/n$")
    titled(ax, label, f"$s={growth:.3g}$")
    ax.set_ylabel(r"$\mathrm{E}[\Theta^2]/\mathrm{E}[\Theta]^2$")


def ntk_criticality(study: Study) -> Figure:
    """n Var Theta/(Theta^2 L) against depth: flat at a critical point of the NTK, else not."""
    groups = _drawable(study, "ntk_criticality", lambda m: m.about.depth > 1)
    figure, ((ax,),) = panels(1, width=5.4, height=3.4)
    for look, (label, (members, a)) in zip(looks(len(groups)), groups.items(), strict=True):
        # Of each depth the widest, whose higher orders are smallest.
        widest = {m.about.depth: m for m in sorted(members, key=lambda m: m.about.width)}
        for mine in _by_width(list(widest.values())):
            between = Between(mine, "depth", depths_between(mine), "ntk", a)
            infinite = between("ntk", "infinite_width")
            for order in ("1/n", "exact"):
                L, line = between("ntk_variance", order)
                if len(L) == len(infinite[0]):
                    with np.errstate(all="ignore"):
                        line = line / infinite[1] ** 2 / (L * _inverse_width(mine[0]))
                    curve(ax, L, np.where(line > 0, line, np.nan), order, color=look["color"])
        mine = [widest[L] for L in sorted(widest)]
        L = np.array(sorted(widest))
        found = measured(mine, "ntk_variance", a=a)
        aspect = L * np.array([_inverse_width(m) for m in mine])
        found = found.over(aspect * measured(mine, "ntk", a=a).value ** 2)
        style.points(ax, L, *found, **look, label=label)
    ax.set_xlabel("depth $L$")
    ax.set_ylabel(r"$n\,\mathrm{Var}\,\Theta/(\Theta^2 L)$")
    log_axis(ax, "y")
    sweep_axis(ax, [m.about.depth for members, _ in groups.values() for m in members])
    legend(figure)
    return figure
