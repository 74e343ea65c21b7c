"""Latent dimensions: spectra of activations and of weights, and what clipping to them costs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.figures.trained import STATES, band, title, typical
from finitewidth.results import MemberResults, Study

_BAND = "bands: one standard deviation over replicas"


def activation_spectra(study: Study) -> Figure:
    """Eigenvalues of the input of each layer, and accuracy when it is projected on the first k."""
    figure, rows = _panels(study, dashed="accuracy at all ranks", dotted="chance")
    for m, number, top, bottom in rows:
        if m.estimates["width"].sel(layer=number - 1) == 1:
            # Images of one channel have one component.
            for ax in (top, bottom):
                ax.set_axis_off()
            continue
        top.set(xscale="log", yscale="log", title=f"{title(m)}\ninput of layer {number}")
        for state, color in STATES.items():
            where = {"state": state, "centring": "uncentred", "layer": number - 1}
            if number > 1 or state == "trained":
                band(top, m.estimates, "activation_eigenvalue", where, color=color, label=state)
        where = {"state": "trained", "centring": "uncentred", "layer": number - 1}
        _fit_floor(top, m.estimates["activation_eigenvalue"].sel(where).values)
        slope, error = _with_error(m, "activation_slope", where)
        ratio, spread = _with_error(m, "activation_participation", where)
        words = [f"dim. {ratio:.2f} ± {spread:.2f}" if spread > 0 else f"dim. {ratio:.2f}"]
        if np.isfinite(slope):
            words.append(rf"$\alpha={slope:.2f}" + (rf"\pm{error:.2f}$" if error > 0 else "$"))
        top.text(0.04, 0.06, "\n".join(words), transform=top.transAxes, fontsize=7)
        _clipped(m, number, "activations", bottom)
        bottom.set(xscale="log", xlabel="rank $k$")
    return figure


def weight_spectra(study: Study) -> Figure:
    """Eigenvalues of W^T W/n_out beside Marchenko-Pastur, and accuracy with the first k kept."""
    dashed = "Marchenko–Pastur; accuracy at all ranks"
    figure, rows = _panels(study, dashed=dashed, dotted="chance; the start's edge")
    for m, number, top, bottom in rows:
        top.set(yscale="log", title=f"{title(m)}\nweights of layer {number}")
        for state, color in STATES.items():
            where = {"state": state, "layer": number}
            band(top, m.estimates, "weight_eigenvalue", where, color=color, label=state)
        where = {"state": "start", "layer": number}
        law = (
            m.theory["weight_eigenvalue"].sel(where | {"order": "marchenko_pastur"}).dropna("rank")
        )
        look = {"color": "k", "linestyle": "--", "linewidth": 0.9}
        top.plot(law["rank"], law, **look)
        trained = m.estimates["weight_eigenvalue"].sel(state="trained", layer=number)
        _fit_floor(top, np.concatenate([law.values, trained.values]))
        beyond = float(m.estimates["weight_outliers"].sel(state="trained", layer=number))
        for ax in (top, bottom):
            ax.axvline(beyond, color="0.5", linewidth=0.8, linestyle=":")
        words = f"{beyond:.1f} beyond the start's edge"
        top.text(0.97, 0.94, words, transform=top.transAxes, fontsize=7, ha="right", va="top")
        _clipped(m, number, "weights", bottom)
        bottom.set_xlabel("rank $k$")
    return figure


def _panels(
    study: Study, *, dashed: str, dotted: str
) -> tuple[Figure, list[tuple[MemberResults, int, Axes, Axes]]]:
    """Two rows an ensemble and a column a layer, with one legend below."""
    members = typical(study)
    depths = [m.estimates.sizes["layer"] - 1 for m in members]
    figure, axes = style.grid(2 * len(members), max(depths), width=2.7, height=2.1)
    rows = []
    for k, (m, depth) in enumerate(zip(members, depths, strict=True)):
        axes[2 * k, 0].set_ylabel("eigenvalue")
        axes[2 * k + 1, 0].set_ylabel("validation accuracy")
        for ax in axes[2 * k : 2 * k + 2, depth:].flat:
            ax.set_axis_off()
        rows += [(m, j + 1, axes[2 * k, j], axes[2 * k + 1, j]) for j in range(depth)]
    handles = [style.plt.Line2D([], [], color=c, label=s) for s, c in STATES.items()]
    for look, color, label in (("--", "k", dashed), (":", "0.4", dotted)):
        handles.append(style.plt.Line2D([], [], color=color, linestyle=look, label=label))
    figure.legend(handles=handles, title=_BAND, loc="outside lower center", ncols=4)
    return figure, rows


def _clipped(m: MemberResults, number: int, basis: str, ax: Axes) -> None:
    where = {"basis": basis, "layer": number}
    band(ax, m.estimates, "clipped_accuracy", where, color=STATES["trained"])
    whole = float(m.estimates["accuracy"].sel(split="validation"))
    chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
    ax.axhline(whole, color="k", linestyle="--", linewidth=0.8)
    ax.axhline(chance, color="0.4", linestyle=":", linewidth=0.8)
    needed, error = _with_error(m, "rank_needed", where)
    if np.isfinite(needed):
        words = f"$k={needed:.1f}$" + (rf"$\pm{error:.1f}$" if error > 0 else "")
        ax.text(0.96, 0.12, f"within 0.01: {words}", transform=ax.transAxes, fontsize=7, ha="right")
    ax.set_ylim(0, 1.04)


def _with_error(m: MemberResults, quantity: str, where: dict) -> tuple[float, float]:
    names = (quantity, f"{quantity}_stderr")
    return tuple(float(m.estimates[name].sel(where)) for name in names)


def _fit_floor(ax: Axes, values: np.ndarray) -> None:
    """Limits that leave out what is zero but for rounding."""
    values = values[np.isfinite(values)]
    top, small = values.max(), values[values > 1e-7 * values.max()].min()
    ax.set_ylim(max(small / 3, 1e-7 * top), 3 * top)
