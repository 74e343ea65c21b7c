"""What figures of trained networks share: which members, and bands of what varies over replicas."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from finitewidth.comparison.results import Study, TrainedResults
from finitewidth.figures.common import style

#: Colours of networks before and after training.
STATES = {"start": style.PALETTE[5], "trained": style.PALETTE[0]}
#: A value, its standard error and whether that is trusted.
PARTS = ("", "_stderr", "_trusted")
BANDS = "bands: one standard deviation over replicas"


def typical(study: Study) -> list[TrainedResults]:
    """One of all members that differ in their widths alone: the one with the widths as given."""
    found: dict[tuple, TrainedResults] = {}
    for m in sorted(study.trained, key=lambda m: abs(np.log(m.about.widen))):
        found.setdefault(_kind(m), m)
    return list(found.values())


def alike(study: Study, m: TrainedResults) -> list[TrainedResults]:
    """Those that differ from m in their widths alone, and m itself, narrowest first."""
    same = [x for x in study.trained if _kind(x) == _kind(m)]
    return sorted(same, key=lambda x: tuple(x.estimates["width"].values))


def _kind(m: TrainedResults) -> tuple:
    """What members share that differ in nothing but their widths."""
    about = m.about
    training = (about.epochs, about.batch, about.learning_rate, about.momentum, about.optimiser)
    shape = (about.cnn is None, m.estimates.sizes["layer"])
    return (*shape, about.data, about.weights, about.C_W, *training)


def title(m: TrainedResults) -> str:
    """The ensemble and its channels, for example "digits mlp 64-128-64-10"."""
    widths = "-".join(str(n) for n in m.estimates["width"].values)
    law = f", {m.about.weights} weights" if "weights" in m.swept else ""
    return f"{m.about.ensemble.replace('_', ' ')} {widths}{law}"


def with_error(m: TrainedResults, quantity: str, where: dict) -> str:
    """A mean over replicas with its standard error, where there is one; "" where it is unknown."""
    value, error = (
        float(m.estimates[name].sel(where)) for name in (quantity, f"{quantity}_stderr")
    )
    if not np.isfinite(value):
        return ""
    if not error > 0:
        return f"{value:.3g}"
    places = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{places}f} ± {error:.{places}f}"


def band(
    ax: Axes,
    estimates: xr.Dataset,
    quantity: str,
    where: dict,
    *,
    limits: tuple[float, float | None] | None = None,
    **look: Any,
) -> None:
    """A quantity along the one dimension that ``where`` leaves: mean, and +- its spread.

    The band ends at ``limits``, a pair, beyond which the quantity cannot be. A logarithmic axis has
    the means above 0 alone, and there a band that reaches 0 leaves it at the bottom.
    """
    mean = estimates[quantity].sel(where)
    spread = estimates[f"{quantity}_spread"].sel(where).values
    (dimension,) = mean.dims
    logarithmic = ax.get_yscale() == "log"
    known = mean.values > 0 if logarithmic else np.isfinite(mean.values)
    x, y = mean[dimension].values[known], mean.values[known]
    if not known.any():
        return
    spread = np.nan_to_num(spread[known])
    line = ax.plot(x, y, **look)[0]
    low, high = np.clip([y - spread, y + spread], *(limits or (None, None)))
    if logarithmic:
        low = np.maximum(low, 1e-9 * y)
    ax.fill_between(x, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    if len(x) == 1:
        # One place alone is no line.
        ax.plot(x, y, "_", markersize=12, color=line.get_color())


def fit_log(ax: Axes, *values: np.ndarray) -> None:
    """A logarithmic axis of y for what is above 0, without what is 0 but for rounding."""
    every = np.concatenate([np.ravel(v) for v in values])
    every = every[np.isfinite(every) & (every > 0)]
    shown = every[every > 1e-7 * every.max()]
    ax.set_ylim(shown.min() / 2, shown.max() * 2)
