"""Every component of V and of G^{1} against the angle between two inputs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.figures.common import panels, style
from finitewidth.figures.common.member_series import Measured, gram
from finitewidth.figures.common.notes import end
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.vertex import first_order

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
#: How many laws fit on a page, and how many if each has two rows. Norms count as equal up to this
#: relative difference.
_MOST_LAWS, _ROWS, _EQUAL = 5, 2, 1e-6


def two_inputs(study: Study) -> Figure:
    """Extrapolated coefficients of each pair of inputs of equal norm, and theory as a line.

    A row or a column a law: an activation, C_b, C_W, depth and norm of the inputs, on which the
    line depends.
    """
    fitted = [m for m in study.members if "kernel_covariance_1" in m.estimates]
    groups: dict[tuple, list[tuple[MemberResults, int, int]]] = {}
    for m in fitted:
        for i, j, norm in _equal_pairs(m):
            groups.setdefault((_law_of(m), f"{norm:.6g}"), []).append((m, i, j))
    if not groups:
        raise panels.cannot_draw(
            "two_inputs", study.members,
            "it needs two inputs of equal norm, not 0, on ladders of four widths or more",
        )  # fmt: skip
    shown = dict(list(groups.items())[:_MOST_LAWS])
    figure, cells = _cells(len(shown))
    wide = len(shown) <= _ROWS
    for row, (law, norm), group in zip(cells, shown, shown.values(), strict=True):
        K, lines = _theory(*group[0][:2])
        words = [law[0]]
        if sum(other[0][0] == law[0] for other in shown) > 1:
            words += [f"$C_W={law[2]:.4g}$, $L={law[3]}$", f"$|x|^2/n_0={float(norm):.4g}$"]
        for ax, (title, component) in zip(row, _COMPONENTS.items(), strict=True):
            scale = K ** len(component)
            look = {"color": style.PALETTE[1], "label": style.ORDERS["1/n"]["label"]}
            style.curve(ax, *lines[title], "1/n", **look)
            parts = [_measured(m, i, j, component) for m, i, j in group]
            angle, each = [a for a, _ in parts], [f for _, f in parts]
            measured = Measured(*(np.array(part) for part in zip(*each, strict=True)))
            look = {"color": style.PALETTE[0], "label": "measured"}
            style.points(ax, angle, *measured.over(scale), **look)
            title += "$/K^2$" if len(component) == 2 else "$/K$"
            place = ax.get_subplotspec()
            if wide:
                ax.set_title("\n".join([f"{words[0]}: {title}", *words[1:]]), fontsize="small")
            elif place.is_first_row():
                ax.set_title("\n".join(words), fontsize="small")
            if place.is_first_col() and not wide:
                ax.set_ylabel(title)
            ax.set_xticks([0, 90, 180])
            ax.set_xlabel("angle, degrees" if wide or place.is_last_row() else "")
    words = [panels.left_out(shown, groups, "laws"), _unequal(fitted)]
    end(figure, words=words, measured=False)
    return figure


def _cells(count: int) -> tuple[Figure, list[list]]:
    """A figure with six panels for each law: two rows each, or a column each if they are many."""
    if count <= _ROWS:
        figure, axes = style.grid(2 * count, 3, width=2.6, height=2.1)
        return figure, [list(axes[2 * k : 2 * k + 2].flat) for k in range(count)]
    figure, axes = style.grid(len(_COMPONENTS), count, width=8 / count, height=1.6)
    return figure, [list(column) for column in axes.T]


def _law_of(m: MemberResults) -> tuple:
    about = m.about
    return about.activation, about.C_b, about.C_W, about.depth, about.weights


def _overlaps(m: MemberResults) -> np.ndarray:
    """x_a.x_b/n_0 of a ladder's inputs, which its theory always tells."""
    found = gram(m)
    assert found is not None
    return found


def _equal_pairs(m: MemberResults) -> list[tuple[int, int, float]]:
    """Pairs of different inputs of equal norm that is not 0, with |x|^2/n_0."""
    size = np.diag(_overlaps(m))
    return [
        (i, j, float(size[i]))
        for i in range(len(size))
        for j in range(i + 1, len(size))
        if size[i] > 0 and abs(size[j] - size[i]) <= _EQUAL * size[i]
    ]


def _unequal(members: list[MemberResults]) -> str:
    """How many pairs are left out because their norms are not equal."""
    inputs = [len(_overlaps(m)) for m in members]
    pairs = sum(n * (n - 1) // 2 for n in inputs)
    drawn = sum(len(_equal_pairs(m)) for m in members)
    return f"{drawn} of {pairs} pairs of inputs have equal norms" if drawn < pairs else ""


def _measured(m: MemberResults, i: int, j: int, component: tuple) -> tuple[float, Measured]:
    """Angle of two inputs in degrees, and what was measured of a component."""
    a, b = m.estimates["pair_a"].values, m.estimates["pair_b"].values
    place = {(i, j): k for k, (i, j) in enumerate(zip(a, b, strict=True))}
    several = [sorted(((i, j)[s], (i, j)[t])) for s, t in component]
    pairs = [place[low, high] for low, high in several]
    name = "kernel_covariance_1" if len(component) == 2 else "kernel_mean_1"
    index = dict(zip(("pair", "pair_"), pairs, strict=False))
    overlaps = _overlaps(m)
    cosine = overlaps[i, j] / np.sqrt(overlaps[i, i] * overlaps[j, j])
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return angle, Measured.of(m.estimates, name, layer=-1, **index)


def _theory(m: MemberResults, i: int) -> tuple[float, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """K of one input, and each component in units of K as a line over the angle."""
    radius = np.sqrt(2 * _overlaps(m)[i, i])
    n = m.about.width
    mlp = Perceptron.of_member(m.about, dimension=2)
    layer = int(m.estimates["layer"].values[-1])
    angles = np.linspace(0, np.pi, _ANGLES)
    lines = {title: np.empty(_ANGLES) for title in _COMPONENTS}
    for k, angle in enumerate(angles):
        x = radius * np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
        orders = first_order(mlp, x, [layer])
        K = float(orders.K[0, 0, 0])
        for title, component in _COMPONENTS.items():
            tensor = orders.V[0] if len(component) == 2 else orders.G1[0]
            lines[title][k] = n * tensor[sum(component, ())] / K ** len(component)
    return K, {title: (np.degrees(angles), y) for title, y in lines.items()}
