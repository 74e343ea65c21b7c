"""Figures of trained ensembles at finite width show what the files say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from finitewidth.figures import draw
from small_studies import run

POINT = [1.0, 0.5, -1.0, 0.9]
WIDTHS = [32, 40, 48, 64]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """ReLU and tanh of depth 2 at four widths, trained on one input, with a test input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("trained"))
        return run(
            {
                "inputs": {
                    "a": {"kind": "points", "points": [POINT],
                          "targets": {"kind": "values", "values": [[1.0]]}},
                    "b": {"kind": "points", "points": [[0.2, 1.1, 0.7, 1.2]]},
                },
                "ensembles": {
                    "e": {"activation": ["relu", "tanh"], "init": {"C_W": 2.0, "C_b": 0.1},
                          "width": WIDTHS, "depth": 2, "inputs": "b", "networks": 300,
                          "ntk": {"parameterisation": "pdlt", "lambda_b": 0.5, "lambda_W": 1.0},
                          "train": {"inputs": "a", "learning_rate": 0.1, "steps": [3, 8],
                                    "kernels": "all"}},
                },
            }
        )  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed."""
    yield
    plt.close("all")


def points_of(ax):
    """x and y of every series with error bars."""
    return [bars.lines[0].get_data() for bars in ax.containers]


def at_last(m, name, order=None):
    """Of the first training input at the last moment."""
    values = m.estimates[name] if order is None else m.theory[name].sel(order=order)
    return float(values.isel(moment=-1, output=0, **{values.dims[-1]: 0}))


def test_corrections_are_n_times_what_is_beyond_infinite_width(study):
    figure = draw("training_corrections", study)
    shown = {ax.get_title(): ax for ax in figure.axes}
    # Of ReLU and tanh five quantities each.
    assert len(shown) == 10
    (ax,) = (ax for title, ax in shown.items() if "moving" in title and "tanh" in title)
    members = [m for m in study.members if m.about.activation == "tanh"]
    x, y = points_of(ax)[0]
    assert x == pytest.approx([1 / m.about.width for m in members])
    assert y == pytest.approx([m.about.width * at_last(m, "motion_mean") for m in members])
    (sweep,) = (s for s in study.sweeps if s.about.activation == "tanh")
    squares = [y for x, y in points_of(ax) if list(x) == [0]]
    assert at_last(sweep, "motion_mean_1") in np.ravel(squares)
    dashes = [line for line in ax.lines if line.get_gid() == "theory 1/n"]
    expected = WIDTHS[0] * at_last(members[0], "motion_mean", "1/n")
    assert dashes[0].get_ydata() == pytest.approx(np.full(5, expected), rel=1e-9)


def test_motion_of_relu_has_a_law_of_its_own_and_no_coefficient(study):
    figure = draw("relu_drift", study)
    for ax in figure.axes:
        slopes = {}
        for line in ax.lines:
            if str(line.get_gid()).startswith("theory"):
                x, y = np.log(line.get_data())
                slopes[line.get_gid()] = np.polyfit(x, y, 1)[0]
        assert slopes == pytest.approx({"theory 1/sqrt(n)": -0.5, "theory 1/n": -1.0}, abs=1e-6)
    of = {s.about.activation: s.estimates for s in study.sweeps}
    assert "motion_mean_1" in of["tanh"]
    assert "kernel_drift_1" in of["tanh"]
    assert "motion_mean_1" not in of["relu"]
    assert "kernel_drift_1" not in of["relu"]
    # What kernels that stand still do is of order 1/n for both.
    assert "frozen_mean_1" in of["relu"]


def test_drift_is_shown_over_the_first_order_where_it_stands_out(study):
    figure = draw("kernel_drift", study)
    beside = figure.axes[-1]
    x, y = points_of(beside)[0]
    said = {
        (
            4 / m.about.width,
            round(at_last(m, "kernel_drift") / at_last(m, "kernel_drift", order), 9),
        )
        for m in study.members
        for order in (["1/sqrt(n)"] if m.about.activation == "relu" else ["1/n"])
    }
    assert len(x) >= len(WIDTHS)
    assert {(a, round(b, 9)) for a, b in zip(x, y, strict=True)} <= said
