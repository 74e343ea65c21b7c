"""Every component of V and of G^{1} against the angle between two inputs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.law import Law
from finitewidth.results import MemberResults, Study
from finitewidth.theory.vertex import first_order

#: Component -> its pairs of inputs, each 0 or 1.
_COMPONENTS = {
    r"$V_{(00)(00)}$": ((0, 0), (0, 0)),
    r"$V_{(00)(01)}$": ((0, 0), (0, 1)),
    r"$V_{(00)(11)}$": ((0, 0), (1, 1)),
    r"$V_{(01)(01)}$": ((0, 1), (0, 1)),
    r"$G^{\{1\}}_{00}$": ((0, 0),),
    r"$G^{\{1\}}_{01}$": ((0, 1),),
}
_ANGLES = 61


def two_inputs(study: Study) -> Figure:
    """Extrapolated coefficients of each pair of inputs of equal norm, and theory as a line."""
    members = [m for m in study.members if "kernel_covariance_1" in m.estimates]
    if not members or all(m.estimates.sizes["pair"] < 3 for m in members):
        raise ValueError(
            "the figure two_inputs needs two or more inputs on a ladder of four widths or more"
        )
    members = [m for m in members if m.estimates.sizes["pair"] > 1]
    groups: dict[str, list[MemberResults]] = {}
    for m in members:
        groups.setdefault(m.about["activation"], []).append(m)
    figure, axes = style.grid(len(groups), len(_COMPONENTS), width=1.9, height=1.9, sharex=True)
    for row, (name, group) in zip(axes, groups.items(), strict=True):
        K, lines = _theory(group[0])
        for ax, (title, component) in zip(row, _COMPONENTS.items(), strict=True):
            scale = K ** len(component)
            style.curve(ax, *lines[title], "1/n", color=style.PALETTE[1])
            found = np.concatenate([_measured(m, component) for m in group], 1)
            angle, value, error, trusted = found
            style.points(ax, angle, value / scale, error / scale, trusted, color=style.PALETTE[0])
            ax.set_title(title + ("$/K^2$" if len(component) == 2 else "$/K$"))
            ax.set_xticks([0, 90, 180])
        row[0].set_ylabel(name)
    for ax in axes[-1]:
        ax.set_xlabel("angle, degrees")
    style.order_legend(axes[0, 0], "1/n", loc="best", fontsize=6)
    return figure


def _measured(m: MemberResults, component: tuple) -> np.ndarray:
    """Angle, value, error and trust of a component, for each pair of different inputs: (4, ...)."""
    a, b = m.estimates["pair_a"].values, m.estimates["pair_b"].values
    place = {(i, j): k for k, (i, j) in enumerate(zip(a, b, strict=True))}
    name = "kernel_covariance_1" if len(component) == 2 else "kernel_mean_1"
    found = []
    for (i, j), k in place.items():
        if i == j:
            continue
        pairs = [place[tuple(sorted(((i, j)[s], (i, j)[t])))] for s, t in component]
        index = dict(zip(("pair", "pair_"), pairs, strict=False))
        measured = (
            float(m.estimates[f"{name}{part}"].isel(layer=-1, **index))
            for part in ("", "_stderr", "_trusted")
        )
        found.append((_angle(m, i, j, k), *measured))
    return np.array(sorted(found)).T


def _angle(m: MemberResults, i: int, j: int, k: int) -> float:
    """Angle in degrees between two inputs, from their overlaps in the theory's file."""
    overlap = m.theory["overlap"].values
    a, b = m.theory["pair_a"].values, m.theory["pair_b"].values
    norms = [overlap[(a == x) & (b == x)][0] for x in (i, j)]
    return float(np.degrees(np.arccos(np.clip(overlap[k] / np.sqrt(np.prod(norms)), -1, 1))))


def _theory(m: MemberResults) -> tuple[float, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """K of one input, and each component in units of K as a line over the angle."""
    radius = np.sqrt(2 * m.theory["overlap"].values[0])
    n = m.about["width"]
    law = Law.of_ladder({**m.about, "ladder": [n]}, dimension=2)[0]
    layer = int(m.estimates["layer"].values[-1])
    angles = np.linspace(0, np.pi, _ANGLES)
    lines = {title: np.empty(_ANGLES) for title in _COMPONENTS}
    for k, angle in enumerate(angles):
        x = radius * np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
        orders = first_order(law, x, [layer])
        K = float(orders.K[0, 0, 0])
        for title, component in _COMPONENTS.items():
            tensor = orders.V[0] if len(component) == 2 else orders.G1[0]
            lines[title][k] = n * tensor[sum(component, ())] / K ** len(component)
    return K, {title: (np.degrees(angles), y) for title, y in lines.items()}
