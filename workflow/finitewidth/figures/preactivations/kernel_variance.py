"""How the fluctuations of the kernel grow with depth, or go with width."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured, first_input

_MOST = 12
#: Swept keys that are the axis, and what it is where only widths differ.
_ALONG, _WIDTH = ("repeat", "depth"), ("width",)


def kernel_variance(study: Study) -> Figure:
    """n Var(Ghat)/K^2 of each series against depth, and measured over the first order.

    Against width where each series has one depth and several widths.
    """
    along: tuple[str, ...] = _ALONG
    every = _series(study, along)
    if not any(_spans(each, "depth") for each in every.values()):
        by_width = _series(study, _WIDTH)
        if any(_spans(each, "width") for each in by_width.values()):
            along, every = _WIDTH, by_width
    if not every:
        raise panels.cannot_draw(
            "kernel_variance", study.members, "the kernel of no input is above 0 at infinite width"
        )
    # Norms may leave no variance: what is measured of it is about 0, and no logarithm shows that.
    every = {name: each for name, each in every.items() if _is_above_0(*_scaled(each))}
    if not every:
        raise panels.cannot_draw("kernel_variance", study.members, "no variance is above 0")
    figure, columns = panels.panels(2, width=3.6, height=3.1)
    (left,), (right,) = columns
    drawn = dict(list(every.items())[:_MOST])
    for look, (label, members) in zip(panels.looks(len(drawn)), drawn.items(), strict=True):
        x = np.array([m.about.width if along == _WIDTH else m.about.depth - 1 for m in members])
        measured, theory = _scaled(members)
        style.points(left, x, *measured, **look, label=label)
        panels.curve(left, x, theory, "1/n", color=look["color"])
        style.points(right, x, *measured.over(theory), **look, label=label)
    for ax in (left, right):
        panels.log_axis(ax, "x")
        ax.set_xlabel("width $n$" if along == _WIDTH else "layers before the last, $L$")
    panels.log_axis(left, "y")
    left.set_ylabel(r"$n\,\mathrm{Var}\,\hat G/K^2$")
    right.set_ylabel("measured / first order in $1/n$")
    style.unity(right)
    panels.legend(figure, words=[panels.left_out(drawn, every, "series")])
    return figure


def _spans(members: list[MemberResults], key: str) -> bool:
    return len({getattr(m.about, key) for m in members}) > 1


def _series(study: Study, along: tuple[str, ...]) -> dict[str, list[MemberResults]]:
    """Members that differ along the axis alone, in its order, by what they are called."""
    found: dict[str, list[MemberResults]] = {}
    for m in study.members:
        if m.has("covariance") and m.has("four_point") and _variance(m) > 0 and m.about.depth > 1:
            rest = {k: v for k, v in m.swept.items() if k not in along}
            label = MemberResults(m.about, rest, m.estimates, m.theory).label
            found.setdefault(label, []).append(m)
    return {
        name: sorted(each, key=lambda m: (m.about.depth, m.about.width))
        for name, each in found.items()
    }


def _variance(m: MemberResults) -> float:
    """K of the input that is drawn, at the last layer; 0 where theory says nothing of it."""
    known = style.predicted(m.theory, "covariance", "infinite_width")
    if known is None:
        return 0.0
    a = first_input(m)
    return float(np.nan_to_num(known.isel(layer=-1, input=a, input_=a)))


def _is_above_0(measured: Measured, theory: np.ndarray) -> bool:
    return bool((measured.value > 0).any() or (theory > 0).any())


def _scaled(members: list[MemberResults]) -> tuple[Measured, np.ndarray]:
    """n Var(Ghat)/K^2, measured and to first order, one number a member."""
    each: list[Measured] = []
    theory = np.full(len(members), np.nan)
    for k, m in enumerate(members):
        here: dict[str, Any] = {"layer": -1, "input": first_input(m)}
        unit = m.about.width / _variance(m) ** 2
        each.append(Measured.of(m.estimates, "intralayer", **here).times(unit))
        line = style.predicted(m.theory, "intralayer", "1/n")
        theory[k] = np.nan if line is None else float(line.isel(here)) * unit
    return Measured(*(np.array(part) for part in zip(*each, strict=True))), theory
