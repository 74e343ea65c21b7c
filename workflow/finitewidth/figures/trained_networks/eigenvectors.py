"""How eigenvectors of one replica stand to those of another."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from finitewidth.comparison.results import Study, TrainedResults
from finitewidth.figures.common import style
from finitewidth.figures.common.panels import cannot_draw, left_out, legend, log_axis
from finitewidth.figures.common.replica_bands import STATES, band, fit_log, typical

#: Rows that fit a page, and eigenvectors that are compared at most (``spectral.py``).
_MOST_ROWS = 8
_COLUMNS = ("eigenvalue", "as they are", "aligned", "mean of all pairs")


def eigenvectors(study: Study) -> Figure:
    """Spectra, |cosine| of the eigenvectors of two replicas, and its diagonal for all pairs.

    A row a layer, of activations and of weights.
    """
    members = typical(study)
    every = [
        (m, basis, layer)
        for m in members
        for basis in ("activations", "weights")
        for layer in range(1, m.estimates.sizes["layer"] - 1)
        if _known(m, basis, layer)
    ]
    if not every:
        why = "no two replicas have eigenvectors to compare in any hidden layer"
        raise cannot_draw("eigenvectors", members, why)
    places = np.linspace(0, len(every) - 1, min(len(every), _MOST_ROWS)).round().astype(int)
    shown = [every[place] for place in places]
    figure, axes = style.grid(len(shown), 4, width=1.9, height=max(1.15, 1.9 - 0.1 * len(shown)))
    for row, (m, basis, layer) in zip(axes, shown, strict=True):
        image = _compare(m, basis, layer, row)
        name = m.about.ensemble.replace("_", " ")
        row[0].set_ylabel(f"{name}\n{basis} {layer}", fontsize=style.points_of(7))
        for ax in row:
            ax.tick_params(labelsize=style.points_of(7))
    for ax, label in zip(axes[0], _COLUMNS, strict=True):
        ax.set_title(label)
    for ax in axes[-1]:
        ax.set_xlabel("rank")
    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    about = "|cosine|, replicas 0 and 1"
    figure.colorbar(image, ax=axes, label=about, location="right", shrink=0.4, aspect=25)
    words = [
        "bands: one standard deviation over replicas, or over their pairs",
        left_out(shown, every, "layers"),
    ]
    legend(figure, measured=False, words=words)
    return figure


def _known(m: TrainedResults, basis: str, layer: int) -> bool:
    cosine = m.estimates["eigenvector_cosine_01"].sel(basis=basis, layer=layer)
    return bool(cosine.notnull().any())


def _compare(m: TrainedResults, basis: str, layer: int, row: np.ndarray) -> AxesImage:
    spectrum, *images, diagonal = row
    cosine = m.estimates["eigenvector_cosine_01"].sel(basis=basis, layer=layer)
    count = int(cosine.notnull().any(("aligned", "rank_b")).sum())
    _spectrum(spectrum, m, basis, layer, count)
    for ax, aligned in zip(images, ("as they are", "aligned"), strict=True):
        image = ax.imshow(
            cosine.sel(aligned=aligned).values[:count, :count], cmap="cividis", vmin=0, vmax=1,
            origin="lower", extent=(0.5, count + 0.5, 0.5, count + 0.5),
        )  # fmt: skip
        ax.grid(False)
        ax.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    mean = m.estimates["eigenvector_cosine"].sel(basis=basis, layer=layer)
    spread = m.estimates["eigenvector_cosine_spread"].sel(basis=basis, layer=layer)
    rank = np.arange(1, count + 1)
    for aligned, color in (("as they are", "0.5"), ("aligned", style.PALETTE[1])):
        value, sd = (np.diagonal(a.sel(aligned=aligned).values)[:count] for a in (mean, spread))
        # Where alignment turns nothing the second line lies on the first.
        line = "-" if aligned == "aligned" else (0, (3, 3))
        look = {"marker": "." if count == 1 else "", "zorder": 2 + (color == "0.5")}
        diagonal.plot(rank, value, color=color, linestyle=line, label=aligned, **look)
        low, high = np.clip([value - np.nan_to_num(sd), value + np.nan_to_num(sd)], 0, 1)
        diagonal.fill_between(rank, low, high, color=color, alpha=0.25, linewidth=0)
    diagonal.set(ylim=(0, 1.03), xlim=(0.5, count + 0.5))
    return image


def _spectrum(ax: Axes, m: TrainedResults, basis: str, layer: int, count: int) -> None:
    quantity, where = "weight_eigenvalue", {"state": "trained", "layer": layer}
    if basis == "activations":
        quantity, where = "activation_eigenvalue", {**where, "centring": "uncentred"}
    values = m.estimates[quantity].sel(where).values[:count]
    if (values > 0).any():
        log_axis(ax, "y")
        fit_log(ax, values)
    band(ax, m.estimates, quantity, where, limits=(0, None), color=STATES["trained"])
    ax.set_xlim(0.5, count + 0.5)
