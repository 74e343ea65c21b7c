"""What figures of trained networks share: which members, and bands of what varies over replicas."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from finitewidth.figures import style
from finitewidth.results import MemberResults, Study

#: Colours of networks before and after training.
STATES = {"start": style.PALETTE[5], "trained": style.PALETTE[0]}


def trained_members(study: Study) -> list[MemberResults]:
    """The study's members that were trained."""
    return [m for m in study.members if "replicas" in m.about]


#: What members share that differ in nothing but their widths.
_ALIKE = ("data", "weights", "C_W", "epochs", "batch", "learning_rate", "momentum")


def typical(study: Study) -> list[MemberResults]:
    """One of all members that differ in their widths alone: the one with the widths as given."""
    found: dict[tuple, MemberResults] = {}
    for m in sorted(trained_members(study), key=lambda m: abs(np.log(m.about["widen"]))):
        found.setdefault(_kind(m), m)
    return list(found.values())


def alike(study: Study, m: MemberResults) -> list[MemberResults]:
    """Those that differ from m in their widths alone, and m itself, narrowest first."""
    same = [x for x in trained_members(study) if _kind(x) == _kind(m)]
    return sorted(same, key=lambda x: tuple(x.estimates["width"].values))


def _kind(m: MemberResults) -> tuple:
    shape = (m.about["cnn"] is None, m.estimates.sizes["layer"])
    return (*shape, *(m.about[key] for key in _ALIKE))


def title(m: MemberResults) -> str:
    """The ensemble and its channels, for example "digits mlp 64-128-64-10"."""
    widths = "-".join(str(n) for n in m.estimates["width"].values)
    return f"{m.about['ensemble'].replace('_', ' ')} {widths}"


def band(ax: Axes, estimates: xr.Dataset, quantity: str, where: dict, x=None, **look) -> None:
    """A quantity along the one dimension that ``where`` leaves: mean, and +- its spread."""
    mean = estimates[quantity].sel(where)
    spread = estimates[f"{quantity}_spread"].sel(where)
    (dimension,) = mean.dims
    x = mean[dimension].values if x is None else np.asarray(x)
    known = mean.notnull().values
    x, mean, spread = x[known], mean.values[known], np.nan_to_num(spread.values[known])
    line = ax.plot(x, mean, **look)[0]
    low = mean - spread
    if ax.get_yscale() == "log":
        low = np.maximum(low, mean / 1e3)
    ax.fill_between(x, low, mean + spread, color=line.get_color(), alpha=0.25, linewidth=0)
