"""Figures of tangent kernels: what they show is what the files say, of odd studies, too."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from finitewidth.figures import draw
from small_studies import run

ONE = {"one": {"kind": "sphere", "dimension": 4, "count": 1}}
NTK = {
    "activation": "tanh",
    "init": "critical",
    "width": [8, 32],
    "depth": 3,
    "inputs": "one",
    "networks": 60,
    "measure": ["ntk"],
    "estimate": ["ntk"],
}
SPECTRUM = NTK | {"inputs": "x", "outputs": 2, "estimate": ["ntk", "ntk_tensors", "ntk_spectrum"]}
LADDER = {
    "activation": "tanh",
    "init": "critical",
    "ladder": [8, 12, 16, 24],
    "depth": 3,
    "inputs": "one",
    "networks": 200,
    "estimate": ["ntk_mean"],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Files of results go to a folder of the test, and figures are closed."""
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


def study_of(rows=None, **ensembles):
    """A study of ensembles, on the one input or on ``rows`` (N, n_0), the set called x."""
    inputs = ONE
    if rows is not None:
        np.save("x.npy", np.asarray(rows, float))
        inputs = {"x": {"kind": "array", "file": "x.npy"}}
    return run({"inputs": inputs, "ensembles": ensembles})


def drawn(name, study):
    """A figure that was drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(name, study)


def symbols(ax):
    """(x, y) of every symbol of an axes: what was measured."""
    lines = [line for line in ax.lines if line.get_marker() in ("o", "s", "D", "^", "v")]
    found = [np.array(line.get_data(), float).T for line in lines]
    return np.concatenate([*found, np.empty((0, 2))])


def bars(ax):
    """Both ends of every vertical line of error bars, (n, 2)."""
    each = [c for c in ax.collections if hasattr(c, "get_segments")]
    ends = [s[:, 1] for c in each for s in c.get_segments() if len(s) == 2]
    return np.sort(np.array(ends).reshape(-1, 2))


def legends(figure):
    """What all legends of a figure say."""
    every = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    return [text.get_text() for legend in every for text in legend.get_texts()]


def dotted(ax):
    """Lines of two ends: the slopes of classes."""
    return [x for x in ax.lines if len(x.get_xdata()) == 2 and x.get_marker() == "None"]


def holds(found, wanted):
    """Whether every row of ``wanted`` is among those of ``found``."""
    return all(np.isclose(found, row, rtol=1e-9).all(1).any() for row in wanted)


def last(values):
    """The number of the last layer at the first input."""
    return float(values.isel(layer=-1).values.ravel()[0])


def test_symbols_are_what_was_measured_over_infinite_width():
    study = study_of(a=NTK)
    top, bottom = drawn("ntk_concentration", study).axes
    rows = [[], []]
    for m in study.members:
        infinite = last(m.theory["ntk"].sel(order="infinite_width"))
        spread = np.sqrt(last(m.estimates["ntk_variance"]))
        rows[0].append([m.about.width, last(m.estimates["ntk"]) / infinite])
        rows[1].append([m.about.width, spread / infinite])
    assert holds(symbols(top), rows[0])
    assert holds(symbols(bottom), rows[1])


@pytest.mark.parametrize("name", ["ntk_concentration", "ntk_spectrum"])
@pytest.mark.parametrize("parameterisation", ["ntk", "standard"])
def test_theory_is_a_curve_through_the_theory_of_the_members(name, parameterisation):
    """It bends between them, where a straight line would not."""
    rates = {"parameterisation": parameterisation}
    study = study_of(
        [[1, 2, 0.5], [0, 1, -1]],
        a=SPECTRUM | {"activation": "relu", "width": [4, 32], "ntk": rates, "depth": 4},
    )
    quantity = "ntk_eigenvalue" if name == "ntk_spectrum" else "ntk_variance"
    ax = drawn(name, study).axes[-1]
    lines = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert lines
    for rank, line in enumerate(lines):
        x, y = (np.asarray(a, float) for a in line.get_data())
        assert len(x) > 10
        for m in study.members:
            theory = m.theory[quantity].isel(layer=-1)
            at = theory.sel(order="1/n").values.ravel()[rank if name == "ntk_spectrum" else 0]
            scale = m.theory["ntk"].isel(layer=-1).sel(order="infinite_width").values[0, 0]
            if name == "ntk_spectrum":
                scale = theory.sel(order="infinite_width").values[rank]
            at = at / scale if name == "ntk_spectrum" else np.sqrt(at) / scale
            assert np.isclose(y[x == m.about.width], at, rtol=1e-6)


@pytest.mark.parametrize(
    ("law", "slopes"),
    [
        ({"activation": "tanh"}, 1),
        ({"activation": "sigmoid", "init": {"C_W": 1.0}}, 0),
        ({"activation": "softplus", "init": {"C_W": 1.0}}, 0),
        ({"activation": "cos", "init": {"C_W": 1.0}}, 0),
        # A power of the depth is no slope, and a class has none off its critical point.
        ({"activation": "gelu"}, 0),
        ({"activation": "tanh", "init": {"C_W": 1.5}}, 0),
        ({"activation": "relu", "init": {"C_W": 2.0, "C_b": 0.1}}, 0),
        ({"activation": "tanh", "ntk": {"parameterisation": "standard"}}, 0),
    ],
)
def test_a_slope_is_drawn_where_the_law_has_one(law, slopes):
    figure = drawn("ntk_fluctuations", study_of(a=NTK | law))
    assert len(symbols(figure.axes[0])) == 2
    assert len(dotted(figure.axes[0])) == slopes
    assert ("slope of the class" in legends(figure)) == bool(slopes)
    assert any(law["activation"] in words for words in legends(figure))


def test_the_double_scaling_of_two_slopes_is_drawn_and_no_panel_without():
    assert len(drawn("ntk_fluctuations", study_of(a=NTK)).axes) == 1
    two = study_of(a=NTK | {"activation": ["linear", "tanh", "leaky_relu(0.2)"]})
    figure = drawn("ntk_fluctuations", two)
    assert len(figure.axes) == 3
    assert "double scaling" in legends(figure)
    assert all(len(symbols(ax)) == 2 for ax in figure.axes[1:])


@pytest.mark.parametrize("name", ["ntk_fluctuations", "ntk_criticality"])
def test_depth_1_does_not_fluctuate_and_says_so(name):
    both = study_of(shallow=NTK | {"depth": 1}, deep=NTK)
    assert len(symbols(drawn(name, both).axes[0])) == (2 if name == "ntk_fluctuations" else 1)
    with pytest.raises(
        ValueError, match=f"{name} has nothing to draw of the ensembles shallow: no"
    ):
        draw(name, study_of(shallow=NTK | {"depth": 1}))


def test_members_that_differ_in_more_than_width_are_no_one_curve():
    swept = study_of(a=NTK | {"init": {"C_W": [0.5, 1.0, 2.0]}})
    figure = drawn("ntk_concentration", swept)
    assert len(figure.axes) == 6
    for ax in figure.axes:
        x = symbols(ax)[:, 0]
        assert len(np.unique(x)) == len(x) == 2
    words = legends(drawn("ntk_criticality", swept))
    assert sum("C_W" in word for word in words) == 3


def test_as_many_series_as_there_are_have_a_look_and_an_entry_of_their_own():
    names = ["relu", "tanh", "sin", "gelu", "silu", "erf", "linear", "abs", "arctan"]
    study = study_of(a=NTK | {"activation": names, "init": {"C_W": 1.0}, "width": 8})
    figure = drawn("ntk_criticality", study)
    assert set(names) < set(legends(figure))
    assert len(symbols(figure.axes[0])) == len(names)


@pytest.mark.parametrize(
    ("rows", "ranks"),
    [
        ([[1, 2, 3], [1, 2, 3]], {"tanh": 1, "relu": 1}),
        ([[1, 2, 3], [-1, -2, -3]], {"tanh": 1, "relu": 2}),
        ([[0, 0, 0], [1, 2, 3]], {"tanh": 1, "relu": 1}),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], {"tanh": 4, "relu": 4}),
    ],
    ids=["duplicated", "antipodal", "zero", "more than depth 2"],
)
def test_eigenvalues_that_are_0_are_left_aside_in_words(rows, ranks):
    study = study_of(rows, a=SPECTRUM | {"activation": list(ranks)})
    figure = drawn("ntk_spectrum", study)
    for ax, (activation, count) in zip(figure.axes, ranks.items(), strict=True):
        assert len(symbols(ax)) == 2 * count
        assert (np.diff(bars(ax)) >= 0).all()
        said = figure.legends[0].get_title().get_text()
        assert (f"eigenvalues of {activation}" in said) == (count < len(rows))


@pytest.mark.parametrize(
    "name", ["ntk_concentration", "ntk_fluctuations", "ntk_criticality", "ntk_cross"]
)
def test_the_first_input_that_has_a_kernel_is_drawn(name):
    study = study_of([[0, 0, 0], [1, 2, 3]], a=SPECTRUM | {"activation": "relu"})
    figure = drawn(name, study)
    assert all(len(symbols(ax)) for ax in figure.axes)
    said = [*legends(figure), *(ax.get_title() for ax in figure.axes)]
    assert any("input 1" in words for words in said)


def test_sets_of_other_numbers_of_inputs_have_panels_of_their_own():
    rng = np.random.default_rng(0)
    np.save("y.npy", rng.normal(size=(8, 5)))
    np.save("x.npy", rng.normal(size=(2, 5)))
    content = {
        "inputs": {name: {"kind": "array", "file": f"{name}.npy"} for name in "xy"},
        "ensembles": {"a": SPECTRUM | {"inputs": ["x", "y"], "estimate": ["ntk_spectrum"]}},
    }
    figure = drawn("ntk_spectrum", run(content))
    two, eight = (len(symbols(ax)) // 2 for ax in figure.axes)
    assert two == 2
    assert 4 < eight < 8
    assert f"{eight} of 8 eigenvalues" in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize("name", ["ntk_concentration", "ntk_fluctuations", "ntk_criticality"])
def test_no_kernel_above_0_is_one_sentence(name):
    study = study_of([[0, 0, 0]], nothing=NTK | {"inputs": "x"})
    with pytest.raises(ValueError, match=f"the figure {name} .* ensembles nothing: "):
        draw(name, study)


def test_only_what_was_estimated_has_a_row():
    study = study_of(a=NTK | {"outputs": 2, "estimate": ["ntk_tensors"], "depth": [1, 2, 3]})
    figure = drawn("ntk_cross", study)
    assert [ax.get_ylabel()[:3] for ax in figure.axes] == ["$D ", "$F "]
    for ax in figure.axes:
        ticks = ax.get_xticks()
        assert (ticks == np.round(ticks)).all()


def test_coefficients_are_n_times_what_each_width_gives():
    study = study_of(a=NTK | {"outputs": 2, "estimate": ["ntk_tensors"], "width": 8})
    (m,) = study.members
    ax = drawn("ntk_cross", study).axes[1]
    assert np.isclose(symbols(ax)[0, 1], 8 * last(m.estimates["ntk_F"]))


def test_corrections_are_not_flattened_by_a_zero():
    study = study_of(a=LADDER | {"activation": "silu", "ntk": {"parameterisation": "ntk"}})
    (m,) = study.members
    ax = drawn("ntk_corrections", study).axes[0]
    n = m.estimates["width"].values
    value = m.estimates["ntk_mean"].isel(layer=-1, pair=0).values
    infinite = m.theory["ntk_mean"].sel(order="infinite_width").isel(layer=-1, pair=0).values
    assert holds(symbols(ax), np.stack([1 / n, n * (value - infinite)], -1))
    low, high = ax.get_ylim()
    ends = np.concatenate([bars(ax).ravel(), symbols(ax)[:, 1]])
    # The axis is at most half empty.
    assert high - low < 2 * np.ptp(ends)


def test_corrections_take_the_first_input_that_has_a_kernel():
    study = study_of([[0, 0, 0], [1, 2, 3]], a=LADDER | {"inputs": "x"})
    (ax,) = drawn("ntk_corrections", study).axes
    assert "input 1" in ax.get_title()
    with pytest.raises(ValueError, match=r"ntk_corrections .* ensembles a: "):
        draw("ntk_corrections", study_of([[0, 0, 0]], a=LADDER | {"inputs": "x"}))


@pytest.mark.parametrize("rows", [[[1, 2, 3]], [[0, 0, 0]]])
def test_ways_that_agree_to_the_last_bit_are_named(rows):
    law = {"sampler": "explicit", "measure": ["ntk_methods"], "networks": 50, "inputs": "x"}
    given = {k: v for k, v in (NTK | law).items() if k != "estimate"}
    study = study_of(rows, a=given)
    top, bottom = drawn("ntk_methods", study).axes
    for m in study.members:
        for way in m.estimates["way"].values:
            value = float(m.estimates["way_deviation"].sel(way=way)[-1])
            # Nothing is held against itself, nor one kernel of 0 against another.
            assert not value > 0 or holds(symbols(top), [[m.about.width, value]])
            if value == 0:
                every = [x.estimates["way_deviation"].sel(way=way)[-1] for x in study.members]
                assert any(float(x) for x in every) or str(way) in top.get_title()
            cost = float(m.estimates["way_operations"].sel(way=way))
            assert holds(symbols(bottom), [[m.about.width, cost]])
    assert ("every kernel is 0" in top.get_title()) == (not np.any(rows))
    assert {"layerwise", "jacobian", "jvp", "backward", "rounding"} <= set(legends(top.figure))
    assert (bars(drawn("ntk_times", study).axes[0]) > 0).all()
