"""Training curves."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.comparison.results import Study
from finitewidth.figures.common import style
from finitewidth.figures.common.panels import left_out, legend, log_axis, panels, titled, whole_axis
from finitewidth.figures.common.replica_bands import BANDS, band, fit_log, title, typical

_SPLITS = {"train": style.PALETTE[1], "validation": style.PALETTE[0]}


def training_curves(study: Study) -> Figure:
    """Loss and accuracy against epoch; bands are a standard deviation over replicas."""
    members = typical(study)
    figure, columns = panels(len(members), 2, width=3.4, height=2.3)
    for (top, bottom), m in zip(columns, members, strict=False):
        titled(top, title(m))
        loss, spread = (m.estimates[f"loss_curve{part}"].values for part in ("", "_spread"))
        if (loss > 0).any():
            log_axis(top, "y")
            fit_log(top, loss, loss - np.nan_to_num(spread), loss + np.nan_to_num(spread))
        for split, color in _SPLITS.items():
            where, look = {"split": split}, {"color": color, "label": split}
            band(top, m.estimates, "loss_curve", where, limits=(0, None), **look)
            band(bottom, m.estimates, "accuracy_curve", where, limits=(0, 1), **look)
        chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
        bottom.axhline(chance, color="0.4", linestyle=":", linewidth=0.9, label="chance")
        bottom.set(xlabel="epoch", ylim=(0, 1.02))
        whole_axis(bottom, m.estimates["epoch"].values)
    for top, bottom in columns[:: columns[0][0].get_gridspec().ncols]:
        top.set_ylabel("cross-entropy, nat")
        bottom.set_ylabel("accuracy")
    legend(figure, measured=False, words=[BANDS, left_out(columns, members, "architectures")])
    return figure
