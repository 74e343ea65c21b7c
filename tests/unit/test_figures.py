"""What is not trusted is drawn open, without an error bar, and the figure says so."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from finitewidth.figures import style


@pytest.fixture
def ax():
    figure, axes = style.grid(1, 1)
    yield axes[0, 0]
    plt.close(figure)


def bars(ax):
    """The x of every error bar that is drawn."""
    return sorted(segment[0, 0] for c in ax.collections for segment in c.get_segments())


def noted(figure):
    style.note_untrusted(figure)
    return bool(figure.get_suptitle())


def test_a_trusted_point_has_a_bar_and_no_note(ax):
    style.points(ax, [1, 2], [3.0, 4.0], [0.1, 0.2], [1, 1], color="C0")
    assert bars(ax) == [1, 2]
    assert not noted(ax.figure)


@pytest.mark.parametrize("line", [{}, {"linestyle": "-"}])
def test_an_untrusted_point_is_open_bare_and_noted(ax, line):
    error = [0.1, 0.2, np.nan, np.nan]
    style.points(ax, [1, 2, 3, 4], [3.0, 4.0, 5.0, np.nan], error, [1, 0, 1, 0], color="C0", **line)
    assert bars(ax) == [1]
    (bare,) = (x for x in ax.lines if x.get_gid() == style.OPEN)
    assert bare.get_xdata().tolist() == [2, 3]
    assert bare.get_markerfacecolor() == "white"
    assert noted(ax.figure)


def test_nothing_to_draw_is_no_reason_for_a_note(ax):
    style.points(ax, [1], [np.nan], [np.nan], [0], color="C0")
    assert not noted(ax.figure)
