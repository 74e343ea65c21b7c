"""How Gaussian a wide network is, by statistics that see it and by one that cannot."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from finitewidth.figures import style
from finitewidth.results import Study

_TESTS = {
    "henze_zirkler": "Henze–Zirkler",
    "hotelling_mean": "Hotelling's $T^2$ (mean only)",
    "radial": "radial dispersion",
}


def pooled_correlator(study: Study) -> Figure:
    """The pooled correlator of the last layer against width, and its ratio to theory."""
    members = _by_width(study, "four_point")
    figure, axes = style.grid(
        2, 1, width=5.0, height=2.2, sharex=True, gridspec_kw={"height_ratios": [2, 1]}
    )
    top, bottom = axes[:, 0]
    rows = [_pooled(m) for m in members]
    width, value, error, exact, first, trusted = map(np.array, zip(*rows, strict=True))
    style.points(top, width, value, error, trusted, color=style.PALETTE[0])
    style.curve(top, width, exact, "exact", color=style.PALETTE[1])
    style.curve(top, width, first, "1/n", color=style.PALETTE[2])
    top.set(xscale="log", yscale="log", ylabel=r"$\mathrm{E}[z_i^2 z_j^2]_\mathrm{c}/G^2$")
    style.order_legend(top, "exact", "1/n")
    style.points(bottom, width, value / exact, error / exact, trusted, color=style.PALETTE[0])
    style.curve(bottom, width, first / exact, "1/n", color=style.PALETTE[2])
    style.unity(bottom)
    style.fit_ratio(bottom)
    bottom.set(xlabel="width $n$", ylabel="measured / exact")
    return figure


def quadruple(study: Study) -> Figure:
    """The mean of |connected correlator| over random quadruples: networks, control and floor."""
    members = _by_width(study, "quadruple")
    figure, axes = style.grid(1, 1, width=5.4, height=3.2)
    ax = axes[0, 0]
    width = np.array([m.about["width"] for m in members])
    for color, marker, sample, label in (
        (style.PALETTE[0], "o", "ensemble", "networks"),
        (style.PALETTE[1], "s", "gaussian", "Gaussian control"),
    ):
        here = {"sample": sample, "input": 0}
        measured = _last(members, "quadruple", here)
        shift = 0.97 if sample == "ensemble" else 1.03
        style.points(ax, width * shift, *measured, color=color, fmt=marker, label=label)
    here = {"sample": "ensemble", "input": 0}
    floor = [_theory(m, "quadruple", "infinite_width", here) for m in members]
    ax.plot(width, floor, ":", color="0.2", label=r"noise floor $0.798/\sqrt{N}$")
    expected = [_theory(m, "quadruple", "exact", here) for m in members]
    ax.plot(width, expected, "-", color="0.2", label="its noise at finite $n$, exact")
    signal = [_pooled(m)[4] for m in members]
    ax.plot(width, signal, "--", color=style.PALETTE[2], label=r"the signal: $2(L-1)/n$")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="width $n$",
        ylabel=r"mean $|\mathrm{E}[z_i z_j z_k z_l]_\mathrm{c}|/K^2$",
    )
    ax.legend()
    return figure


def normality(study: Study) -> Figure:
    """Share of groups in which each test rejects at 5 %, for networks and Gaussian controls."""
    members = _by_width(study, "normality")
    tests = [t for t in _TESTS if t in members[0].estimates["test"].values]
    figure, axes = style.grid(1, len(tests), width=2.5, height=2.6, sharey=True)
    width = np.array([m.about["width"] for m in members])
    for ax, test in zip(axes[0], tests, strict=True):
        for color, marker, sample, label, shift in (
            (style.PALETTE[0], "o", "ensemble", "networks", 0.94),
            (style.PALETTE[1], "s", "gaussian", "Gaussian control", 1.06),
        ):
            here = {"test": test, "sample": sample, "input": 0}
            rate = _last(members, "rejection_rate", here)
            style.points(ax, width * shift, *rate, color=color, fmt=marker, label=label)
        ax.axhline(0.05, color="0.2", linestyle=":", linewidth=1)
        ax.set(xscale="log", xlabel="width $n$", title=_TESTS[test], ylim=(-0.04, 1.04))
    axes[0, 0].set_ylabel("share rejected at 5 %")
    axes[0, 0].legend(loc="upper right")
    return figure


def _by_width(study: Study, family: str) -> list:
    return sorted((m for m in study.members if m.has(family)), key=lambda m: m.about["width"])


def _last(members: list, quantity: str, here: dict) -> list[np.ndarray]:
    """Values, errors and trust at the last layer, one a member."""
    return [
        np.array([float(m.estimates[f"{quantity}{end}"].sel(here).isel(layer=-1)) for m in members])
        for end in ("", "_stderr", "_trusted")
    ]


def _theory(m, quantity: str, order: str, here: dict) -> float:
    values = style.predicted(m.theory, quantity, order)
    return np.nan if values is None else float(values.sel(here).isel(layer=-1))


def _pooled(m) -> tuple:
    """Width; measured value and error; exact and first-order theory: last layer, over G^2; and
    whether the error is trusted."""
    here = {"input": 0}
    scale = _theory(m, "covariance", "infinite_width", here | {"input_": 0}) ** 2
    value, error, trusted = (float(x[0]) for x in _last([m], "intralayer", here))
    exact, first = (_theory(m, "intralayer", order, here) for order in ("exact", "1/n"))
    return m.about["width"], *(v / scale for v in (value, error, exact, first)), trusted
