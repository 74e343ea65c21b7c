"""What replicas share: eigenvectors, aligned activations, networks made of their covariances."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.figures.trained import STATES, alike, band, title, typical
from finitewidth.results import MemberResults, Study

_SPLITS = {"train": "-", "validation": "--"}
#: A value, its standard error and whether that is trusted.
_PARTS = ("", "_stderr", "_trusted")
_SOURCES = {"reference": style.PALETTE[1], "average": style.PALETTE[2], "white": style.PALETTE[3]}


def eigenvectors(study: Study) -> Figure:
    """Spectra, |cosine| of the eigenvectors of two replicas, and its diagonal for all pairs."""
    members = typical(study)
    hidden = [m.estimates.sizes["layer"] - 2 for m in members]
    figure, axes = style.grid(4 * len(members), 2 * max(hidden), width=2.3, height=1.9)
    for ax in axes.flat:
        ax.set_axis_off()
    image = None
    for k, (m, depth) in enumerate(zip(members, hidden, strict=True)):
        columns = [(b, layer) for b in ("activations", "weights") for layer in range(1, depth + 1)]
        for column, (basis, layer) in zip(axes[4 * k : 4 * k + 4].T, columns, strict=False):
            for ax in column:
                ax.set_axis_on()
            image = _compare(m, basis, layer, column)
        for ax, label in zip(
            axes[4 * k : 4 * k + 4, 0],
            ("eigenvalue", "rank, replica 1", "aligned: rank,\nreplica 1", "mean |cosine|"),
            strict=True,
        ):
            ax.set_ylabel(label)
    figure.colorbar(image, ax=axes, shrink=0.25, label="|cosine|, replicas 0 and 1", aspect=30)
    return figure


def _compare(m: MemberResults, basis: str, layer: int, column: np.ndarray):
    spectrum, plain, turned, diagonal = column
    quantity, where = (
        ("weight_eigenvalue", {"state": "trained", "layer": layer})
        if basis == "weights"
        else (
            "activation_eigenvalue",
            {"state": "trained", "centring": "uncentred", "layer": layer},
        )
    )
    spectrum.set(yscale="log", title=f"{m.about['ensemble'].replace('_', ' ')}\n{basis} {layer}")
    band(spectrum, m.estimates, quantity, where, color=STATES["trained"])
    values = m.estimates[quantity].sel(where).values
    spectrum.set_xlim(0, 50)
    shown = values[:50][np.isfinite(values[:50])]
    spectrum.set_ylim(max(shown.min() / 3, 1e-7 * shown[0]), 3 * shown[0])
    cosine = m.estimates["eigenvector_cosine_01"].sel(basis=basis, layer=layer)
    for ax, aligned in ((plain, "as they are"), (turned, "aligned")):
        values = cosine.sel(aligned=aligned).values
        image = ax.imshow(
            values, cmap="cividis", vmin=0, vmax=1, origin="lower", extent=(0.5, 50.5, 0.5, 50.5)
        )
        ax.grid(False)
    mean = m.estimates["eigenvector_cosine"].sel(basis=basis, layer=layer)
    spread = m.estimates["eigenvector_cosine_spread"].sel(basis=basis, layer=layer)
    for aligned, color in (("as they are", "0.5"), ("aligned", style.PALETTE[1])):
        value, sd = (np.diagonal(a.sel(aligned=aligned).values) for a in (mean, spread))
        rank = np.arange(1, len(value) + 1)
        diagonal.plot(rank, value, color=color, label=aligned)
        diagonal.fill_between(rank, value - sd, value + sd, color=color, alpha=0.25, linewidth=0)
    diagonal.set(ylim=(0, 1.03), xlim=(0, 50), xlabel="rank")
    diagonal.legend(fontsize=6)
    return image


def alignment(study: Study) -> Figure:
    """r^2 against layer beside what chance gives, and 1 - r^2 against width."""
    members = typical(study)
    wide = [group for m in members if len(group := alike(study, m)) > 1]
    figure, axes = style.grid(1, len(members) + len(wide), width=3.3, height=3.2)
    for ax, m in zip(axes[0], members, strict=False):
        _against_layer(ax, m)
    for ax, group in zip(axes[0, len(members) :], wide, strict=True):
        _against_width(ax, group)
    axes[0, 0].set_ylabel("$r^2$ of two replicas, centred")
    axes[0, 0].legend(fontsize=7, loc="center left")
    return figure


def _against_layer(ax: Axes, m: MemberResults) -> None:
    layers = m.estimates["layer"].values
    for state, color in STATES.items():
        for split, line in _SPLITS.items():
            where = {"state": state, "centring": "centred", "split": split}
            look = {"color": color, "linestyle": line, "label": f"{state}, {split}", "marker": "."}
            band(ax, m.estimates, "alignment_r2", where, **look)
        where = {"state": state, "centring": "centred", "split": "train"}
        chance = m.theory["alignment_chance"].sel(where | {"order": "spectrum"})
        ax.plot(layers, chance, color=color, linestyle=":", linewidth=1)
        chance = (m.estimates[f"alignment_chance{x}"].sel(where) for x in _PARTS)
        label = f"{state}: samples paired at random" if state == "trained" else None
        style.points(ax, layers, *chance, color=color, fmt="s", label=label)
    ax.plot([], [], color="0.4", linestyle=":", label="chance, theory")
    ax.set(xlabel="layer", ylim=(0, 1.03), title=title(m))
    ax.set_xticks(layers[1:-1])
    ax.set_xlim(layers[1] - 0.4, layers[-2] + 0.4)


def _against_width(ax: Axes, group: list[MemberResults]) -> None:
    hidden = group[0].estimates["layer"].values[1:-1]
    looks = [("o", "-"), ("s", "--"), ("^", "-."), ("D", ":")]
    for layer, (marker, line) in zip(hidden, looks, strict=False):
        for state, color in STATES.items():
            where = {"state": state, "centring": "centred", "split": "train", "layer": layer}
            n = [int(m.estimates["width"].sel(layer=layer)) for m in group]
            value, error, trusted = (
                np.array([float(m.estimates[f"alignment_r2{x}"].sel(where)) for m in group])
                for x in _PARTS
            )
            look = {"color": color, "fmt": marker, "linestyle": line, "linewidth": 0.8}
            style.points(ax, n, 1 - value, error, trusted, label=f"{state}, layer {layer}", **look)
            if layer == hidden[0] and state == "start":
                ends = np.array([min(n), max(n)])
                guide = (1 - value[-1]) * ends[1] / ends
                ax.plot(ends, guide, color="k", linewidth=0.8, linestyle=":", label="$1/n$")
    ax.set(yscale="log", xlabel="width $n$ of the layer", ylabel="$1-r^2$")
    style.log_ticks(ax, [n for m in group for n in m.estimates["width"].values[1:-1]])
    ax.set_title("training images")
    ax.legend(fontsize=6)


def rainbow(study: Study) -> Figure:
    """Accuracy of generated networks against width, beside trained ones; and layer by layer."""
    members = typical(study)
    figure, axes = style.grid(1, 2 * len(members), width=2.9, height=3.1)
    for (left, right), m in zip(axes[0].reshape(-1, 2), members, strict=True):
        _by_width(left, m, alike(study, m))
        _by_layers(right, m)
    axes[0, 0].set_ylabel("validation accuracy")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _by_width(ax: Axes, m: MemberResults, group: list[MemberResults]) -> None:
    n = [int(x.estimates["width"].sel(layer=1)) for x in group]
    names = ("accuracy", "accuracy_stderr", "accuracy_trusted", "accuracy_spread")
    value, error, trusted, spread = (
        np.array([float(x.estimates[name].sel(split="validation")) for x in group])
        for name in names
    )
    look = {"color": STATES["trained"], "label": "trained", "linestyle": "-"}
    style.points(ax, n, value, error, trusted, **look)
    ax.fill_between(n, value - spread, value + spread, color=look["color"], alpha=0.25, linewidth=0)
    # The first of each: all layers, from the reference, as wide as it where the config says so.
    made = (
        np.array([float(_first(x.estimates[f"generated_accuracy{part}"])) for x in group])
        for part in _PARTS
    )
    look = {"color": "0.35", "fmt": "s", "linestyle": "--", "label": "generated, own width"}
    if len(group) > 1:
        style.points(ax, n, *made, **look)
    first = int(m.estimates["width"].sel(layer=1))
    for source in m.estimates["source"].values:
        where = {"drawn": m.estimates["drawn"].values[0], "source": source}
        each = m.estimates["generated_each"].sel(where)
        own = first * m.estimates["widening"].values
        value, error, trusted = (m.estimates[f"generated_accuracy{x}"].sel(where) for x in _PARTS)
        sd = each.std(("replica", "network"))
        color = _SOURCES[str(source)]
        label = f"generated from $n_1={first}$"
        label += {"average": ", averaged", "white": ", white"}.get(str(source), "")
        look = {"color": color, "label": label, "linestyle": "-"}
        style.points(ax, own, value, error, trusted, **look)
        ax.fill_between(own, value - sd, value + sd, color=color, alpha=0.2, linewidth=0)
    for quantity, where in (("accuracy", {"split": "validation"}), ("generated_accuracy", {})):
        said = m.theory[quantity].sel(where | {"order": "published"}).values
        for value in said[np.isfinite(said)].ravel():
            ax.axhline(value, color="0.4", linestyle="-.", linewidth=0.9, label="published")
    chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
    ax.axhline(chance, color="0.4", linestyle=":", linewidth=0.9, label=f"chance, {chance:.2g}")
    ax.set(xlabel="width $n_1$", title=title(m))
    _fit_accuracy(ax)
    style.log_ticks(ax, sorted({*n, *np.round(own).astype(int)}))


def _by_layers(ax: Axes, m: MemberResults) -> None:
    drawn = m.estimates["drawn"].values
    places = np.arange(len(drawn))
    widening = min(m.estimates["widening"].values, key=lambda f: abs(np.log(f)))
    for shift, source in zip((-0.15, 0, 0.15), m.estimates["source"].values, strict=False):
        where = {"source": source, "widening": widening}
        value, error, trusted = (m.estimates[f"generated_accuracy{x}"].sel(where) for x in _PARTS)
        each = m.estimates["generated_each"].sel(where)
        sd = each.std(("replica", "network"))
        color = _SOURCES[str(source)]
        ax.errorbar(places + shift, value, sd, fmt="none", color=color, alpha=0.35, elinewidth=4)
        style.points(ax, places + shift, value, error, trusted, color=color)
    whole = float(m.estimates["accuracy"].sel(split="validation"))
    ax.axhline(whole, color=STATES["trained"], linewidth=1)
    ax.set_xticks(places, labels=drawn)
    ax.set(xlabel="layers drawn anew", xlim=(-0.5, len(drawn) - 0.5))
    _fit_accuracy(ax)
    ax.set_title(f"widths × {widening:g}")


def _fit_accuracy(ax: Axes) -> None:
    """Limits around what was measured, not around chance."""
    drawn = [np.asarray(line.get_ydata(), float) for line in ax.lines if line.get_marker() == "o"]
    lowest = min((np.nanmin(y) for y in drawn if len(y)), default=0.1)
    ax.set_ylim(max(0.0, lowest - 0.1), 1.01)


def _first(values: xr.DataArray) -> xr.DataArray:
    """The first subset of layers and source, at the width of the reference or next to it."""
    factor = min(values["widening"].values, key=lambda f: abs(np.log(f)))
    return values.isel(drawn=0, source=0).sel(widening=factor)
