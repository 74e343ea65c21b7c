"""Latent dimensions: spectra of activations and weights, and accuracy against rank."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.comparison.results import Study, TrainedResults
from finitewidth.figures.common.panels import (
    cannot_draw,
    left_out,
    legend,
    log_axis,
    panels,
    titled,
    whole_axis,
)
from finitewidth.figures.common.replica_bands import (
    BANDS,
    STATES,
    band,
    fit_log,
    title,
    typical,
    with_error,
)

#: Inches of a panel with a title of four lines.
_LEAST = (1.9, 1.55)


def activation_spectra(study: Study) -> Figure:
    """Eigenvalues of the input of each layer, and accuracy when it is projected on the first k."""

    def wanted(m: TrainedResults, number: int) -> bool:
        # Images of one channel have one component.
        return int(m.estimates["width"].sel(layer=number - 1)) > 1

    return _spectra(study, "activation_spectra", wanted, _of_activations)


def weight_spectra(study: Study) -> Figure:
    """Eigenvalues of W^T W/n_out beside Marchenko-Pastur, and accuracy with the first k kept."""

    def wanted(m: TrainedResults, number: int) -> bool:
        law = {"state": "trained", "layer": number}
        return int(m.estimates["weight_eigenvalue"].sel(law).notnull().sum()) > 1

    return _spectra(study, "weight_spectra", wanted, _of_weights)


def _spectra(study: Study, name: str, wanted: Callable, draw: Callable) -> Figure:
    """Two panels a layer: its spectrum, and the accuracy that is left at each rank."""
    members = typical(study)
    every = [
        (m, number)
        for m in members
        for number in range(1, m.estimates.sizes["layer"])
        if wanted(m, number)
    ]
    if not every:
        raise cannot_draw(name, members, "every spectrum is of one eigenvalue")
    figure, columns = panels(len(every), 2, width=2.65, height=2.3, least=_LEAST)
    # Of many some from the first to the last.
    places = np.linspace(0, len(every) - 1, len(columns)).round().astype(int)
    for (top, bottom), (m, number) in zip(columns, [every[k] for k in places], strict=True):
        draw(m, number, top, bottom)
        bottom.set(xlabel="rank $k$", ylim=(0, 1.04))
    for top, bottom in columns[:: columns[0][0].get_gridspec().ncols]:
        top.set_ylabel("eigenvalue")
        bottom.set_ylabel("validation accuracy")
    legend(figure, measured=False, words=[BANDS, left_out(columns, every, "layers")])
    return figure


def _of_activations(m: TrainedResults, number: int, top: Axes, bottom: Axes) -> None:
    at = {"centring": "uncentred", "layer": number - 1}
    # Images are no other before training.
    states = ["trained"] if number == 1 else list(STATES)
    _curves(top, m, "activation_eigenvalue", {s: {"state": s, **at} for s in states})
    dimension = with_error(m, "activation_participation", {"state": "trained", **at})
    slope = with_error(m, "activation_slope", {"state": "trained", **at})
    words = [f"dim. {dimension}" if dimension else "", rf"$\alpha$ = {slope}" if slope else ""]
    titled(top, title(m), f"input of layer {number}", *words)
    _truncated(m, number, "activations", bottom)
    ranks = m.estimates["activation_eigenvalue"].sel({"state": "trained", **at}).dropna("rank")
    log_axis(bottom, "x")
    bottom.set_xlim(0.93, 1.08 * max(ranks.sizes["rank"], 2))


def _of_weights(m: TrainedResults, number: int, top: Axes, bottom: Axes) -> None:
    states = {state: {"state": state, "layer": number} for state in STATES}
    law = m.theory["weight_eigenvalue"].sel({**states["start"], "order": "marchenko_pastur"})
    law = law.dropna("rank")
    _curves(top, m, "weight_eigenvalue", states, law.values)
    top.plot(law["rank"], law, color="k", linestyle="--", linewidth=0.9, label="Marchenko–Pastur")
    beyond = float(m.estimates["weight_outliers"].sel(states["trained"]))
    if np.isfinite(beyond):
        for ax in (top, bottom):
            ax.axvline(beyond, color="0.6", linewidth=0.8, label="so many beyond the start's edge")
    words = f"{beyond:.3g} beyond the start's edge" if np.isfinite(beyond) else ""
    titled(top, title(m), f"weights of layer {number}", words)
    _truncated(m, number, "weights", bottom)
    whole_axis(bottom, law["rank"].values)


def _curves(ax: Axes, m: TrainedResults, quantity: str, states: dict, *others: np.ndarray) -> None:
    """Spectra of the states, on a logarithmic axis where anything is above 0."""
    values = [m.estimates[quantity].sel(where).values for where in states.values()]
    if any((v > 0).any() for v in values):
        log_axis(ax, "y")
        fit_log(ax, *values, *others)
    for state, where in states.items():
        look = {"color": STATES[state], "label": state}
        band(ax, m.estimates, quantity, where, limits=(0, None), **look)


def _truncated(m: TrainedResults, number: int, basis: str, ax: Axes) -> None:
    where = {"basis": basis, "layer": number}
    band(ax, m.estimates, "clipped_accuracy", where, limits=(0, 1), color=STATES["trained"])
    whole = float(m.estimates["accuracy"].sel(split="validation"))
    chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
    ax.axhline(whole, color="k", linestyle="-.", linewidth=0.8, label="accuracy at all ranks")
    ax.axhline(chance, color="0.4", linestyle=":", linewidth=0.8, label="chance")
    needed = with_error(m, "rank_needed", where)
    if needed:
        titled(ax, f"within 0.01 of all ranks from $k$ = {needed}")
