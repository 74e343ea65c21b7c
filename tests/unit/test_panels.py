"""Panels fit a page, titles keep formulas whole, and axes name enough of their numbers."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from finitewidth.figures.common import panels, style


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed."""
    yield
    plt.close("all")


@pytest.fixture
def ax():
    """One panel."""
    return style.grid(1, 1)[1][0, 0]


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 13, 200])
def test_any_number_of_panels_fits_a_page(count, rows):
    figure, columns = panels.panels(count, rows)
    wide, high = figure.get_size_inches()
    assert wide <= 8.01
    assert high <= 9.61
    assert all(len(column) == rows for column in columns)
    assert len(figure.axes) == rows * len(columns)
    assert len(columns) == count or len(columns) >= 10
    said = panels.left_out(columns, range(count), "laws")
    assert (f"{len(columns)} of {count} laws" in said) == (len(columns) < count)


def labels(axis):
    """What the ticks within an axis say."""
    low, high = sorted(axis.get_view_interval())
    axis.figure.canvas.draw()
    ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
    return [t.get_text() for v, t in ticks if low <= v <= high and t.get_text()]


def test_logarithmic_axes_have_two_labels_or_more_and_no_two_alike(ax):
    rng = np.random.default_rng(0)
    panels.log_axis(ax, "y")
    for _ in range(25):
        low, decades = 10 ** rng.uniform(-20, 20), 10 ** rng.uniform(-1.5, 1.2)
        ax.set_ylim(low, low * 10**decades)
        found = labels(ax.yaxis)
        assert 2 <= len(found) <= 9, ax.get_ylim()
        assert len(set(found)) == len(found)


def test_a_sweep_names_its_ends_and_no_label_lies_on_another(ax):
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = np.unique(rng.integers(1, 2000, rng.integers(1, 12)))
        panels.sweep_axis(ax, values)
        if len(values) > 1:
            ax.set_xlim(values[0] * 0.9, values[-1] * 1.1)
        found = labels(ax.xaxis)
        assert found[0] == f"{values[0]}"
        assert set(found) <= {f"{v}" for v in values}
        boxes = [t.get_window_extent() for t in ax.get_xticklabels() if t.get_text() in found]
        inner = sorted(boxes, key=lambda b: b.x0)
        # Two values that are next to each other have no room between them.
        if len(found) > 2:
            assert all(a.x1 <= b.x0 + 1 for a, b in pairwise(inner))


@pytest.mark.parametrize("values", [[3], [1, 2], range(1, 8), range(301), [1, 100000]])
def test_whole_numbers_have_ticks_at_whole_numbers(ax, values):
    panels.whole_axis(ax, values)
    low, high = ax.get_xlim()
    ticks = [t for t in ax.get_xticks() if low <= t <= high]
    assert ticks
    assert all(t == round(t) for t in ticks)
    assert low <= min(values) <= max(values) <= high


def test_titles_are_as_wide_as_their_panel_and_keep_formulas_whole(ax):
    formula = r"$\mathrm{E}[\Theta]/\Theta_\infty$"
    panels.titled(ax, "a name of many words that says a lot " * 3, f"{formula} = 1.0 at $n = 10$")
    text = ax.get_title()
    assert formula in text
    assert "$n = 10$" in text
    ax.figure.canvas.draw()
    assert ax.title.get_window_extent().width <= 1.25 * ax.bbox.width


def test_a_legend_lists_each_name_once_and_is_no_wider_than_the_figure(ax):
    for k in range(14):
        ax.plot([0, 1], [k, k], label=f"a rather long name of a line, number {k // 2}")
    panels.curve(ax, [0, 1], [1, 2], "1/n")
    panels.curve(ax, [0, 1], [np.nan, np.nan], "exact")
    panels.legend(ax.figure)
    (legend,) = ax.figure.legends
    names = [t.get_text() for t in legend.get_texts()]
    assert len(set(names)) == len(names) == 9
    assert style.ORDERS["1/n"]["label"] in names
    extent = legend.get_window_extent(ax.figure.canvas.get_renderer())
    assert extent.width <= ax.figure.bbox.width


def test_no_room_is_made_for_a_zero_that_is_far(ax):
    ax.plot([0, 1], [10, 11])
    limits = ax.get_ylim()
    panels.zero_line(ax)
    assert ax.get_ylim() == limits
