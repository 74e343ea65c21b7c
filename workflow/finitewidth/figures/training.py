"""Training curves."""

from __future__ import annotations

from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.figures.trained import band, title, typical
from finitewidth.results import Study

_SPLITS = {"train": style.PALETTE[1], "validation": style.PALETTE[0]}


def training_curves(study: Study) -> Figure:
    """Loss and accuracy against epoch; bands are a standard deviation over replicas."""
    members = typical(study)
    figure, axes = style.grid(2, len(members), width=3.4, height=2.3, sharex="col")
    for (top, bottom), m in zip(axes.T, members, strict=True):
        top.set(yscale="log", title=title(m))
        for split, color in _SPLITS.items():
            where = {"split": split}
            band(top, m.estimates, "loss_curve", where, color=color, label=split)
            band(bottom, m.estimates, "accuracy_curve", where, color=color, label=split)
        chance = float(m.theory["accuracy"].sel(order="chance", split="validation"))
        bottom.axhline(chance, color="0.4", linestyle=":", linewidth=0.9, label="chance")
        bottom.set(xlabel="epoch", ylim=(0, 1.02))
        bottom.legend(loc="lower right")
    axes[0, 0].set_ylabel("cross-entropy, nat")
    axes[1, 0].set_ylabel("accuracy")
    return figure
