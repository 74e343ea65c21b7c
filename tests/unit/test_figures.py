"""What is not trusted is drawn open, with a faint bar, and the figure's caption says so."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from finitewidth.comparison import captions
from finitewidth.core.reasons import Reason, variables
from finitewidth.figures.common import style
from finitewidth.figures.common.axes import signed_axis
from finitewidth.figures.common.member_series import Measured
from finitewidth.figures.common.notes import finish, note
from finitewidth.provenance.artifacts import write_figure

CODE = {"commit": "c", "dirty": "no", "sha256": "s", "version": "v", "modules": {}}
STAMP = {
    "rule": "figure",
    "wildcards": {},
    "config": {},
    "config_sha256": "",
    "inputs": {},
    "device": "cpu",
    "packages": {},
    "code": CODE,
}


@pytest.fixture
def ax():
    figure, axes = style.grid(1, 1)
    yield axes[0, 0]
    plt.close(figure)


def bars(ax, doubted=False):
    """The x of every error bar that is drawn, of the faint ones or of the others."""
    chosen = [c for c in ax.collections if (c.get_gid() == style.DOUBT) == doubted]
    return sorted(segment[0, 0] for c in chosen for segment in c.get_segments())


def notes(ax):
    finish(ax.figure)
    return ax.figure.get_label().splitlines()


def test_a_trusted_point_has_a_bar_and_no_note(ax):
    style.points(ax, [1, 2], [3.0, 4.0], [0.1, 0.2], [1, 1], color="C0")
    assert bars(ax) == [1, 2]
    assert bars(ax, doubted=True) == []
    assert notes(ax) == []


@pytest.mark.parametrize("line", [{}, {"linestyle": "-"}])
def test_an_untrusted_point_is_open_with_a_faint_bar_and_noted(ax, line):
    error = [0.1, 0.2, np.nan, np.nan]
    style.points(ax, [1, 2, 3, 4], [3.0, 4.0, 5.0, np.nan], error, [1, 0, 1, 0], color="C0", **line)
    assert bars(ax) == [1]
    # None where the error is not known.
    assert bars(ax, doubted=True) == [2]
    (bare,) = (x for x in ax.lines if x.get_gid() == style.OPEN)
    assert bare.get_xdata().tolist() == [2, 3]
    assert bare.get_markerfacecolor() == "white"
    assert notes(ax) == [style.OPEN_WORDS]


def test_nothing_to_draw_is_no_reason_for_a_note(ax):
    style.points(ax, [1], [np.nan], [np.nan], [0], color="C0")
    assert notes(ax) == []
    (said,) = ax.texts
    assert said.get_text()


def test_a_doubted_error_does_not_stretch_the_axes(ax):
    style.points(ax, [1, 2], [1.0, 2.0], [0.1, 1e9], [1, 0], tail=[0, 1], color="C0")
    assert ax.get_ylim()[1] < 10


@pytest.mark.parametrize("side", [1, -1])
def test_an_arrow_is_on_the_side_of_the_tail(ax, side):
    style.points(ax, [1], [5.0], [2.0], [0], tail=side, color="C0")
    (arrow,) = (
        a for a in ax.get_children() if isinstance(a, plt.Line2D) and a.get_gid() == "doubt"
    )
    assert arrow.get_ydata()[0] == 5 + 2 * side


def test_bars_have_no_sign_and_end_at_limits(ax):
    style.points(ax, [1, 2, 3], [0.0, 0.5, 1.0], [0.2, -0.3, 0.4], [1, 1, 1], limits=(0, 1))
    ends = [tuple(segment[:, 1]) for c in ax.collections for segment in c.get_segments()]
    np.testing.assert_allclose(ends, [(0, 0.2), (0.2, 0.8), (0.6, 1)])


def test_points_beyond_a_ratio_panel_are_arrows_and_noted(ax):
    style.points(ax, [1, 2, 3], [1.1, 30.0, -4.0], [0.1, 0.1, 0.1], [1, 1, 1], color="C0")
    style.fit_ratio(ax)
    arrows = [a for a in ax.get_children() if a.get_gid() == style.BEYOND]
    assert sorted(a.get_xdata().tolist() for a in arrows) == [[2], [3]]
    assert notes(ax) == [style.BEYOND_WORDS]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-3, 1e4], "log"),
        ([-1.0, 2.0], "linear"),
        ([-1e4, 1e-3, 1.0], "symlog"),
        ([0, 0], "linear"),
    ],
)
def test_an_axis_of_either_sign_shows_every_value(ax, values, scale):
    style.points(ax, np.arange(len(values)), values, 1e-3, 1, color="C0")
    signed_axis(ax)
    assert ax.get_yscale() == scale
    low, high = ax.get_ylim()
    assert all(low <= v <= high for v in values)


def test_a_measured_value_keeps_its_tail_and_its_bar_through_units():
    reason = np.array([Reason.NONE, Reason.SKEW, Reason.HEAVY_TAIL, Reason.RARE_EVENT])
    data = xr.Dataset(
        {
            "q": ("layer", [1.0, 2.0, -3.0, 4.0]),
            "q_stderr": ("layer", np.full(4, 0.5)),
            **variables("q", ("layer",), reason, np.array([0, -2.0, 1.5, 9]), "q"),
        }
    )
    found = Measured.of(data, "q")
    assert found.tail.tolist() == [0, -1, -1, 0]
    turned = found.over([-2.0, -2.0, -2.0, 0.0])
    np.testing.assert_allclose(turned.value, [-0.5, -1, 1.5, np.nan])
    np.testing.assert_allclose(turned.error, [0.25, 0.25, 0.25, np.nan])
    assert turned.tail.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_caption_says_what_the_figure_has(ax, tmp_path, ending):
    path = tmp_path / f"one.{ending}"
    write_figure(ax.figure, path, STAMP, title="t")
    assert captions.notes(path) == []
    note(ax.figure, "6 of 10 pairs (of inputs) are drawn.")
    style.points(ax, [1], [2.0], [1.0], [0], color="C0")
    finish(ax.figure)
    write_figure(ax.figure, path, STAMP, title="t")
    assert captions.notes(path) == ["6 of 10 pairs (of inputs) are drawn.", style.OPEN_WORDS]
    assert captions.notes(tmp_path / "none.png") == []
